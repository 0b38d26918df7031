package scan

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"assay/probes"
)

// deaf is a port that lets every further connection fall: its queue is full (listen(2)).
func deaf(t *testing.T) (port int, fill net.Conn) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	require.NoError(t, err)
	port = name.(*unix.SockaddrInet4).Port
	fill, err = net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { _ = fill.Close() })
	return port, fill
}

// A port that says nothing in every try is silent; that counts only while another one answers.
func TestSilent(t *testing.T) {
	port, _ := deaf(t)
	awake := serve(t, says(""))
	s := Scanner{Target: home, Controls: []int{awake}, Patience: hasty()}
	out, err := s.Scan(t.Context(), probes.ScanRequest{First: port, Last: port})
	require.NoError(t, err)
	assert.Empty(t, out.TCP)
	assert.Equal(t, 1, out.Silent)
	assert.True(t, out.Complete && out.AliveBefore && out.AliveAfter)

	k := &knocker{target: home, patience: hasty()}
	heard, err := k.tcp(t.Context(), probes.ScanRequest{First: port, Last: port}, &control{k, port, probes.PortOpen})
	require.NoError(t, err)
	assert.Equal(t, hearing{silent: 1}, heard, "the control went deaf: nothing was watched")

	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("needs IPv6 on the loopback: " + err.Error())
	} else {
		l.Close()
	}
	nobody := Scanner{Target: netip.MustParseAddr("fe80::1%lo"), Controls: []int{awake}, Patience: hasty()}
	out, err = nobody.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 3})
	require.NoError(t, err)
	assert.False(t, out.Complete || out.AliveBefore, "silence alone is nothing")
	nobody.Witness = home
	out, err = nobody.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 3})
	require.NoError(t, err)
	assert.Equal(t, 3, out.Silent)
	assert.True(t, out.Complete && out.AliveBefore && out.AliveAfter, "another address of the device answered meanwhile")
}
