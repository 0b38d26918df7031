// Package powercut asks how a device comes back from a cut of its supply. It stores random values
// through the device's own functions, cuts the supply, gives it back and looks; it never
// leaves a device without supply, and never writes a stored value down.
package powercut

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/probes"
	"assay/probes/credentials"
)

const (
	markLength = 20                     // as short as an SSID can take
	pollPause  = 100 * time.Millisecond // between two looks at the device
	lookTime   = 10 * time.Second       // for the settings to be there again
	lookPause  = time.Second
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "resilience/powercut",
		Version: "2", // 1 took one lost answer for a cut supply
		Asks:    "Does the device come back in good health, with its settings and its version, after its supply was cut?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentPower},
			{Instrument: probes.InstrumentClock},
			{Operation: probes.Health},
		},
		Touch:   probes.Disrupt,
		Typical: 15,
		New:     func() probes.Probe { return &Probe{OffSeconds: 5, SettleSeconds: 3, WaitSeconds: 120} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	OffSeconds    float64 `json:"off_seconds"`    // how long the supply stays away
	SettleSeconds float64 `json:"settle_seconds"` // time to write a setting to storage before the cut, and to stay well after it
	WaitSeconds   float64 `json:"wait_seconds"`   // longest time for it to come back
}

// Facts is what was seen.
type Facts struct {
	HealthyBefore  bool     `json:"healthy_before"`  // control: it answered its health operation before the cut
	SilentOff      bool     `json:"silent_off"`      // control: it answered nothing, twice or more, in the end of the time that its supply was off
	Stored         int      `json:"stored"`          // values it took, one for each store- operation with its read- operation: 5
	StoredSeen     int      `json:"stored_seen"`     // control: of those, read back before the cut
	Kept           int      `json:"kept"`            // of those, read back after it
	Lost           []string `json:"lost"`            // of those, answered, but never with the value, after it: ["name"]
	HealthyAfter   bool     `json:"healthy_after"`   // it answered in good health again, and stayed so
	HealthySeconds float64  `json:"healthy_seconds"` // from the return of the supply until then: 3.2; 0 where it never did
	VersionBefore  string   `json:"version_before"`  // "1.0.0"; empty where it does not tell
	VersionAfter   string   `json:"version_after"`
	OffSeconds     float64  `json:"off_seconds"`  // 5
	WaitSeconds    float64  `json:"wait_seconds"` // 120
}

// Ask stores, cuts, waits and looks.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	if p.OffSeconds <= 0 || p.SettleSeconds <= 0 || p.WaitSeconds <= 0 {
		return nil, fmt.Errorf("resilience/powercut: the three times must be set: %w", probes.ErrBench)
	}
	if b.Power == nil {
		return nil, fmt.Errorf("resilience/powercut: this bench cannot switch the supply: %w", probes.ErrBench)
	}
	c := &cut{bench: b, marks: map[string]string{}}
	f := Facts{OffSeconds: p.OffSeconds, WaitSeconds: p.WaitSeconds, Lost: []string{}}
	health, err := c.do(ctx, probes.Health, nil)
	if err != nil {
		return nil, err
	}
	if f.HealthyBefore = health.Outcome == probes.Done; !f.HealthyBefore {
		return f, nil // how it comes back could not be told from how it was
	}
	if f.VersionBefore, err = c.version(ctx); err != nil {
		return nil, err
	}
	if err := c.store(ctx, &f); err != nil {
		return nil, err
	}
	if err := b.Clock.Wait(ctx, seconds(p.SettleSeconds)); err != nil {
		return nil, fmt.Errorf("let the device write: %w", err)
	}
	if err := c.dark(ctx, seconds(p.OffSeconds), &f); err != nil {
		return nil, err
	}
	if err := c.back(ctx, p, &f); err != nil {
		return nil, err
	}
	if !f.HealthyAfter {
		return f, nil
	}
	if f.VersionAfter, err = c.version(ctx); err != nil {
		return nil, err
	}
	if err := c.look(ctx, &f); err != nil {
		return nil, err
	}
	return f, nil
}

// A cut is one cut of the supply.
type cut struct {
	bench *probes.Bench
	marks map[string]string // secret; by the name of what was stored and seen before the cut
}

// store stores one value with each store- operation that has its read- operation, and reads it back.
func (c *cut) store(ctx context.Context, f *Facts) error {
	for _, op := range c.bench.Device.Operations() {
		name, is := strings.CutPrefix(op, probes.StorePrefix)
		if !is || !c.can(probes.ReadPrefix+name) {
			continue
		}
		value := credentials.Random(markLength)
		res, err := c.do(ctx, op, probes.Args{probes.ArgValue: value})
		if err != nil {
			return err
		}
		if res.Outcome != probes.Done {
			continue
		}
		f.Stored++
		if res, err = c.do(ctx, probes.ReadPrefix+name, nil); err != nil {
			return err
		}
		if res.Outcome == probes.Done && strings.Contains(res.Text, value) {
			c.marks[name] = value
			f.StoredSeen++
		}
	}
	return nil
}

// dark cuts the supply for a time, looks whether the device is silent then, and gives it back whatever happens.
func (c *cut) dark(ctx context.Context, off time.Duration, f *Facts) (err error) {
	if err := c.bench.Power.Off(ctx); err != nil {
		return fmt.Errorf("cut the supply: %w", err)
	}
	lit := false
	defer func() {
		if !lit && err != nil {
			_ = c.bench.Power.On(context.WithoutCancel(ctx)) // the first error says what went wrong
		}
	}()
	clock := c.bench.Clock
	quiet := 0 // looks in a row
	for end := clock.Now().Add(off); clock.Now().Before(end) || quiet == 1; {
		// What counts are the last two looks: a capacitor carries a device on for a while, and a device that
		// goes on by its battery may lose one answer.
		res, err := c.do(ctx, probes.Health, nil)
		if err != nil {
			return err
		}
		if quiet++; res.Outcome != probes.Unreachable && res.Outcome != probes.Silent {
			quiet = 0
		}
		f.SilentOff = quiet >= 2
		if err := clock.Wait(ctx, pollPause); err != nil {
			return fmt.Errorf("keep the supply away: %w", err)
		}
	}
	if err := c.bench.Power.On(ctx); err != nil {
		return fmt.Errorf("give the supply back: %w", err)
	}
	lit = true
	return nil
}

// back waits until the device has answered in good health for the time of settling without a break.
func (c *cut) back(ctx context.Context, p *Probe, f *Facts) error {
	clock := c.bench.Clock
	begun := clock.Now()
	var since time.Time
	for {
		res, err := c.do(ctx, probes.Health, nil)
		if err != nil {
			return err
		}
		now := clock.Now()
		switch {
		case res.Outcome != probes.Done:
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) >= seconds(p.SettleSeconds):
			f.HealthyAfter, f.HealthySeconds = true, since.Sub(begun).Round(time.Millisecond).Seconds()
			return nil
		}
		if over := now.Sub(begun) - seconds(p.WaitSeconds); since.IsZero() && over >= 0 || over >= seconds(p.SettleSeconds) {
			return nil
		}
		if err := clock.Wait(ctx, pollPause); err != nil {
			return fmt.Errorf("wait for the device: %w", err)
		}
	}
}

// look reads back what was seen before the cut.
func (c *cut) look(ctx context.Context, f *Facts) error {
	end := c.bench.Clock.Now().Add(lookTime) // for all of them together
	for _, op := range c.bench.Device.Operations() {
		name, _ := strings.CutPrefix(op, probes.ReadPrefix)
		value, planted := c.marks[name]
		if !planted || op != probes.ReadPrefix+name {
			continue
		}
		res, err := c.read(ctx, op, value, end)
		if err != nil {
			return err
		}
		switch {
		case res.Outcome == probes.Done && strings.Contains(res.Text, value):
			f.Kept++
		case res.Outcome == probes.Done || res.Outcome == probes.Refused || res.Outcome == probes.Unexpected:
			// It answered, and what it had before it has not now: "there is none" is such an answer too.
			f.Lost = append(f.Lost, name)
		}
		// What got no answer, or none that can be read, is neither kept nor lost.
	}
	return nil
}

// read asks until the value is there, or the time is over: a device may say that it is well before all of it has started.
func (c *cut) read(ctx context.Context, op, value string, end time.Time) (probes.Result, error) {
	clock := c.bench.Clock
	for {
		res, err := c.do(ctx, op, nil)
		if err != nil || res.Outcome == probes.Done && strings.Contains(res.Text, value) || !clock.Now().Before(end) {
			return res, err
		}
		if err := clock.Wait(ctx, lookPause); err != nil {
			return res, fmt.Errorf("wait for %s: %w", op, err)
		}
	}
}

// version is what the device says that it runs; empty where it does not say.
func (c *cut) version(ctx context.Context) (string, error) {
	if !c.can(probes.ReadVersion) {
		return "", nil
	}
	res, err := c.do(ctx, probes.ReadVersion, nil)
	if err != nil || res.Outcome != probes.Done {
		return "", err
	}
	return res.Values[probes.ValueVersion], nil
}

func (c *cut) can(operation string) bool {
	return slices.Contains(c.bench.Device.Operations(), operation)
}

func (c *cut) do(ctx context.Context, operation string, args probes.Args) (probes.Result, error) {
	res, err := c.bench.Device.Do(ctx, operation, args)
	if err == nil {
		err = ctx.Err() // an exchange cut short by us is not the device's answer
	}
	if err != nil {
		return probes.Result{}, fmt.Errorf("ask for %s: %w", operation, err)
	}
	return res, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
