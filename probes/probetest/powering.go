package probetest

import (
	"context"
	"fmt"
	"time"

	"assay/probes"
)

// Powering says how the device takes a cut of its supply.
type Powering struct {
	Battery   bool          // goes on answering without its supply
	Forgetful bool          // what was stored is gone after a cut
	Reads     bool          // after a cut the read operations answer no more
	DiesDark  bool          // never answers again after a cut
	Loops     bool          // after a cut it answers for a second, again and again
	Reverts   bool          // another version runs after a cut
	Loses     int           // the one question for its health, counted from 1, that it leaves without an answer
	Boots     time.Duration // from the return of the supply until it answers; default 800 ms
}

// dark is a time at which no device is up.
var dark = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// supply is the switch before the thermostat.
type supply struct{ t *Thermostat }

func (s supply) Off(ctx context.Context) error {
	if err := s.t.use(ctx); err != nil {
		return fmt.Errorf("switch off: %w", err)
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.t.script.Battery {
		return nil
	}
	s.t.later = nil
	s.t.up = dark
	return nil
}

func (s supply) On(ctx context.Context) error {
	if err := s.t.use(ctx); err != nil {
		return fmt.Errorf("switch on: %w", err)
	}
	t := s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.script.Powering
	if p.Battery {
		return nil
	}
	if p.Boots == 0 {
		p.Boots = 800 * time.Millisecond
	}
	t.restart(p.Boots)
	t.updates.started()
	if p.Forgetful {
		t.wiping.stored = map[string]string{}
	}
	if p.Reverts {
		t.updates.version = t.script.Versions[0]
	}
	if p.Reads {
		t.script.Answers = map[string]probes.Outcome{"read-name": probes.Silent, "read-wifi": probes.Silent}
	}
	if p.Loops {
		var fall func()
		fall = func() {
			t.restart(time.Second)
			t.after(2*time.Second, fall)
		}
		t.after(p.Boots+time.Second, fall)
	}
	t.bricked = t.bricked || p.DiesDark
	return nil
}
