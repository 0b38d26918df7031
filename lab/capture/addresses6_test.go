package capture

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// solicitation is what a host asks before it uses an address: does anybody have it?
func solicitation(t testing.TB, from, target string) []byte {
	t.Helper()
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP(from), DstIP: net.ParseIP("ff02::1:ff00:1")}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(135, 0)}
	require.NoError(t, icmp.SetNetworkLayerForChecksum(ip))
	return build(t, ether(layers.EthernetTypeIPv6), ip, icmp, gopacket.Payload(append(make([]byte, 4), netip.MustParseAddr(target).AsSlice()...)))
}

func TestAddresses6(t *testing.T) {
	c, s := scripted(t)
	found := func() (out []string) {
		_, err := c.Mark(t.Context())
		require.NoError(t, err)
		list, err := c.Addresses6(t.Context(), deviceMAC)
		require.NoError(t, err)
		for _, a := range list {
			out = append(out, a.String())
		}
		return out
	}
	assert.Empty(t, found())
	stranger := solicitation(t, "::", "fe80::bad")
	copy(stranger[6:], benchMAC)
	short := solicitation(t, "::", "fe80::7")
	s.give(udpFrame(t, 1, 2, []byte("over IPv4")), stranger, short[:len(short)-1], arpFrame(t))
	assert.Empty(t, found(), "another's, and one that is cut")
	s.give(solicitation(t, "::", "fe80::1"), solicitation(t, "fe80::1", "fe80::2"), udp6Frame(t, []byte("x")), udp6Frame(t, []byte("y")))
	assert.Equal(t, []string{"fe80::1", "2001:db8::100"}, found(), "what it asks for of somebody else is not its own")
	for i := range 2 * maxAddresses6 {
		s.give(solicitation(t, "::", netip.AddrFrom16([16]byte{0xfe, 0x80, 14: 1, 15: byte(i)}).String()))
	}
	assert.Len(t, found(), maxAddresses6)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Addresses6(ended, deviceMAC)
	require.ErrorIs(t, err, context.Canceled)
}
