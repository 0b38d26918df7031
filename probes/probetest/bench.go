package probetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"assay/probes"
)

// A Thermostat is the scripted device and everything on its bench. Time passes only
// through its clock, and it counts every use of an instrument.
type Thermostat struct {
	mu     sync.Mutex
	script Script
	clock  *Clock
	calls  int
	cancel context.CancelFunc // called at call cancelAt
	at     int                // call that cancels or breaks; 0: none
	broken bool               // call at breaks instead of cancelling

	later   []event // what will happen
	up      time.Time
	bricked bool
	looks   int      // questions for its health
	secrets []string // everything that must not be written down

	logins  logins
	updates updates
	wiping  wiping
	calling calling
}

type event struct {
	at time.Time
	do func()
}

// New makes a thermostat that behaves by a script.
func New(s Script) (*Thermostat, error) {
	t := &Thermostat{script: s.withDefaults(), clock: &Clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}}
	t.secrets = append(t.secrets, t.script.Login.Password)
	for _, l := range t.script.Others {
		t.secrets = append(t.secrets, l.Password)
	}
	t.wiping.reset()
	if err := t.updates.manufacture(t.script); err != nil {
		return nil, err
	}
	return t, nil
}

// Bench returns the instruments that the script does not take away.
func (t *Thermostat) Bench() *probes.Bench {
	b := &probes.Bench{
		Device: device{t}, Updates: updateServer{t}, Images: images{t},
		Broker: broker{t}, Sniffer: sniffer{t}, Flash: flash{t}, Scanner: scanner{t}, Power: supply{t}, Clock: clock{t},
		Advisories: advisories{t}, Interceptor: interceptor{t},
	}
	for _, lacking := range t.script.Without {
		switch lacking {
		case probes.InstrumentUpdates:
			b.Updates = nil
		case probes.InstrumentImages:
			b.Images = nil
		case probes.InstrumentAdvisories:
			b.Advisories = nil
		case probes.InstrumentBroker:
			b.Broker = nil
		case probes.InstrumentSniffer:
			b.Sniffer = nil
		case probes.InstrumentFlash:
			b.Flash = nil
		case probes.InstrumentScanner:
			b.Scanner = nil
		case probes.InstrumentInterceptor:
			b.Interceptor = nil
		case probes.InstrumentPower:
			b.Power = nil
		}
	}
	return b
}

// use counts one use of an instrument, lets time pass, and lets happen what was due.
// The caller must not hold the lock.
func (t *Thermostat) use(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.at != 0 && t.calls == t.at {
		if t.broken {
			return fmt.Errorf("a cable came off: %w", probes.ErrBench)
		}
		t.cancel()
	}
	t.clock.pass(5 * time.Millisecond)
	t.happen()
	return nil
}

// happen does what is due, in order.
func (t *Thermostat) happen() {
	for {
		now := t.clock.Now()
		i := slices.IndexFunc(t.later, func(e event) bool { return !e.at.After(now) })
		if i < 0 {
			return
		}
		e := t.later[i]
		t.later = slices.Delete(t.later, i, i+1)
		e.do()
	}
}

func (t *Thermostat) after(d time.Duration, do func()) {
	t.later = append(t.later, event{t.clock.Now().Add(d), do})
}

// restart makes the device deaf for a while.
func (t *Thermostat) restart(d time.Duration) { t.up = t.clock.Now().Add(d) }

// clock is the Clock that is counted as an instrument too.
type clock struct{ t *Thermostat }

func (c clock) Now() time.Time { return c.t.clock.Now() }

func (c clock) Wait(ctx context.Context, d time.Duration) error {
	if err := c.t.use(ctx); err != nil {
		return err
	}
	return c.t.clock.Wait(ctx, d)
}
