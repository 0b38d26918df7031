package power

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// hand is a person who pulls the plug. Their yes is the confirmation.
type hand struct{ person Person }

// String says who switches.
func (hand) String() string { return "the person at the bench" }

func (hand) patience() time.Duration { return handTime }

// Set asks until the person has answered or the time is over.
func (h hand) Set(ctx context.Context, on bool) error {
	say := "Take the supply away from the device: pull its plug, take out its batteries. Then answer yes."
	if on {
		say = "Give the device its supply back. Then answer yes."
	}
	answer, err := h.person.Ask(ctx, say)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "yes", "y":
		return nil
	}
	return fmt.Errorf("the answer was %.20q, not yes", answer)
}

// State is not asked: it was the last answer.
func (hand) State(context.Context) (bool, error) { return false, ErrBlind }

// program is a command of the lab. Without a second one that reads the state, its exit code is its word.
type program struct {
	set, read []string
	run       Runner
}

// String names the program.
func (p program) String() string { return "the program " + p.set[0] }

func (program) patience() time.Duration { return handTime }

// Set runs the program; {{state}} stands for on or off.
func (p program) Set(ctx context.Context, on bool) error {
	_, err := p.run(ctx, p.set, map[string]string{"state": word(on)})
	return err
}

// State runs the program that reads.
func (p program) State(ctx context.Context) (bool, error) {
	if p.read == nil {
		return false, ErrBlind
	}
	out, err := p.run(ctx, p.read, nil)
	if err != nil {
		return false, err
	}
	on, known := said(strings.TrimSpace(string(out)))
	if !known {
		return false, fmt.Errorf("%s printed %.40q, want on or off", p.read[0], strings.TrimSpace(string(out)))
	}
	return on, nil
}
