// Package bruteforce asks whether an interface slows down somebody who guesses
// passwords. It never guesses the right one: every wrong try is random.
package bruteforce

import (
	"context"
	"fmt"
	"slices"
	"time"

	"assay/probes"
	"assay/probes/credentials"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "credentials/bruteforce",
		Version: "2", // 1 took one lost answer for a limit
		Asks:    "Does the interface limit wrong login tries in a row?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentClock},
			{Operation: probes.LoginPrefix + "{interface}"},
		},
		Touch:   probes.Interact,
		Typical: 5,
		New:     func() probes.Probe { return &Probe{Tries: 12, WaitSeconds: 30, DelaySeconds: 1} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	Interface    string  `json:"interface"`     // http, mqtt, coap ...: the operation is login-<interface>
	Tries        int     `json:"tries"`         // wrong tries in a row, at most
	WaitSeconds  float64 `json:"wait_seconds"`  // longest wait for the right login to work again; a longer declared lock is waited for
	DelaySeconds float64 `json:"delay_seconds"` // two answers in a row this much later than the quickest are a limit
}

// Facts is what the interface did.
type Facts struct {
	Interface      string  `json:"interface"`        // "http"
	Tries          int     `json:"tries"`            // wrong tries made: 12, or fewer where a limit showed earlier; one that was made again since nothing came back counts once
	WrongRefused   int     `json:"wrong_refused"`    // tries that met the interface's way of saying no
	WrongAccepted  int     `json:"wrong_accepted"`   // tries that got in
	RightBefore    bool    `json:"right_before"`     // control: the right login got in before the tries
	RightDuring    bool    `json:"right_during"`     // it got in right after them
	RightLater     bool    `json:"right_later"`      // control: it got in again in the end
	Limited        bool    `json:"limited"`          // wrong tries, or the right login after them, were answered limited or delayed
	LimitedBy      string  `json:"limited_by"`       // "answer", "delay", "refusal" (the right login was turned away), "silence" or ""
	LimitedAfter   int     `json:"limited_after"`    // wrong tries answered before the limit showed: 5; 0 where none did
	TriesPerMinute float64 `json:"tries_per_minute"` // pace of the tries that were answered: 2400
	WaitedSeconds  float64 `json:"waited_seconds"`   // from the last wrong try until the right login worked again, or the end of patience
}

// Ask guesses until a limit shows or the tries are used up, then knocks with the right login.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	if p.Tries < 1 || p.DelaySeconds <= 0 {
		return nil, fmt.Errorf("credentials/bruteforce: tries %d and delay_seconds %g must be above zero: %w", p.Tries, p.DelaySeconds, probes.ErrBench)
	}
	door, err := credentials.Approach(b, p.Interface, p.WaitSeconds)
	if err != nil {
		return nil, err
	}
	f := Facts{Interface: p.Interface}
	before, err := door.Right(ctx)
	if err != nil {
		return nil, err
	}
	f.RightBefore = before == probes.Done
	if !f.RightBefore {
		return f, nil // whatever it said to wrong tries would tell nothing
	}
	if err := p.guess(ctx, b.Clock, door, &f); err != nil {
		return nil, err
	}
	if err := after(ctx, b.Clock, door, &f); err != nil {
		return nil, err
	}
	return f, nil
}

// nothing came back.
var nothing = []probes.Outcome{probes.Unreachable, probes.Silent, probes.Reset}

// again is the pause before a try without an answer is made once more.
const again = 200 * time.Millisecond

// knock makes a try, and once more where nothing came back that is not its usual answer: a lost packet is no limit.
func knock(ctx context.Context, clock probes.Clock, door *credentials.Door, l probes.Login, usual probes.Outcome) (probes.Outcome, time.Duration, error) {
	for attempt := 0; ; attempt++ {
		start := clock.Now()
		out, err := door.Knock(ctx, l)
		if err != nil || attempt > 0 || out == usual || !slices.Contains(nothing, out) {
			return out, clock.Now().Sub(start), err
		}
		if err := clock.Wait(ctx, again); err != nil {
			return "", 0, fmt.Errorf("credentials/bruteforce: wait: %w", err)
		}
	}
}

// guess makes the wrong tries.
func (p *Probe) guess(ctx context.Context, clock probes.Clock, door *credentials.Door, f *Facts) error {
	var first probes.Outcome
	var quickest time.Duration
	slow := 0
	delay := time.Duration(p.DelaySeconds * float64(time.Second))
	begun := clock.Now()
	for f.Tries < p.Tries && f.LimitedBy == "" {
		out, took, err := knock(ctx, clock, door, door.Wrong(), first)
		if err != nil {
			return err
		}
		f.Tries++
		if f.Tries == 1 {
			first, quickest = out, took
		}
		no := out == probes.Refused || (out == first && out != probes.Unreachable)
		switch {
		case out == probes.Done:
			f.WrongAccepted++
		case out == probes.Limited:
			f.LimitedBy = "answer"
		case no:
			f.WrongRefused++
			if took < quickest+delay {
				slow = 0
			} else if slow++; slow == 2 { // one slow answer may be chance
				f.LimitedBy = "delay"
			}
		case f.WrongRefused > 0 && slices.Contains(nothing, out):
			f.LimitedBy = "silence" // it said no at first, and now says nothing
		}
		quickest = min(quickest, took)
	}
	answered := f.WrongRefused + f.WrongAccepted
	if spent := clock.Now().Sub(begun).Minutes(); spent > 0 {
		f.TriesPerMinute = float64(answered) / spent
	}
	if f.LimitedBy != "" {
		f.Limited, f.LimitedAfter = true, answered
	}
	return nil
}

// after knocks with the right login at once, and until it works again.
func after(ctx context.Context, clock probes.Clock, door *credentials.Door, f *Facts) error {
	ended := clock.Now()
	during, _, err := knock(ctx, clock, door, door.Own(), "")
	if err != nil {
		return err
	}
	f.RightDuring = during == probes.Done
	if !f.RightDuring && f.LimitedBy == "" {
		// Many devices keep saying "wrong password" while locked, even to the right one.
		f.Limited, f.LimitedBy, f.LimitedAfter = true, "refusal", f.WrongRefused
		if during == probes.Limited {
			f.LimitedBy = "answer"
		}
	}
	f.RightLater = f.RightDuring
	if !f.RightLater {
		later, err := door.AwaitUnlock(ctx)
		if err != nil {
			return err
		}
		f.RightLater = later == probes.Done
		f.WaitedSeconds = clock.Now().Sub(ended).Seconds()
	}
	if !f.RightLater && f.LimitedBy != "answer" && f.LimitedBy != "delay" {
		f.Limited = false // it broke; that is no protection
	}
	return nil
}
