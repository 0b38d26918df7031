package drive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"assay/probes"
)

// The bench's own lacks that a step meets here.
var (
	errNoPerson = fmt.Errorf("nobody sits at this bench: %w", probes.ErrBench)
	errNoButton = fmt.Errorf("this bench cannot press buttons and nobody sits at it: %w", probes.ErrBench)
)

// person asks the person at the bench. One who does not answer is the bench's failure, not the device's.
func (r *run) person(ctx context.Context, s step, x *scope) (answer, error) {
	if r.options.Person == nil {
		return answer{}, errNoPerson
	}
	say, err := x.text("say", s.Person.Say)
	if err != nil {
		return answer{}, err
	}
	said, err := r.ask(ctx, say)
	if err != nil {
		return answer{}, err
	}
	return answer{
		reply:   map[string]any{"answer": valid(said)},
		outcome: yesOrNo(said), detail: "the person answered", words: said, text: []byte(said),
	}, nil
}

// button presses a button of the device, by instrument or by hand.
func (r *run) button(ctx context.Context, s step, x *scope) (answer, error) {
	name, err := x.text("name", s.Button.Name)
	if err != nil {
		return answer{}, err
	}
	hold := seconds(s.Button.Hold)
	pressed := answer{reply: map[string]any{"pressed": true}, outcome: probes.Done, detail: "button " + name + " pressed"}
	switch {
	case r.options.Button != nil:
		if err := r.options.Button.Press(ctx, name, hold); err != nil {
			return answer{}, fmt.Errorf("press %s: %w", name, err)
		}
		return pressed, nil
	case r.options.Person == nil:
		return answer{}, errNoButton
	}
	said, err := r.ask(ctx, pressing(name, hold))
	if err != nil {
		return answer{}, err
	}
	if yesOrNo(said) != probes.Done {
		return answer{}, fmt.Errorf("press %s: the person said %q", name, shorten(said, 40))
	}
	return pressed, nil
}

func pressing(name string, hold time.Duration) string {
	if hold == 0 {
		return fmt.Sprintf("Press the button %q of the device, then answer yes.", name)
	}
	return fmt.Sprintf("Press the button %q of the device, hold it for %v, then answer yes.", name, hold)
}

func (r *run) ask(ctx context.Context, say string) (string, error) {
	said, err := r.options.Person.Ask(ctx, say)
	if errors.Is(err, context.DeadlineExceeded) {
		return "", errors.New("the person did not answer in time")
	}
	if err != nil {
		return "", fmt.Errorf("ask the person: %w", err)
	}
	return shorten(strings.TrimSpace(said), maxText/4), nil // a character has up to four bytes
}

func yesOrNo(said string) probes.Outcome {
	switch strings.ToLower(strings.TrimSpace(said)) {
	case "yes", "y":
		return probes.Done
	case "no", "n":
		return probes.Refused
	}
	return probes.Unexpected
}
