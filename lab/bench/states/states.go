// Package states finds the way of a device from the state that it is in to the one that a step needs,
// the cheapest first, and goes on with the next where one fails. It knows no instrument: a bench
// tells it what each move does, and it never claims a state that a move did not end in.
package states

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/probes"
)

// A State is what a device is in, as far as a bench can tell.
type State string

const (
	Off            State = "off"
	Booting        State = "booting"         // it has its supply and does not answer, or not yet
	InUse          State = "in use"          // it answers; what it holds is not known
	FactoryDefault State = "factory-default" // it answers, and was reset a moment ago
	Commissioned   State = "commissioned"    // it answers, and was set up a moment ago
)

// all lists every state.
var all = []State{Off, Booting, InUse, FactoryDefault, Commissioned}

// up are the states in which a device answers.
var up = []State{InUse, FactoryDefault, Commissioned}

// Up lists the states in which a device answers.
func Up() []State { return slices.Clone(up) }

// A Move is one thing that a bench can do to a device's state.
type Move struct {
	Name    string
	From    []State
	To      State
	Seconds int // that it usually takes; a person's time costs more than a machine's
	// Do returns when the device is in the state To; an error says why it is not.
	Do func(ctx context.Context) error
}

// A Deed is a move that was made, for the record.
type Deed struct {
	Move    string  `json:"move"`
	From    State   `json:"from"`
	To      State   `json:"to"` // that it was meant to end in
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// ErrNoWay says that nothing on this bench leads from one state to another.
var ErrNoWay = fmt.Errorf("no way to that state on this bench: %w", probes.ErrBench)

// A Strategy is what a bench can do with one device.
type Strategy struct {
	Moves   []Move
	Observe func(ctx context.Context) State // looks; it may say Off, Booting or InUse
	Clock   probes.Clock
}

// Ways lists the moves of the cheapest way from one state to another; false where there is none. A way of
// no moves is one too. Of ways that cost the same the one of fewer moves is taken, then the one declared first.
func Ways(moves []Move, from, to State) ([]Move, bool) {
	type road struct {
		cost int
		way  []Move
	}
	best := map[State]road{from: {}}
	open := []State{from}
	for len(open) > 0 {
		at := open[0]
		open = open[1:]
		for _, m := range moves {
			if !slices.Contains(m.From, at) || m.To == at {
				continue
			}
			next := road{best[at].cost + m.Seconds, append(slices.Clone(best[at].way), m)}
			known, seen := best[m.To]
			if seen && (known.cost < next.cost || known.cost == next.cost && len(known.way) <= len(next.way)) {
				continue
			}
			best[m.To] = next
			open = append(open, m.To)
		}
	}
	r, ok := best[to]
	return r.way, ok
}

// Reach brings the device into a state. fresh wants at least one move that ends there: what was reached
// before may not hold any more. A move that fails is not tried again; the way is looked for anew from
// wherever the device is then. Deeds tell what was done, whether it led anywhere or not.
func (s *Strategy) Reach(ctx context.Context, to State, fresh bool) ([]Deed, error) {
	moves := slices.Clone(s.Moves)
	at := s.Observe(ctx)
	if fresh && at == to {
		at = InUse
	}
	var deeds []Deed
	var failed []error
	// Each round takes a move away or goes one step of a way that is no longer than there are states.
	for range (len(s.Moves) + 1) * len(all) {
		if err := ctx.Err(); err != nil {
			return deeds, fmt.Errorf("bring the device to %s: %w: %w", to, err, probes.ErrBench)
		}
		way, ok := Ways(moves, at, to)
		switch {
		case !ok && len(failed) == 0:
			return deeds, fmt.Errorf("bring the device from %s to %s: %w", at, to, ErrNoWay)
		case !ok:
			return deeds, fmt.Errorf("bring the device to %s: every way failed: %w", to, errors.Join(failed...))
		case len(way) == 0:
			return deeds, nil
		}
		m := way[0]
		begun := s.Clock.Now()
		err := m.Do(ctx)
		d := Deed{Move: m.Name, From: at, To: m.To, Seconds: s.Clock.Now().Sub(begun).Round(time.Millisecond).Seconds()}
		if err == nil {
			at = m.To
		} else {
			d.Error = err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", m.Name, err))
			moves = slices.DeleteFunc(moves, func(o Move) bool { return o.Name == m.Name })
			at = s.Observe(ctx)
		}
		deeds = append(deeds, d)
	}
	return deeds, fmt.Errorf("bring the device to %s: it went in circles: %w", to, errors.Join(failed...))
}

// Reaches tells whether moves lead from every state in which a device can be to another.
func Reaches(moves []Move, to State) bool {
	for _, from := range []State{Booting, InUse} {
		if _, ok := Ways(moves, from, to); !ok {
			return false
		}
	}
	return true
}

// Names lists the moves, for people.
func Names(moves []Move) string {
	var names []string
	for _, m := range moves {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}
