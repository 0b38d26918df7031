package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"assay/lab/bench/scan"
	"assay/probes"
	"assay/profiles/dossier"
)

// How many ports a second are tried where nobody asks for another pace. The reference device is a
// process of this kernel; a real one may have a stack that a faster scan would bring down.
const (
	rateReference = 50_000
	rateAttached  = 2_000
)

// scanner knocks at the ports of the unit on the bench.
type scanner struct {
	host     func() string
	rate     int
	controls []int
	udp      []scan.Socket
}

// newScanner takes from the dossier which ports should answer: TCP ports for the control, UDP ports
// for what to ask. Those that are declared disabled are asked too.
func newScanner(mode string, host func() string, d *dossier.Dossier) *scanner {
	s := &scanner{host: host, rate: rateReference}
	if mode == ModeAttached || mode == ModeGateway {
		s.rate = rateAttached
	}
	for _, l := range d.Listens() {
		switch {
		case l.Protocol == "udp":
			s.udp = append(s.udp, scan.Socket{Port: l.Port, Application: l.Application})
		case l.Protocol == "tcp" && l.Status != "disabled" && l.InUse():
			s.controls = append(s.controls, l.Port)
		}
	}
	return s
}

// Scan tries ports of the device's address as it is now.
func (s *scanner) Scan(ctx context.Context, r probes.ScanRequest) (probes.Scan, error) {
	target, err := lookup(ctx, s.host())
	if err != nil {
		return probes.Scan{}, fmt.Errorf("scan the device: %w: %w", err, probes.ErrBench)
	}
	if err := foreign(target); err != nil {
		return probes.Scan{}, fmt.Errorf("scan the device: %w: %w", err, probes.ErrBench)
	}
	one := scan.Scanner{Target: target, Controls: s.controls, UDP: s.udp, Rate: s.rate}
	return one.Scan(ctx, r)
}

// lookup finds the address of a host.
func lookup(ctx context.Context, host string) (netip.Addr, error) {
	if host == "" {
		return netip.Addr{}, fmt.Errorf("the device has no address yet")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap(), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return found[0].Unmap(), nil
}

// foreign refuses an address of this machine: what answers there is not the device.
func foreign(target netip.Addr) error {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("list this machine's addresses: %w", err)
	}
	mine := target.IsLoopback() || target.IsUnspecified() || target.IsMulticast()
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == target.WithZone("") {
			mine = true
		}
	}
	if mine {
		return fmt.Errorf("%s is an address of this machine or of no single device: a port that answers may be anybody's", target)
	}
	return nil
}
