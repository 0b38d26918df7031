package bench

import (
	"context"
	"errors"
	"net"

	"github.com/vishvananda/netlink"
)

// neighbour is the MAC address from which a host answered last on an interface, as the kernel knows it; empty
// where the kernel has none, because the host is behind a router or has not been spoken to for long.
func neighbour(ctx context.Context, on, host string) (net.HardwareAddr, error) {
	link, err := netlink.LinkByName(on)
	if err != nil {
		return nil, err
	}
	ips, err := new(net.Resolver).LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	const known = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE
	var list []netlink.Neigh
	for range 3 { // a dump that the table changed under is begun again
		if list, err = netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for _, n := range list {
		for _, ip := range ips {
			if n.IP.Equal(ip) && n.State&known != 0 && len(n.HardwareAddr) == 6 {
				return n.HardwareAddr, nil
			}
		}
	}
	return nil, nil
}
