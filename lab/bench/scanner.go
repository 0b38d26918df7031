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
	others   func(context.Context, netip.Addr) ([]netip.Addr, string, error) // IPv6 addresses of the device beside its own; nil: not looked for
	gone     func(context.Context, netip.Addr) bool                          // whether nobody has the address any more
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
	out, err := s.at(target).Scan(ctx, r)
	if err != nil || s.others == nil {
		return out, err
	}
	if err := s.over6(ctx, r, target, &out); err != nil {
		return probes.Scan{}, err
	}
	return out, nil
}

func (s *scanner) at(target netip.Addr) *scan.Scanner {
	return &scan.Scanner{Target: target, Controls: s.controls, UDP: s.udp, Rate: s.rate}
}

// maxScanned6 bounds the IPv6 addresses that are scanned: a host has one of its link, and for each prefix one that stays, one
// that changes and one that was leased.
const maxScanned6 = 6

// over6 scans the device's IPv6 addresses. A firewall that guards one family alone, or a service that listens on one, is
// an old story: what was not tried is told, and makes the scan incomplete.
func (s *scanner) over6(ctx context.Context, r probes.ScanRequest, own netip.Addr, out *probes.Scan) error {
	all, lacks, err := s.others(ctx, own)
	if err != nil {
		return fmt.Errorf("scan the device over IPv6: %w: %w", err, probes.ErrBench)
	}
	if lacks != "" {
		out.Unscanned = append(out.Unscanned, lacks)
	}
	for i, a := range all {
		if i == maxScanned6 {
			out.Unscanned = append(out.Unscanned, fmt.Sprintf("IPv6: the device has %d addresses, %d were scanned", len(all), i))
			break
		}
		answers, err := s.at(a).Answers(ctx)
		if err != nil {
			return fmt.Errorf("scan %s: %w: %w", a, err, probes.ErrBench)
		}
		if !answers && s.gone(ctx, a) {
			continue // it had the address once
		}
		at := s.at(a)
		at.Witness = own
		six, err := at.Scan(ctx, r)
		if err != nil {
			return err
		}
		if !six.Complete {
			out.Unscanned = append(out.Unscanned, fmt.Sprintf("%s: %d ports stayed silent, and none that was known to answer meanwhile", a, six.Silent))
		}
		scan.Join(out, six)
	}
	out.Complete = out.Complete && len(out.Unscanned) == 0
	return nil
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
