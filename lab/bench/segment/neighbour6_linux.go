package segment

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

const neighbourLook = 10 * time.Millisecond

// Neighbour6 is the hardware address of a host on an interface, by the kernel's neighbour discovery (RFC 4861). The
// kernel is made to ask where it does not know; nil is a host that did not answer in time.
func Neighbour6(ctx context.Context, on string, at netip.Addr, patience time.Duration) (net.HardwareAddr, error) {
	link, err := netlink.LinkByName(on)
	if err != nil {
		return nil, refused("find "+on, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for asked := false; ; {
		mac, err := known6(link, at)
		if mac != nil || err != nil {
			return mac, err
		}
		if !asked {
			asked = true
			// "Use" makes the kernel resolve the address as if somebody had a packet for it.
			if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V6, Flags: netlink.NTF_USE, State: netlink.NUD_NONE, IP: at.AsSlice()}); err != nil {
				return nil, refused("look for "+at.String()+" on "+on, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(neighbourLook):
		}
	}
}

// neighbours6 lists what the kernel knows of hosts on a link.
func neighbours6(link netlink.Link) (list []netlink.Neigh, err error) {
	for range 3 { // a dump that the table changed under is begun again
		if list, err = netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V6); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return list, refused("list neighbours", err)
}

func known6(link netlink.Link, at netip.Addr) (net.HardwareAddr, error) {
	const known = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE
	list, err := neighbours6(link)
	if err != nil {
		return nil, err
	}
	for _, n := range list {
		if a, ok := netip.AddrFromSlice(n.IP); ok && a == at && n.State&known != 0 && len(n.HardwareAddr) == 6 {
			return n.HardwareAddr, nil
		}
	}
	return nil, nil
}
