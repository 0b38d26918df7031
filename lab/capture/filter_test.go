package capture

import (
	"io"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
)

func host(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0x5e, 0, 0x53, last} }

func TestFilterKeepsEverythingOfTheDevice(t *testing.T) {
	f := Filter{Without: []net.HardwareAddr{host(9), host(10)}, Keep: []net.HardwareAddr{host(1), host(2)}}
	require.NoError(t, f.check())
	code, err := f.program()
	require.NoError(t, err)
	var program []bpf.Instruction
	for _, one := range code {
		program = append(program, one.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	everybody := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	for _, c := range []struct {
		from, to net.HardwareAddr
		taken    bool
	}{
		{host(1), host(9), true}, // the device and a host that is left out
		{host(9), host(1), true},
		{host(10), host(2), true},
		{host(1), everybody, true},
		{host(9), host(10), false},
		{host(9), everybody, false},
		{host(3), host(9), false},
		{host(3), host(4), true}, // nobody named
		{host(3), everybody, true},
		{net.HardwareAddr{2, 0, 0x5e, 0, 0x54, 9}, everybody, true}, // half an address is none
		{net.HardwareAddr{2, 0, 0x5f, 0, 0x53, 9}, everybody, true},
	} {
		frame := append(append(append([]byte(nil), c.to...), c.from...), 0x08, 0x00, 1, 2, 3)
		n, err := vm.Run(frame)
		require.NoError(t, err)
		assert.Equal(t, c.taken, n > 0, "%s to %s", c.from, c.to)
		if c.taken {
			assert.GreaterOrEqual(t, n, len(frame), "taken whole")
		}
	}
	assert.Equal(t, "ether host 02:00:5e:00:53:01 or ether host 02:00:5e:00:53:02 or not (ether host 02:00:5e:00:53:09 or ether host 02:00:5e:00:53:0a)", f.String())
	code, err = Filter{}.program()
	require.NoError(t, err)
	assert.Empty(t, code)
}

func TestFilterThatCouldLoseTheDeviceIsRefused(t *testing.T) {
	for want, f := range map[string]Filter{
		"the device's address is not known":        {Without: []net.HardwareAddr{host(9)}},
		"02:00:5e:00:53:09 is a unit under test":   {Without: []net.HardwareAddr{host(9)}, Keep: []net.HardwareAddr{host(1), host(9)}},
		"33:33:00:00:00:01 is no host's hardware":  {Without: []net.HardwareAddr{{0x33, 0x33, 0, 0, 0, 1}}, Keep: []net.HardwareAddr{host(1)}},
		"33 hosts, the most is 32":                 {Without: make([]net.HardwareAddr, 33), Keep: []net.HardwareAddr{host(1)}},
		" is no host's hardware address":           {Without: []net.HardwareAddr{nil}, Keep: []net.HardwareAddr{host(1)}},
		"33 units, the most is 32":                 {Without: []net.HardwareAddr{host(9)}, Keep: make([]net.HardwareAddr, 33)},
		"02:00:5e:00:53 is no host's hardware add": {Without: []net.HardwareAddr{host(9)[:5]}, Keep: []net.HardwareAddr{host(1)}},
	} {
		_, err := Options{Interface: "x", Path: "x", Clock: wall{}, Filter: f}.check()
		assert.ErrorContains(t, err, want)
	}
}

// interfaceOf reads what a file says of its interface.
func interfaceOf(t *testing.T, path string) Interface {
	t.Helper()
	in, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = in.Close() }()
	r, err := NewReader(in)
	require.NoError(t, err)
	for err == nil {
		_, err = r.Next()
	}
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, r.Interfaces(), 1)
	return r.Interfaces()[0]
}
