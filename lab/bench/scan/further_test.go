package scan

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// A camera that answers WS-Discovery, and a plug that tells everybody about itself, answer at a UDP port each that no
// declaration need name.
func TestUndeclaredUDP(t *testing.T) {
	// An address of the loopback that nobody else has: the ports are what they are.
	const address = "127.83.117.19"
	for port, understands := range map[string]func(asked []byte) bool{
		"3702": func(b []byte) bool { return strings.Contains(string(b), "/discovery/Probe<") },
		"9999": func(b []byte) bool {
			for i := len(b) - 1; i > 0; i-- {
				b[i] ^= b[i-1]
			}
			return len(b) > 0 && b[0]^171 == '{' && strings.Contains(string(b), "get_sysinfo")
		},
	} {
		conn, err := net.ListenPacket("udp4", net.JoinHostPort(address, port))
		if err != nil {
			t.Skip("needs the whole network 127.0.0.0/8 on the loopback: " + err.Error())
		}
		var loop sync.WaitGroup
		loop.Go(func() {
			b := make([]byte, 2048)
			for {
				n, from, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				if understands(b[:n]) {
					_, _ = conn.WriteTo([]byte("here"), from)
				}
			}
		})
		t.Cleanup(func() { conn.Close(); loop.Wait() })
	}
	k := &knocker{target: netip.MustParseAddr(address), patience: hasty()}
	ports, err := k.udp(t.Context(), nil)
	require.NoError(t, err)
	var answers []int
	for _, p := range ports {
		if p.State == probes.PortOpen {
			answers = append(answers, p.Number)
		}
	}
	assert.Equal(t, []int{3702, 9999}, answers)
	assert.IsIncreasing(t, numbers(ports))
}

func numbers(ports []probes.Port) []int {
	var out []int
	for _, p := range ports {
		out = append(out, p.Number)
	}
	return out
}
