package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"assay/lab/bench/segment"
	"assay/probes"
)

// selfName is a name that exists nowhere (RFC 6761): the bench asks its own name server for it.
const selfName = "bench.assay.invalid."

// Check finds out whether the bench still works: its capture runs, its interface is there with its
// address, its name server answers. What a probe did to the link on purpose is no fault.
func (b *Bench) Check(ctx context.Context) error {
	var errs []error
	if b.Capture != nil {
		if s := b.Capture.Stats(); s.Err != "" || !s.Running {
			errs = append(errs, fmt.Errorf("the capture has stopped: %s", s.Err))
		}
	}
	for _, check := range b.checks {
		errs = append(errs, check(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	return nil
}

// Dropped tells how many frames the kernel has lost so far; false: nothing is captured.
func (b *Bench) Dropped() (uint64, bool) {
	if b.Capture == nil {
		return 0, false
	}
	return b.Capture.Stats().Dropped, true
}

// checkOwned watches over the gateway's interface.
func (b *Bench) checkOwned(name string, address netip.Prefix) {
	b.checks = append(b.checks, func(context.Context) error {
		n, err := segment.Look(name)
		if err != nil {
			return err
		}
		if l, ok := b.Probes.Link.(*link); !n.Up && (!ok || !l.touched.Load()) {
			return fmt.Errorf("somebody has set %s down", name)
		}
		all, err := net.InterfaceAddrs()
		if err != nil {
			return fmt.Errorf("list this machine's addresses: %w", err)
		}
		for _, a := range all {
			if a.String() == address.String() {
				return nil
			}
		}
		return fmt.Errorf("somebody has taken the address %s off %s", address, name)
	})
}

// checkNames asks the bench's own name server.
func (b *Bench) checkNames(at string) {
	b.checks = append(b.checks, func(ctx context.Context) error {
		q := new(dns.Msg)
		q.SetQuestion(selfName, dns.TypeA)
		if _, err := dns.ExchangeContext(ctx, q, at); err != nil {
			return fmt.Errorf("the bench's name server does not answer: %w", err)
		}
		return nil
	})
}
