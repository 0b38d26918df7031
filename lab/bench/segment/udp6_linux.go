package segment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// GroupUDP6 opens a UDP socket on one interface that hears a multicast group.
func GroupUDP6(ctx context.Context, on *net.Interface, group string, port int) (net.PacketConn, error) {
	c, err := listen6(ctx, fmt.Sprintf("[::]:%d", port), func(fd int) error { return unix.BindToDevice(fd, on.Name) })
	if err != nil {
		return nil, refused("dhcpv6 socket", err)
	}
	if err := ipv6.NewPacketConn(c).JoinGroup(on, &net.UDPAddr{IP: net.ParseIP(group)}); err != nil {
		return nil, errors.Join(refused("join "+group, err), c.Close())
	}
	return c, nil
}

// FreeUDP6 opens a UDP socket at an address that its interface may not have yet, because it is down.
func FreeUDP6(ctx context.Context, at netip.Addr, port int) (net.PacketConn, error) {
	c, err := listen6(ctx, netip.AddrPortFrom(at, uint16(port)).String(), freebind) //nolint:gosec // a constant
	if err != nil {
		return nil, refused("listen at "+at.String(), err)
	}
	return c, nil
}

// FreeTCP6 is FreeUDP6 for connections.
func FreeTCP6(ctx context.Context, at netip.Addr, port int) (net.Listener, error) {
	config := prepared(freebind)
	l, err := config.Listen(ctx, "tcp6", netip.AddrPortFrom(at, uint16(port)).String()) //nolint:gosec // a constant
	if err != nil {
		return nil, refused("listen at "+at.String(), err)
	}
	return l, nil
}

func freebind(fd int) error {
	const option = 78 // IPV6_FREEBIND (linux/in6.h)
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option, 1)
}

func listen6(ctx context.Context, at string, prepare func(fd int) error) (net.PacketConn, error) {
	config := prepared(prepare)
	return config.ListenPacket(ctx, "udp6", at)
}

// prepared makes sockets that something is done to before they are bound.
func prepared(prepare func(fd int) error) net.ListenConfig {
	return net.ListenConfig{Control: func(_, _ string, raw syscallConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = prepare(int(fd)) })
		return errors.Join(err, failed)
	}}
}
