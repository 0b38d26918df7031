package lab

import (
	"context"
	"fmt"
	"time"

	"assay/lab/evidence"
	"assay/probes"
)

// A Tester is a rig that can tell whether it is sound itself.
type Tester interface {
	// Check finds out whether the bench still works. Where it does not, nothing that was seen since the
	// last good check is about the device.
	Check(ctx context.Context) error
	// Dropped tells how many frames the kernel has lost so far; false: nothing is captured.
	Dropped() (uint64, bool)
}

// A Soundness is the record of a bench's test of itself, of kind note.
type Soundness struct {
	About string `json:"about"` // bench
	When  string `json:"when"`  // before, after: the run; or the observation's id
	Sound bool   `json:"sound"`
	Error string `json:"error,omitempty"`
}

// Drops are the frames that the kernel lost in each second of a stretch of the run, of kind note. A second
// that is not listed lost none.
type Drops struct {
	About   string       `json:"about"` // drops
	From    time.Time    `json:"from"`
	Seconds int          `json:"seconds"` // looked at
	Lost    []LostFrames `json:"lost,omitempty"`
}

// LostFrames is one second's loss.
type LostFrames struct {
	Second time.Time `json:"second"`
	Frames uint64    `json:"frames"`
}

const (
	checkTime = 5 * time.Second
	maxLost   = 3600 // seconds of loss in one record; what is more is added to the last one
)

// sound tests the bench before and after the run, and writes down what it found.
func (r *Run) sound(ctx context.Context, when string) error {
	t, ok := r.Rig.(Tester)
	if !ok || ctx.Err() != nil { // a cancelled run's capture has ended on purpose
		return nil
	}
	n := Soundness{About: "bench", When: when, Sound: true}
	if err := check(ctx, t); err != nil {
		n.Sound, n.Error = false, err.Error()
	}
	if _, err := r.Journal.Append(evidence.KindNote, n); err != nil {
		return fmt.Errorf("record the bench's test of itself: %w", err)
	}
	return nil
}

// vouch makes an observation the bench's error where the bench has gone bad since the last one: what
// was seen may be the bench's doing.
func (r *Run) vouch(ctx context.Context, o *probes.Observation) error {
	t, ok := r.Rig.(Tester)
	if !ok || o.NotAsked != "" || o.Error != "" || ctx.Err() != nil {
		return nil
	}
	err := check(ctx, t)
	if err == nil {
		return nil
	}
	o.Facts, o.Alive, o.Error = nil, nil, "the bench failed its own test after this step: "+err.Error()
	n := Soundness{About: "bench", When: o.ID, Error: err.Error()}
	if _, err := r.Journal.Append(evidence.KindNote, n); err != nil {
		return fmt.Errorf("record the bench's test of itself: %w", err)
	}
	return nil
}

// check has a deadline, and a run that is cancelled meanwhile says nothing about the bench.
func check(ctx context.Context, t Tester) error {
	within, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if err := t.Check(within); ctx.Err() == nil {
		return err
	}
	return nil
}

// A lookout counts the kernel's losses second by second.
type lookout struct {
	t     Tester
	clock probes.Clock
	quit  chan struct{}
	done  chan Drops
}

// lookOut begins to count; nil where nothing is captured.
func (r *Run) lookOut() *lookout {
	t, ok := r.Rig.(Tester)
	if !ok {
		return nil
	}
	before, captured := t.Dropped()
	if !captured {
		return nil
	}
	l := &lookout{t: t, clock: r.Rig.Instruments().Clock, quit: make(chan struct{}), done: make(chan Drops, 1)}
	go l.count(time.NewTicker(time.Second), before)
	return l
}

func (l *lookout) count(tick *time.Ticker, before uint64) {
	defer tick.Stop()
	d := Drops{About: "drops", From: l.clock.Now().UTC()}
	look := func() {
		now, _ := l.t.Dropped()
		d.Seconds++
		if now > before {
			if len(d.Lost) == maxLost {
				d.Lost[maxLost-1].Frames += now - before
			} else {
				d.Lost = append(d.Lost, LostFrames{l.clock.Now().UTC().Truncate(time.Second), now - before})
			}
			before = now
		}
	}
	for {
		select {
		case <-tick.C:
			look()
		case <-l.quit:
			look()
			l.done <- d
			return
		}
	}
}

// drop ends it where nothing was asked.
func (l *lookout) drop() {
	if l != nil {
		close(l.quit)
	}
}

// end writes down what was counted.
func (l *lookout) end(j *evidence.Journal) error {
	if l == nil {
		return nil
	}
	close(l.quit)
	if _, err := j.Append(evidence.KindNote, <-l.done); err != nil {
		return fmt.Errorf("record lost frames: %w", err)
	}
	return nil
}
