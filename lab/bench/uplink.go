package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"assay/lab/bench/segment"
	"assay/probes"
)

const (
	resolvePatience = 5 * time.Second
	maxAddresses    = 8 // of one allowed name
)

// A way is what an uplink leads to: the fence's doors, and the addresses of their names, which the
// bench's DNS tells the device so that it knocks at those very doors.
type way struct {
	doors  []segment.Door
	pinned map[string][]netip.Addr
}

// findWay resolves what bench.yaml allows, before anything is opened.
func findWay(ctx context.Context, f *File) (*way, error) {
	w := &way{pinned: map[string][]netip.Addr{}}
	if f.Uplink == nil {
		return w, nil
	}
	if _, err := liveInterface(f.Uplink.Interface); err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	for _, one := range f.Uplink.Allow {
		d, err := parseDoor(one)
		if err != nil {
			return nil, unusable(fmt.Errorf("%s: uplink.allow: %w", f.Name, err))
		}
		at, err := w.resolve(ctx, f, d.host)
		if err != nil {
			return nil, withHint(fmt.Errorf("uplink: find %s: %w: %w", d.host, err, probes.ErrBench),
				"give its address in uplink.allow, or a name server of that network in dns.upstream")
		}
		for _, a := range at {
			w.doors = append(w.doors, segment.Door{To: netip.AddrPortFrom(a, d.port), UDP: d.udp})
		}
	}
	return w, nil
}

func (w *way) resolve(ctx context.Context, f *File, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if !a.Is4() {
			return nil, fmt.Errorf("%s is not an IPv4 address", a)
		}
		return []netip.Addr{a}, nil
	}
	if at, ok := w.pinned[host]; ok {
		return at, nil
	}
	r := net.DefaultResolver
	if f.DNS != nil && f.DNS.Upstream != "" {
		r = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, f.DNS.Upstream)
		}}
	}
	at, err := r.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return nil, err
	}
	for i := range at {
		at[i] = at[i].Unmap()
	}
	slices.SortFunc(at, netip.Addr.Compare)
	w.pinned[host] = at[:min(len(at), maxAddresses)]
	return w.pinned[host], nil
}

// fence shuts the segment in, and opens the way where there is an uplink.
func (b *Bench) fence(f *File, nic *segment.NIC, address netip.Prefix, w *way) error {
	uplink := ""
	if f.Uplink != nil {
		uplink = f.Uplink.Interface
	}
	fence, err := segment.Shut(f.Interface, address, uplink, w.doors)
	switch {
	case err == nil:
		b.onClose(fence.Open)
	case uplink != "":
		return withHint(fmt.Errorf("uplink: %w: %w", err, probes.ErrBench), "an uplink needs nftables in the kernel: sudo modprobe nf_tables nft_masq nft_ct, or take `uplink` out of "+f.Name)
	default:
		b.note("no fence of rules (%v): the interface forwards nothing, but the device may reach this machine's other addresses", err)
		return nil
	}
	if uplink == "" {
		return nil
	}
	if err := nic.Forward(uplink); err != nil {
		return fmt.Errorf("uplink: %w: %w", err, probes.ErrBench)
	}
	b.note("the device may reach, by way of %s: %v", uplink, f.Uplink.Allow)
	return nil
}
