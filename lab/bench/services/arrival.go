package services

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// A UDP socket that is bound to no address does not tell by itself which of ours a datagram was sent to,
// nor from which an answer leaves. Two servers behind one socket need both.

// arrival is where a datagram came from, and which of our addresses it was sent to.
type arrival struct {
	*net.UDPAddr
	to netip.Addr
}

// departure is where a datagram goes, and which of our addresses it leaves from.
type departure struct {
	*net.UDPAddr
	from net.IP
}

// destination is the address that a datagram was sent to; not valid where the socket does not tell.
func destination(from net.Addr) netip.Addr {
	if a, ok := from.(arrival); ok {
		return a.to
	}
	return netip.Addr{}
}

// aware is a socket that tells destinations.
type aware struct {
	net.PacketConn
	p *ipv4.PacketConn
}

// withDestinations makes a socket tell destinations, where the system can.
func withDestinations(c net.PacketConn) net.PacketConn {
	p := ipv4.NewPacketConn(c)
	if p.SetControlMessage(ipv4.FlagDst, true) != nil {
		return c
	}
	return aware{c, p}
}

// ReadFrom tells an arrival.
func (a aware) ReadFrom(b []byte) (int, net.Addr, error) {
	n, cm, from, err := a.p.ReadFrom(b)
	udp, ok := from.(*net.UDPAddr)
	if err != nil || !ok || cm == nil {
		return n, from, err
	}
	to, _ := netip.AddrFromSlice(cm.Dst)
	return n, arrival{udp, to.Unmap()}, nil
}

// WriteTo takes a departure.
func (a aware) WriteTo(b []byte, to net.Addr) (int, error) {
	if d, ok := to.(departure); ok {
		return a.p.WriteTo(b, &ipv4.ControlMessage{Src: d.from}, d.UDPAddr)
	}
	return a.p.WriteTo(b, nil, to)
}
