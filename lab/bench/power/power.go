// Package power takes the supply from a device and gives it back, through what a laboratory has for
// that: a program, a plug, an outlet of a power distribution unit, or a person's hand. It never
// claims that a supply is off or on before the switch itself has said so, and never speaks to the device.
package power

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"assay/probes"
)

// A Switch is one thing that can take the supply from a device.
type Switch interface {
	// Set tells the switch; whether it obeyed is asked of State.
	Set(ctx context.Context, on bool) error
	// State asks the switch what it is; ErrBlind where it has no way to tell, and Set's own end is its word.
	State(ctx context.Context) (on bool, err error)
	// String says what it is and where, without secrets.
	String() string
}

// ErrBlind says that a switch cannot be asked for its state.
var ErrBlind = errors.New("the switch cannot be asked for its state")

const (
	confirmTime  = 10 * time.Second       // for a switch to do what it was told and to say so
	confirmPause = 200 * time.Millisecond // between two questions
	handTime     = 2 * time.Minute        // for a person to find a plug, and for a program to end
	maxReply     = 64 << 10
)

// patient is a switch that needs more than the usual time to be told.
type patient interface{ patience() time.Duration }

// A Supply is a switch with memory: it knows what it last saw confirmed. It may be used by several goroutines.
type Supply struct {
	to    Switch
	clock probes.Clock

	mu    sync.Mutex // guards the rest, and lets one hand at the switch at a time
	state string     // "on" or "off" as confirmed; "" while that is not known
}

var _ probes.Power = (*Supply)(nil)

// New puts a switch to use.
func New(to Switch, clock probes.Clock) *Supply { return &Supply{to: to, clock: clock} }

// String says what switches the supply.
func (s *Supply) String() string { return s.to.String() }

// On gives the supply and returns once the switch has confirmed it.
func (s *Supply) On(ctx context.Context) error { return s.set(ctx, true) }

// Off takes the supply away and returns once the switch has confirmed it.
func (s *Supply) Off(ctx context.Context) error { return s.set(ctx, false) }

// Cycle takes the supply away for a time and gives it back, even where the time is cut short.
func (s *Supply) Cycle(ctx context.Context, off time.Duration) error {
	if err := s.Off(ctx); err != nil {
		return err
	}
	waited := s.clock.Wait(ctx, off)
	// A device must not stay dark because somebody lost patience.
	if err := s.On(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if waited != nil {
		return fmt.Errorf("keep the supply off for %v: %w: %w", off, waited, probes.ErrBench)
	}
	return nil
}

// Dark tells whether the supply may be off: it was switched off, or nobody knows how the last attempt ended.
func (s *Supply) Dark() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != word(true)
}

// Ask reads the switch's state without touching it. A switch that cannot tell is taken for on, as it was found.
func (s *Supply) Ask(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	on, err := s.to.State(within)
	if errors.Is(err, ErrBlind) {
		on, err = true, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for the supply's state: %v: %w: %w", s.to, err, probes.ErrBench)
	}
	s.state = word(on)
	return on, nil
}

func (s *Supply) set(ctx context.Context, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = ""
	if err := s.confirmed(ctx, on); err != nil {
		return fmt.Errorf("switch the supply %s: %v: %w: %w", word(on), s.to, err, probes.ErrBench)
	}
	s.state = word(on)
	return nil
}

// confirmed tells the switch and asks until it says that it has done so.
func (s *Supply) confirmed(ctx context.Context, on bool) error {
	limit := confirmTime
	if p, ok := s.to.(patient); ok {
		limit = p.patience()
	}
	telling, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := s.to.Set(telling, on); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	for {
		is, err := s.to.State(asking)
		if errors.Is(err, ErrBlind) || err == nil && is == on {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it was told %s and says that it is %s", word(on), word(is))
		}
		if s.clock.Wait(asking, confirmPause) != nil {
			return fmt.Errorf("not confirmed: %w", err)
		}
	}
}

func word(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// said reads a switch's word for its state.
func said(text string) (on, known bool) {
	switch text {
	case "ON", "on", "On", "1", "true":
		return true, true
	case "OFF", "off", "Off", "0", "false":
		return false, true
	}
	return false, false
}
