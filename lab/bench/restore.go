package bench

import (
	"cmp"
	"context"

	"fmt"
	"slices"
	"time"

	"assay/lab/bench/states"
	"assay/probes"
	"assay/profiles/dossier"
)

const (
	// restTime is how long a device may take to be well again, whatever was done to it. Real devices
	// format their storage when they are reset.
	restTime = 90 * time.Second
	// settleTime is how long it must stay well to count as back: a reset begins some time after it was asked for.
	settleTime = 2 * time.Second
	// darkTime is how long the supply stays away: capacitors carry a small device over a second or two.
	darkTime = 5 * time.Second

	// What moves usually take, in seconds. A person's time costs more than a machine's.
	costWait, costOn, costOff, costCycle, costReset, costFlash, costHand = 20, 20, 6, 25, 20, 60, 150

	// asDelivered is the state of a unit of which the dossier does not say in which it was delivered.
	asDelivered states.State = "as delivered"
)

// flashMove is the move that writes the storage as it was delivered.
const flashMove = "flash.restore"

// unit notes in which state the unit was delivered: what Restore brings it back to.
func (b *Bench) unit(u dossier.Unit) {
	b.delivered = asDelivered
	if u.State != "" {
		b.delivered = states.State(u.State)
	}
}

// strategy is what this bench and the dossier can do to the device's state.
func (b *Bench) strategy() *states.Strategy {
	moves := b.own
	add := func(name string, seconds int, to states.State, do func(context.Context) error, from ...states.State) {
		moves = append(moves, states.Move{Name: name, From: from, To: to, Seconds: seconds, Do: do})
	}
	well := func(ctx context.Context) error { return b.awaitWell(ctx, 0) }
	add("wait until it answers", costWait, states.InUse, b.awaitUp, states.Booting)
	if s := b.switched; s != nil {
		add("power on", costOn, states.InUse, after(s.On, well), states.Off)
		add("power off", costOff, states.Off, s.Off, append(states.Up(), asDelivered, states.Booting)...)
		cut := func(ctx context.Context) error { return s.Cycle(ctx, darkTime) }
		add("power cycle", costCycle, states.InUse, after(cut, well), states.Booting)
	}
	for _, o := range []struct {
		name string
		to   states.State
		from []states.State
	}{
		{probes.Restore, b.delivered, []states.State{states.InUse}},
		{probes.ResetPrefix + "command", states.FactoryDefault, []states.State{states.InUse, states.Commissioned}},
		{probes.ResetPrefix + "button", states.FactoryDefault, []states.State{states.InUse, states.Commissioned, states.Booting}},
		{probes.Commission, states.Commissioned, []states.State{states.FactoryDefault}},
	} {
		if operation, has := b.operations[o.name]; has {
			cost := costReset
			if asksPerson(operation, b.pressed) {
				cost = costHand
			}
			settled := func(ctx context.Context) error { return b.awaitWell(ctx, settleTime) }
			add(o.name, cost, o.to, after(b.done(o.name), settled), o.from...)
		}
	}
	return &states.Strategy{Moves: moves, Observe: b.observe, Clock: b.Probes.Clock}
}

// flashed adds the move that writes the storage as delivered, by the lab's own program.
func (b *Bench) flashed(f *Storage, dir string) {
	if f == nil || len(f.Restore) == 0 {
		return
	}
	write := command{f.Restore, dir}
	b.own = append(b.own, states.Move{
		Name: flashMove, Seconds: costFlash, To: b.delivered, From: []states.State{states.InUse, states.Booting},
		Do: func(ctx context.Context) error {
			if err := write.run(ctx, flashMove, nil); err != nil {
				return err
			}
			if b.switched != nil {
				// What was written counts from the next start.
				if err := b.switched.Cycle(ctx, darkTime); err != nil {
					return err
				}
			}
			return b.awaitWell(ctx, settleTime)
		},
	})
}

// observe looks what the device is in. That it holds what it was delivered with, no look can tell.
func (b *Bench) observe(ctx context.Context) states.State {
	switch {
	case b.switched != nil && b.switched.Dark():
		return states.Off
	case b.Host() != "" && b.Healthy(ctx):
		return states.InUse
	}
	return states.Booting
}

// restoreByStrategy brings the device back to the state in which it was delivered. Where nothing leads
// there it stays as it is, which the record tells, and only its health is waited for.
func (b *Bench) restoreByStrategy(ctx context.Context) error {
	s := b.strategy()
	want := b.delivered
	if _, leads := states.Ways(s.Moves, states.InUse, want); !leads {
		b.say("restore: nothing that the dossier or the bench offers leads to %s, the device stays as it is", want)
		want = states.InUse
	}
	deeds, err := s.Reach(ctx, want, want != states.InUse)
	b.deeds = append(b.deeds, deeds...)
	for _, d := range deeds {
		if d.Error != "" {
			b.say("restore: %s: %s", d.Move, d.Error)
		}
	}
	return err
}

// Restored tells what was done to bring the device back since it was last asked, for the record.
func (b *Bench) Restored() any {
	deeds := b.deeds
	b.deeds = nil
	if len(deeds) == 0 {
		return nil
	}
	return deeds
}

// done makes the device do an operation of the dossier.
func (b *Bench) done(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := b.driver.Do(ctx, name, nil)
		if err != nil {
			return err
		}
		if r.Outcome != probes.Done {
			return fmt.Errorf("operation %s: the device answered %s: %w", name, r.Outcome, probes.ErrBench)
		}
		return nil
	}
}

// awaitWell waits until the device has answered in good health for a time without a break.
func (b *Bench) awaitWell(ctx context.Context, settle time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	clock := b.Probes.Clock
	var since time.Time
	var why string
	for {
		if !b.well(ctx, &why) {
			since = time.Time{}
		} else if since.IsZero() {
			since = clock.Now()
		}
		if !since.IsZero() && clock.Now().Sub(since) >= settle {
			return nil
		}
		if err := clock.Wait(ctx, bootPause); err != nil {
			return fmt.Errorf("wait for the device: %s: %w: %w", cmp.Or(why, "it was not well for long enough"), err, probes.ErrBench)
		}
	}
}

// after does one thing and then another.
func after(first, then func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := first(ctx); err != nil {
			return err
		}
		return then(ctx)
	}
}

// asksPerson tells whether an operation takes somebody's hands; pressed says that the bench presses buttons itself.
func asksPerson(o dossier.Operation, pressed bool) bool {
	return slices.ContainsFunc(o.Steps, func(s dossier.Step) bool { return s.Person != nil || s.Button != nil && !pressed })
}

// stays tells before the run that nothing brings the device back to how it was delivered; empty where something does.
func (b *Bench) stays() string {
	if _, leads := states.Ways(b.strategy().Moves, states.InUse, b.delivered); leads {
		return ""
	}
	if b.delivered == asDelivered {
		return "the dossier declares no operation " + probes.Restore + " and no state of the unit"
	}
	return "no operation of the dossier and no instrument of the bench leads to " + string(b.delivered)
}
