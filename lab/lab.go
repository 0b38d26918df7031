// Package lab is the run loop: it takes a plan through a bench, stamps what each
// probe saw as an observation and appends it to the evidence as it happens. It never
// chooses a question, never judges an answer, and knows no probe by name.
package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/plan"
)

// A Rig is what the loop needs of a bench.
type Rig interface {
	// Instruments are handed to every probe.
	Instruments() *probes.Bench
	// Restore brings the device back to the known state it was delivered in, as far as this bench can.
	Restore(ctx context.Context) error
	// Healthy tells whether the device answers its health operation now.
	Healthy(ctx context.Context) bool
}

// A Restorer is a rig that tells what it did to bring the device back, for the record.
type Restorer interface {
	// Restored tells what was done since it was last asked; nil: nothing.
	Restored() any
}

// A Witness is a rig that can tell, after an exchange, whether the unit under test is the one that answered.
type Witness interface {
	// Witness returns an error where another one did.
	Witness(ctx context.Context) error
}

// A Run is one device on one bench through one plan.
type Run struct {
	Rig     Rig
	Plan    *plan.Plan
	Kinds   []probes.Kind
	Journal *evidence.Journal
	Unit    string
	Capture string // name of the capture's artefact; empty where nothing is captured
	Watch   func(Event)
	Proved  func(SelfTest) // is told of each; nil: nobody listens
	Every   int            // steps between two tests of the bench with a known-good device; 0: before and after the run only

	// Others are further units of the model: each step is asked of every unit before the next step.
	Others []Specimen

	// Earlier are the observations that were made before an interruption; empty in a run without any. What they
	// settle is not asked again.
	Earlier []probes.Observation
	// Sync puts the capture on the disk before an observation cites it; nil: there is nothing to put.
	Sync func() error

	unsure bool // nobody knows in which state an interruption has left the device
}

// A Specimen is one more unit and its own instruments.
type Specimen struct {
	Unit    string
	Rig     Rig
	Capture string
	Sync    func() error
}

// each lists a run for every unit.
func (r *Run) each() []*Run {
	r.unsure = len(r.Earlier) > 0
	all := []*Run{r}
	for _, s := range r.Others {
		other := *r
		other.Rig, other.Unit, other.Capture, other.Sync = s.Rig, s.Unit, s.Capture, s.Sync
		all = append(all, &other)
	}
	return all
}

// An Event tells a watcher how far the run has come.
type Event struct {
	Step        plan.Step
	Unit        string // where several are tested
	Number, Of  int
	Observation *probes.Observation // nil: the step begins
}

// Outcome is how a run ended.
type Outcome string

const (
	Finished  Outcome = "finished"  // every step was asked or has its reason
	Cancelled Outcome = "cancelled" // somebody stopped it
	Broken    Outcome = "broken"    // evidence could no longer be written
)

// patience bounds a step that has no deadline of its own: many times its typical length.
func patience(s plan.Step) time.Duration {
	return time.Duration(60+10*s.Typical) * time.Second
}

// restorePatience bounds bringing the device back before a step, by all the ways that there are.
const restorePatience = 15 * time.Minute

// Do asks every step in order. Only evidence that cannot be written, and a bench that is unfit before the first step (an *UnfitError), is an error;
// what a step's bench or device did wrong is in its observation.
func (r *Run) Do(ctx context.Context) (Outcome, error) {
	outcome := Finished
	units := r.each()
	for _, u := range units {
		if err := u.sound(ctx, "before"); err != nil {
			return Broken, err
		}
	}
	if t, err := r.prove(ctx, "before"); err != nil {
		return Broken, err
	} else if t != nil && t.Wrong() != "" {
		return Broken, &UnfitError{*t}
	}
	bad, asked := false, 0
	number, of := 0, len(r.Plan.Steps)*len(units)
	for _, step := range r.Plan.Steps {
		last := ""
		for _, u := range units {
			number++
			attempt, due := Due(step, u.Unit, r.Earlier)
			if !due {
				continue
			}
			if ctx.Err() != nil {
				outcome = Cancelled
			}
			event := Event{Step: step, Number: number, Of: of}
			if len(units) > 1 {
				event.Unit = u.Unit
			}
			r.tell(event)
			if bad && step.NotAsked == "" {
				step.NotAsked = WentBad
			}
			o, err := u.settle(ctx, r, number, attempt, step)
			if err != nil {
				return Broken, err
			}
			event.Observation = o
			r.tell(event)
			if o.NotAsked == "" {
				last = o.ID
			}
		}
		if last != "" {
			asked++
			var err error
			if bad, err = r.between(ctx, asked, last); err != nil {
				return Broken, err
			}
		}
	}
	if ctx.Err() != nil {
		outcome = Cancelled
	}
	for _, u := range units {
		if err := u.sound(ctx, "after"); err != nil {
			return Broken, err
		}
	}
	if !bad { // what follows a bad one counts for nothing anyway
		if _, err := r.prove(ctx, "after"); err != nil {
			return Broken, err
		}
	}
	return outcome, nil
}

// settle asks one step and writes down what came of it. The first unit's bench serves all of them, so it is tested, too.
func (r *Run) settle(ctx context.Context, first *Run, number, attempt int, step plan.Step) (*probes.Observation, error) {
	drops := r.lookOut()
	o, err := r.one(ctx, number, attempt, step)
	if err == nil {
		err = r.vouch(ctx, o)
	}
	if err == nil && first != r {
		err = first.vouch(ctx, o)
	}
	if o == nil || o.NotAsked == "" {
		err = errors.Join(err, drops.end(r.Journal))
	} else {
		drops.drop()
	}
	if err != nil {
		return nil, err
	}
	if o.Frames != nil && r.Sync != nil {
		if err := r.Sync(); err != nil {
			return nil, fmt.Errorf("record observation %s: %w", o.ID, err)
		}
	}
	if _, err := r.Journal.Append(evidence.KindObservation, o); err != nil {
		return nil, fmt.Errorf("record observation %s: %w", o.ID, err)
	}
	return o, nil
}

func (r *Run) tell(e Event) {
	if r.Watch != nil {
		r.Watch(e)
	}
}

// one puts one step's question, or writes down why it was not put.
func (r *Run) one(ctx context.Context, number, attempt int, step plan.Step) (*probes.Observation, error) {
	clock := r.Rig.Instruments().Clock
	o := &probes.Observation{
		ID: observationID(number, attempt), Step: step.ID, Attempt: attempt,
		Probe: step.Probe, Version: step.Version, With: step.With, Unit: r.Unit, Start: clock.Now().UTC(),
	}
	switch {
	case step.NotAsked != "":
		o.NotAsked = step.NotAsked
	case ctx.Err() != nil:
		o.NotAsked = Stopped
	}
	if o.NotAsked != "" {
		o.End = o.Start
		return o, nil
	}
	if k, ok := r.kind(step.Probe); ok {
		o.Version = k.Version // a run may go on with a newer program than the one that planned it
	}
	begins := map[string]any{"observation": o.ID, "step": step.ID, "attempt": o.Attempt, "unit": o.Unit}
	if _, err := r.Journal.Append(evidence.KindStep, begins); err != nil {
		return nil, fmt.Errorf("record step %s: %w", step.ID, err)
	}
	// Bringing a device back may take a person or a slow flash, and none of the question's own time.
	restoring, cancel := context.WithTimeout(ctx, restorePatience)
	err := r.prepare(restoring, step)
	cancel()
	if err != nil {
		if errors.Is(err, evidence.ErrJournal) {
			return nil, err
		}
		o.Error = err.Error()
		o.End = clock.Now().UTC()
		return o, nil
	}
	ctx, cancel = context.WithTimeout(ctx, patience(step))
	defer cancel()
	o.Start = clock.Now().UTC()
	r.ask(ctx, step, o)
	o.End = clock.Now().UTC()
	return o, nil
}

// prepare brings the device to a known state before a step that changes it, and
// before any step for which it does not answer, and before the first one after an interruption.
func (r *Run) prepare(ctx context.Context, step plan.Step) error {
	gentle := step.Touch == probes.Observe || step.Touch == probes.Interact
	if gentle && !r.unsure && r.Rig.Healthy(ctx) {
		return nil
	}
	err := r.Rig.Restore(ctx)
	r.unsure = r.unsure && err != nil
	body := map[string]any{"before": step.ID, "healthy": err == nil}
	if err != nil {
		body["error"] = err.Error()
	}
	if d, ok := r.Rig.(Restorer); ok {
		if deeds := d.Restored(); deeds != nil {
			body["deeds"] = deeds
		}
	}
	if _, werr := r.Journal.Append(evidence.KindRestore, body); werr != nil {
		return werr
	}
	if err != nil {
		return fmt.Errorf("bring the device back to a known state: %w", err)
	}
	return nil
}

// ask hands the bench to the probe and stamps what comes back, with the frames it belongs to.
func (r *Run) ask(ctx context.Context, step plan.Step, o *probes.Observation) {
	b := r.Rig.Instruments()
	kind, ok := r.kind(step.Probe)
	if !ok {
		o.Error = fmt.Sprintf("this assay has no probe %q", step.Probe)
		return
	}
	probe, err := decode(kind, step.With)
	if err != nil {
		o.Error = err.Error()
		return
	}
	from, marked := r.mark(ctx, b)
	facts, err := guarded(ctx, probe, b)
	alive := err == nil && r.Rig.Healthy(ctx)
	if w, ok := r.Rig.(Witness); ok && err == nil {
		err = w.Witness(ctx)
	}
	if to, ok := r.mark(ctx, b); ok && marked && (to.Frame > from.Frame || to.Dropped > from.Dropped) {
		// Where every frame was lost the range is empty: it ends before it begins.
		o.Frames = &probes.Frames{File: r.Capture, First: from.Frame + 1, Last: to.Frame, Dropped: to.Dropped - from.Dropped}
	}
	if err != nil {
		o.Error = err.Error()
		return
	}
	o.Alive = &alive
	if o.Facts, err = json.Marshal(facts); err != nil {
		o.Facts, o.Error = nil, fmt.Sprintf("write down the facts: %v", err)
	}
}

// mark names this moment in the capture; false where there is none.
func (r *Run) mark(ctx context.Context, b *probes.Bench) (probes.Mark, bool) {
	if b.Sniffer == nil {
		return probes.Mark{}, false
	}
	m, err := b.Sniffer.Mark(ctx)
	return m, err == nil
}

func (r *Run) kind(name string) (probes.Kind, bool) {
	for _, k := range r.Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return probes.Kind{}, false
}

// decode sets a new probe's parameters strictly.
func decode(kind probes.Kind, with json.RawMessage) (probes.Probe, error) {
	p := kind.New()
	if len(with) == 0 {
		return p, nil
	}
	dec := json.NewDecoder(bytes.NewReader(with))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("set the parameters of %s: %w", kind.Name, err)
	}
	return p, nil
}

// guarded turns a probe's panic into the bench's error: a probe of ours that
// breaks says nothing about the device.
func guarded(ctx context.Context, p probes.Probe, b *probes.Bench) (facts probes.Facts, err error) {
	defer func() {
		if v := recover(); v != nil {
			facts, err = nil, fmt.Errorf("the probe broke: %v: %w", v, probes.ErrBench)
		}
	}()
	return p.Ask(ctx, b)
}
