package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	hostsRound  = 250 * time.Millisecond
	hostsOwn    = 5 * time.Second // for an address of our own: it is tested for duplicates first (RFC 4862, 5.4)
	portDiscard = 9
)

// HasIPv6 tells whether this kernel speaks IPv6 at all.
func HasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// Hosts6 finds the IPv6 addresses on a link that a hardware address answers for: all nodes are asked again and again until
// patience ends (RFC 4291, 2.7.1), and so is who has one of the addresses that are named. Those of the link-local scope
// carry the link as their zone. ErrNoIPv6 says that nobody can be asked from here.
func Hosts6(ctx context.Context, on string, mac net.HardwareAddr, named []netip.Addr, patience time.Duration) ([]netip.Addr, error) {
	link, err := netlink.LinkByName(on)
	if err != nil {
		return nil, refused("find "+on, err)
	}
	own, err := awaitOwn6(ctx, link)
	if err != nil {
		return nil, err
	}
	for _, a := range own {
		named = append(named, eui64(a, mac))
	}
	conn, err := icmp.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoIPv6, refused("icmpv6 socket", err))
	}
	defer conn.Close()
	p := conn.IPv6PacketConn()
	var none ipv6.ICMPFilter
	none.SetAll(true) // the answers are read off the kernel's neighbour table
	if err := p.SetICMPFilter(&none); err != nil {
		return nil, refused("icmpv6 filter", err)
	}
	words, err := (&icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Data: []byte("assay")}}).Marshal(nil)
	if err != nil {
		return nil, refused("icmpv6 message", err)
	}
	everybody := &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: on}
	tick := time.NewTicker(hostsRound)
	defer tick.Stop()
	for rounds := max(1, patience/hostsRound); rounds > 0; rounds-- {
		for _, a := range own {
			_, _ = p.WriteTo(words, &ipv6.ControlMessage{Src: a.AsSlice(), IfIndex: link.Attrs().Index, HopLimit: 1}, everybody)
		}
		for _, a := range named {
			touch6(a, on)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	return hosts6(link, mac)
}

// touch6 makes the kernel look for a host, without any privilege: somebody has a datagram for it.
func touch6(a netip.Addr, on string) {
	if a.IsLinkLocalUnicast() {
		a = a.WithZone(on)
	}
	c, err := net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, portDiscard)))
	if err != nil {
		return // no way leads there from here
	}
	_, _ = c.Write([]byte{0})
	_ = c.Close()
}

// awaitOwn6 waits until the bench has IPv6 addresses on the link.
func awaitOwn6(ctx context.Context, link netlink.Link) ([]netip.Addr, error) {
	const unfit = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED
	name := link.Attrs().Name
	for until := time.Now().Add(hostsOwn); ; {
		list, err := netlink.AddrList(link, netlink.FAMILY_V6)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, refused("list addresses of "+name, err)
		}
		var own []netip.Addr
		tentative := false
		for _, a := range list {
			tentative = tentative || a.Flags&unix.IFA_F_TENTATIVE != 0
			if at, ok := netip.AddrFromSlice(a.IP); ok && a.Flags&unfit == 0 {
				own = append(own, at)
			}
		}
		if len(own) > 0 && !tentative {
			return own, nil
		}
		if !time.Now().Before(until) {
			if len(own) > 0 {
				return own, nil
			}
			return nil, fmt.Errorf("%w: %s has no IPv6 address", ErrNoIPv6, name)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(neighbourLook):
		}
	}
}

// eui64 is the address that a host makes of its hardware address in the network of another (RFC 4291, appendix A).
func eui64(in netip.Addr, mac net.HardwareAddr) netip.Addr {
	b := in.As16()
	copy(b[8:], []byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	return netip.AddrFrom16(b)
}

// hosts6 reads the neighbours with a hardware address, whether they have been spoken to lately or not.
func hosts6(link netlink.Link, mac net.HardwareAddr) ([]netip.Addr, error) {
	const known = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE
	list, err := neighbours6(link)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, n := range list {
		a, ok := netip.AddrFromSlice(n.IP)
		if !ok || n.State&known == 0 || !bytes.Equal(n.HardwareAddr, mac) || a.IsMulticast() || a.Is4In6() {
			continue
		}
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(link.Attrs().Name)
		}
		out = append(out, a)
	}
	return out, nil
}
