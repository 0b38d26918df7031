package bench

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// flood sends datagrams to the bench: well formed with invented senders, then malformed.
func flood(verb string) error {
	port := 67
	if verb == "__flood-dns" {
		port = 53
	}
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("10.77.0.1"), uint16(port))))
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range 20_000 {
		b := make([]byte, i%700)
		for j := range b {
			b[j] = byte(i * (j + 7) >> (j % 5))
		}
		if port == 67 && i%2 == 0 {
			m, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
			if err != nil {
				return err
			}
			b = m.ToBytes()
		}
		if _, err := c.Write(b); err != nil && !strings.Contains(err.Error(), "refused") {
			return fmt.Errorf("datagram %d: %w", i, err)
		}
	}
	return nil
}
