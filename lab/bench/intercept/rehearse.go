package intercept

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"assay/probes"
)

// A rehearsal is a scenario for one caller who is not the device.
type rehearsal struct {
	from  netip.Addr
	stage *stage
}

// Rehearse presents a scenario at one way in to one address alone, until end is called. The device is not hung up on,
// goes on being answered as before, and the calls of that address are not written down.
func (i *Interceptor) Rehearse(ctx context.Context, via string, s probes.Scenario, from netip.Addr) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	chain, err := i.o.Cloud.Chain(s, i.o.Now())
	if err != nil {
		return nil, fmt.Errorf("rehearse %s at %s: %w: %w", s, via, err, probes.ErrBench)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	g := i.gates[via]
	if g == nil {
		return nil, fmt.Errorf("rehearse %s at %.16s: the bench has no such way in: %w", s, via, probes.ErrBench)
	}
	r := &rehearsal{from.Unmap(), &stage{scenario: s, chain: chain, conns: map[*watched]struct{}{}}}
	g.rehearsal = r
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if g.rehearsal == r {
			g.rehearsal = nil
		}
	}, nil
}

// of tells whether a caller is the one that the rehearsal is for.
func (r *rehearsal) of(caller net.Addr) bool {
	if r == nil || caller == nil {
		return false
	}
	at, err := netip.ParseAddrPort(caller.String())
	return err == nil && at.Addr().Unmap() == r.from
}
