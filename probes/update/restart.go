package update

import (
	"context"
	"fmt"
	"slices"
	"time"

	"assay/probes"
)

// How a device was made to start again.
const (
	ByReboot = "reboot" // its own operation
	ByPower  = "power"  // its supply
)

// unlit is how long the supply stays away at least.
const unlit = time.Second

// A Restart is what the device did when it had to start again.
type Restart struct {
	By   string // ByReboot or ByPower; empty where this bench can do neither
	Seen bool   // it was seen to be away
	Back bool   // and in good health again, without any change for the time of settling
	State

	seen []string
	same func(a, b string) bool
}

// Saw tells whether the device told that version since it was back.
func (r *Restart) Saw(version string) bool {
	return slices.ContainsFunc(r.seen, func(seen string) bool { return r.same(seen, version) })
}

// Restart has the device start again and waits until it has settled, or patience ends. Its own reboot is the gentler
// way: what a cut of the supply does to it is another probe's question.
func (p *Path) Restart(ctx context.Context, settle time.Duration) (Restart, error) {
	r := Restart{same: p.Same}
	var err error
	switch {
	case slices.Contains(p.bench.Device.Operations(), probes.Reboot):
		r.By = ByReboot
		_, err = p.do(ctx, probes.Reboot, nil) // what counts is whether it goes: it may do so before it answers
	case p.bench.Power != nil:
		r.By = ByPower
		r.Seen, err = p.cut(ctx)
	}
	if r.By == "" || err != nil {
		return r, err
	}
	return r, p.back(ctx, &r, settle)
}

// cut takes the supply away until the device is silent, and gives it back whatever happens.
func (p *Path) cut(ctx context.Context) (silent bool, err error) {
	power, clock := p.bench.Power, p.bench.Clock
	if err := power.Off(ctx); err != nil {
		return false, fmt.Errorf("cut the supply: %w", err)
	}
	lit := false
	defer func() {
		if !lit {
			_ = power.On(context.WithoutCancel(ctx)) // the first error says what went wrong
		}
	}()
	for begun := clock.Now(); ; {
		res, err := p.do(ctx, probes.Health, nil)
		if err != nil {
			return false, err
		}
		silent = res.Outcome == probes.Unreachable || res.Outcome == probes.Silent
		if off := clock.Now().Sub(begun); silent && off >= unlit || off >= p.wait {
			break // a capacitor or a battery may carry it on for a while
		}
		if err := clock.Wait(ctx, pollPause); err != nil {
			return false, fmt.Errorf("keep the supply away: %w", err)
		}
	}
	if err := power.On(ctx); err != nil {
		return false, fmt.Errorf("give the supply back: %w", err)
	}
	lit = true
	return silent, nil
}

// back watches the device until it has settled.
func (p *Path) back(ctx context.Context, r *Restart, settle time.Duration) error {
	clock := p.bench.Clock
	begun := clock.Now()
	changed := begun
	for {
		state, err := p.Look(ctx)
		if err != nil {
			return err
		}
		now := clock.Now()
		if state != r.State {
			r.State, changed = state, now
		}
		r.Seen = r.Seen || !state.Healthy
		if r.Seen && state.Version != "" && !slices.Contains(r.seen, state.Version) {
			r.seen = append(r.seen, state.Version)
		}
		if r.Back = r.Seen && state.Healthy && state.Version != "" && now.Sub(changed) >= settle; r.Back || now.Sub(begun) >= p.wait+settle {
			return nil
		}
		if err := clock.Wait(ctx, pollPause); err != nil {
			return fmt.Errorf("wait for the device to start again: %w", err)
		}
	}
}
