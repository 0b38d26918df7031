// Package update is what the probes of firmware updates share: offering an image,
// telling the device about it and watching until it has settled. It never decides
// whether the device did well.
package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"assay/firmware"
	"assay/probes"
)

const (
	pollPause = 100 * time.Millisecond // between two looks at the device
	tellPause = time.Second            // before a device that did not answer is told again
	busyPause = 2 * time.Second        // before one that said no is: it may be busy, or keep a pause after an image
)

// A Path is one way of updating the device: told by operation update-<via>, fetched from the bench.
type Path struct {
	bench *probes.Bench
	via   string
	wait  time.Duration // longest time from the offer until the device has settled

	format string // of the maker's images: it says which versions are one
}

// Take prepares a path. waitSeconds bounds each offer.
func Take(b *probes.Bench, via string, waitSeconds float64) (*Path, error) {
	if via == "" || waitSeconds <= 0 {
		return nil, fmt.Errorf("prepare the update: via %q and wait_seconds %g must be set: %w", via, waitSeconds, probes.ErrBench)
	}
	return &Path{bench: b, via: via, wait: seconds(waitSeconds)}, nil
}

// State is what the device says about itself.
type State struct {
	Version string // empty where it did not say
	Healthy bool
}

// Look asks the device for its version and health.
func (p *Path) Look(ctx context.Context) (State, error) {
	version, err := p.do(ctx, probes.ReadVersion, nil)
	if err != nil {
		return State{}, err
	}
	health, err := p.do(ctx, probes.Health, nil)
	if err != nil {
		return State{}, err
	}
	s := State{Healthy: health.Outcome == probes.Done}
	if version.Outcome == probes.Done {
		s.Version = version.Values[probes.ValueVersion]
	}
	return s, nil
}

func (p *Path) do(ctx context.Context, operation string, args probes.Args) (probes.Result, error) {
	res, err := p.bench.Device.Do(ctx, operation, args)
	if err == nil {
		err = ctx.Err() // an exchange cut short by us is not the device's answer
	}
	if err != nil {
		return probes.Result{}, fmt.Errorf("ask for %s: %w", operation, err)
	}
	return res, nil
}

// Newer returns the genuine image after a version; ok is false where the maker gave none.
func (p *Path) Newer(version string) (image probes.Image, ok bool, err error) {
	return p.found(p.bench.Images.Newer(version))
}

// Older returns the genuine image before a version; ok is false where the maker gave none.
func (p *Path) Older(version string) (image probes.Image, ok bool, err error) {
	return p.found(p.bench.Images.Older(version))
}

func (p *Path) found(image probes.Image, err error) (probes.Image, bool, error) {
	if errors.Is(err, probes.ErrNoImage) {
		return probes.Image{}, false, nil
	}
	if err != nil {
		return probes.Image{}, false, fmt.Errorf("find an image: %w", err)
	}
	if f, err := firmware.Detect(image.Input()); err == nil {
		p.format = f.Name
	}
	return image, true, nil
}

// Same tells whether two versions are one: a device may write 1.1.0 as v1.1.0 or as 1.1.0+0.
func (p *Path) Same(a, b string) bool {
	if a == b || a == "" || b == "" {
		return a == b && a != ""
	}
	order, err := firmware.Compare(firmware.Facts{Format: p.format, Version: a}, firmware.Facts{Format: p.format, Version: b})
	return err == nil && order == 0
}

// A Trial is what the device did about one offer.
type Trial struct {
	Outcome probes.Outcome // its answer to being told
	Fetched probes.Fetched
	State   State         // as last seen
	Runs    bool          // it was seen running the offered version, after fetching all of it
	Early   bool          // it was seen running that version before it had fetched all of this offer
	Took    time.Duration // from the last byte until it ran the version and was healthy; 0 if it never did
	Pause   time.Duration // longest time without any change from the offer until it ran the version

	same    func(a, b string) bool
	seen    []string  // versions the device told while the offer stood
	asked   time.Time // last told
	whole   time.Time // last byte
	changed time.Time // last change of what can be seen
}

// Saw tells whether the device told that version while the offer stood.
func (t *Trial) Saw(version string) bool {
	return slices.ContainsFunc(t.seen, func(seen string) bool { return t.same(seen, version) })
}

// Genuine offers an image and waits until the device runs it in good health, or patience ends.
func (p *Path) Genuine(ctx context.Context, image probes.Image) (Trial, error) {
	return p.offer(ctx, image, func(t *Trial, _, spent time.Duration) bool {
		return t.Runs && t.State.Healthy || spent >= p.wait
	})
}

// Doubtful offers an image that the device should not take, and waits until nothing has
// changed for the time of settling since it was fetched, or patience ends. Where partial is
// true the device may know from the beginning of the image that it does not want the rest.
func (p *Path) Doubtful(ctx context.Context, image probes.Image, settle time.Duration, partial bool) (Trial, error) {
	return p.offer(ctx, image, func(t *Trial, quiet, spent time.Duration) bool {
		if t.Fetched.Requests == 0 {
			return spent >= p.wait
		}
		if spent >= p.wait+settle {
			return true
		}
		return quiet >= settle && t.State.Healthy && (t.Fetched.Complete || partial && t.Fetched.Bytes > 0)
	})
}

func (p *Path) offer(ctx context.Context, image probes.Image, enough func(t *Trial, quiet, spent time.Duration) bool) (t Trial, err error) {
	offer, err := p.bench.Updates.Offer(ctx, p.via, image.Bytes)
	if err != nil {
		return t, fmt.Errorf("offer image %s: %w", image.Name, err)
	}
	defer func() {
		if cerr := offer.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("withdraw image %s: %w", image.Name, cerr)
		}
	}()
	args := probes.Args{probes.ArgURL: offer.URL()}
	if image.Signature != nil {
		beside, err := p.bench.Updates.Offer(ctx, p.via, image.Signature)
		if err != nil {
			return t, fmt.Errorf("offer the signature of image %s: %w", image.Name, err)
		}
		defer func() { err = errors.Join(err, beside.Close()) }()
		args[probes.ArgSignature] = beside.URL()
	}
	clock := p.bench.Clock
	begun := clock.Now()
	t.changed, t.same = begun, p.Same
	for {
		if err := p.tell(ctx, &t, args); err != nil {
			return t, err
		}
		if err := p.watch(ctx, &t, offer, image.Version); err != nil {
			return t, err
		}
		now := clock.Now()
		if enough(&t, now.Sub(t.changed), now.Sub(begun)) {
			return t, nil
		}
		if err := clock.Wait(ctx, pollPause); err != nil {
			return t, fmt.Errorf("wait for the device to take image %s: %w", image.Name, err)
		}
	}
}

// tell tells the device about the offer, and again if it fetched nothing and gave no answer, or said no.
func (p *Path) tell(ctx context.Context, t *Trial, args probes.Args) error {
	now := p.bench.Clock.Now()
	pause := tellPause
	if t.Outcome == probes.Refused {
		pause = busyPause
	}
	if t.Outcome == probes.Done || t.Fetched.Requests > 0 || (!t.asked.IsZero() && now.Sub(t.asked) < pause) {
		return nil
	}
	t.asked = now
	res, err := p.do(ctx, probes.UpdatePrefix+p.via, args)
	t.Outcome = res.Outcome
	return err
}

// watch looks at the offer, then at the device, and notes what changed. The offer comes
// first: a device seen running a version fetched it before.
func (p *Path) watch(ctx context.Context, t *Trial, offer probes.Offer, version string) error {
	fetched := offer.Fetched()
	state, err := p.Look(ctx)
	if err != nil {
		return err
	}
	now := p.bench.Clock.Now()
	if fetched != t.Fetched || state != t.State {
		if !t.Runs {
			t.Pause = max(t.Pause, now.Sub(t.changed))
		}
		t.changed = now
	}
	if fetched.Complete && t.whole.IsZero() {
		t.whole = now
	}
	t.Fetched, t.State = fetched, state
	if !slices.Contains(t.seen, state.Version) {
		t.seen = append(t.seen, state.Version)
	}
	if !p.Same(state.Version, version) {
		return nil
	}
	if !fetched.Complete {
		// Between the two looks the last bytes may have gone: look again before calling it early.
		if fetched = offer.Fetched(); !fetched.Complete {
			t.Early = true
			return nil
		}
		t.Fetched, t.whole = fetched, now
	}
	t.Runs = true
	if t.Took == 0 && state.Healthy {
		t.Took = max(now.Sub(t.whole), time.Millisecond)
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
