package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"assay/lab/bench/segment"
)

// hostsPatience is how long the device's IPv6 addresses are looked for: one that has just been switched on tests its own
// for duplicates for about two seconds (RFC 4862, 5.1 and 5.4.2).
const hostsPatience = 3 * time.Second

// scanner is for the unit on the bench.
func (b *Bench) scanner(o Options) *scanner {
	on := segment.Bridge
	if b.Mode != ModeReference {
		on = o.File.Interface
	}
	mac := ""
	if unit, err := unitOf(o.Dossier, o.Unit); err == nil {
		mac = unit.MAC
	}
	return b.knocks(newScanner(b.Mode, b.Host, o.Dossier), on, mac)
}

// knocks makes the scanner of the device on an interface, for all its addresses. mac is its hardware address; empty: the
// kernel is asked from where the device's own address answers.
func (b *Bench) knocks(s *scanner, on, mac string) *scanner {
	s.others = func(ctx context.Context, own netip.Addr) ([]netip.Addr, string, error) {
		if own.Is6() {
			return nil, "IPv4: the bench knows the device by " + own.String() + " alone", nil
		}
		if b.Mode == ModeReference && !segment.HasIPv6() {
			return nil, "", nil // the device is a process of this kernel
		}
		device, err := net.ParseMAC(mac)
		if mac == "" {
			device, err = neighbour(ctx, on, own.String())
		}
		if err != nil || len(device) != 6 {
			return nil, fmt.Sprintf("IPv6: the device's hardware address is not known on %s", on), nil //nolint:nilerr // it is told
		}
		return b.addresses6(ctx, on, device)
	}
	s.gone = func(ctx context.Context, a netip.Addr) bool {
		have, err := segment.Neighbour6(ctx, on, a.WithZone(""), neighbourPatience)
		return err == nil && have == nil
	}
	return s
}

// addresses6 finds the device's IPv6 addresses, or tells why they cannot be scanned.
func (b *Bench) addresses6(ctx context.Context, on string, device net.HardwareAddr) (found []netip.Addr, lacks string, err error) {
	var used []netip.Addr
	if b.Capture != nil {
		if used, err = b.Capture.Addresses6(ctx, device); err != nil {
			return nil, "", err
		}
	}
	found, err = segment.Hosts6(ctx, on, device, used, hostsPatience)
	switch {
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case errors.Is(err, segment.ErrNoIPv6):
		return nil, "IPv6: " + err.Error(), nil
	case err != nil:
		return nil, "", err
	case len(found) == 0 && len(used) > 0:
		return nil, fmt.Sprintf("IPv6: the device has used %s, and answers at none of its addresses", used[0]), nil
	}
	// A network's own addresses come before those of the link: what both answer is told once.
	slices.SortFunc(found, netip.Addr.Compare)
	return found, "", nil
}
