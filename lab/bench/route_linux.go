package bench

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"assay/probes"
)

// routed refuses a bench whose capture would watch one interface while its questions
// leave by another: nothing that it saw or did not see would be about the device.
func routed(ctx context.Context, host string, on *net.Interface) error {
	ips, err := new(net.Resolver).LookupIP(ctx, "ip", host)
	if err != nil {
		return withHint(fmt.Errorf("find the device %s: %w: %w", host, err, probes.ErrBench), "give the unit's address as host in the dossier")
	}
	for _, ip := range ips {
		routes, err := netlink.RouteGet(ip)
		if err != nil {
			return withHint(fmt.Errorf("find a route to the device at %s: %w: %w", ip, err, probes.ErrBench),
				fmt.Sprintf("give %s an address on the device's network: ip addr add ADDRESS/24 dev %s", on.Name, on.Name))
		}
		for _, r := range routes {
			if r.LinkIndex == on.Index {
				continue
			}
			other := fmt.Sprintf("interface %d", r.LinkIndex)
			if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
				other = l.Attrs().Name
			}
			return withHint(fmt.Errorf("the way to the device at %s leaves by %s, not by %s, which the bench file names: %w", ip, other, on.Name, probes.ErrBench),
				fmt.Sprintf("name %s in the bench file, or route the device through %s: ip route add %s/32 dev %s", other, on.Name, ip, on.Name))
		}
	}
	return nil
}
