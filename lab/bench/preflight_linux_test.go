package bench

import (
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/bench/segment"
	"assay/probes"
)

func TestRemediesNameACommand(t *testing.T) {
	for _, c := range []struct {
		what  string
		errno syscall.Errno
		want  string
	}{
		{"namespaces", syscall.ENOSPC, "sudo sysctl user.max_user_namespaces=15000 user.max_net_namespaces=15000"},
		{"add veth", syscall.EOPNOTSUPP, "sudo modprobe veth"},
		{"add bridge", syscall.EOPNOTSUPP, "sudo modprobe bridge"},
		{"packet socket", syscall.EAFNOSUPPORT, "sudo modprobe af_packet"},
		{"namespaces", syscall.EINVAL, "a kernel with CONFIG_USER_NS and CONFIG_NET_NS"},
	} {
		err := forbidden(c.what, &segment.StepError{Step: c.what, Errno: c.errno, Text: c.errno.Error()})
		require.ErrorIs(t, err, probes.ErrBench)
		require.ErrorIs(t, err, c.errno)
		var f *Forbidden
		require.ErrorAs(t, err, &f)
		assert.Equal(t, c.want, f.Hint(), c.what)
	}
	assert.NotEmpty(t, remedy("namespaces", syscall.EPERM))
	assert.NotEmpty(t, remedy("namespaces", errors.New("odd")))
}
