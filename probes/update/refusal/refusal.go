// Package refusal asks whether the device keeps a bad image out: tampered with,
// unsigned, signed by a stranger, or genuine and older. Genuine images before and
// after show that it was able to update. It never judges the refusal's wording.
package refusal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"assay/firmware"
	"assay/probes"
	"assay/probes/update"
)

// Older is the variant that the maker did sign: the genuine image before the present one.
const Older = "older"

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "update/refusal",
		Version: "2",
		Asks:    "Does the device refuse an image that it must not run, and stay updatable?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentUpdates},
			{Instrument: probes.InstrumentImages},
			{Instrument: probes.InstrumentClock},
			{Operation: probes.UpdatePrefix + "{via}"},
			{Operation: probes.ReadVersion},
			{Operation: probes.Health},
		},
		Touch:   probes.Disrupt,
		Typical: 10,
		New:     func() probes.Probe { return &Probe{WaitSeconds: 20, SettleSeconds: 1} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	Variant       string  `json:"variant"`        // older, or a variant of firmware.Variants: tampered, unsigned, wrong-key ...
	Via           string  `json:"via"`            // https or coap: the operation is update-<via>
	WaitSeconds   float64 `json:"wait_seconds"`   // longest time from an offer until the device has settled
	SettleSeconds float64 `json:"settle_seconds"` // least time without any change after the fetch; see settle
}

// Facts is what the device did.
type Facts struct {
	Via            string `json:"via"`             // "coap"
	Variant        string `json:"variant"`         // "unsigned"
	VersionBefore  string `json:"version_before"`  // what it ran when the bad image was offered: "1.1.0"
	VariantVersion string `json:"variant_version"` // "1.2.0": what it would say if it ran the bad image
	OursRefuses    bool   `json:"ours_refuses"`    // control: our own verifier refuses it; older: it verifies, and is older

	GenuineBefore      bool `json:"genuine_before"`       // control: a genuine newer image was accepted just before
	GenuineBeforeTried bool `json:"genuine_before_tried"` // false where too few genuine images are left for it

	Outcome      probes.Outcome `json:"outcome"`       // answer to being told of the bad image: "done", "refused"
	Fetched      bool           `json:"fetched"`       // it fetched every byte of the first form, or of an older image enough to know
	FormsOffered int            `json:"forms_offered"` // 2 for tampered, else 1; fewer where an earlier one settled it
	FormsFetched int            `json:"forms_fetched"` // of those, fetched
	BytesFetched int64          `json:"bytes_fetched"` // of all forms: 131072
	Accepted     bool           `json:"accepted"`      // it ran the bad image at some time
	AcceptedForm string         `json:"accepted_form"` // which form of it: "tampered-plain"; empty where none
	VersionAfter string         `json:"version_after"` // "1.1.0"
	HealthyAfter bool           `json:"healthy_after"` // it answers its health operation afterwards

	RestartedBy string `json:"restarted_by"` // after the bad image: its own "reboot", or its "power"; empty where this bench can do neither, or need not
	Restarted   bool   `json:"restarted"`    // control: it was seen to start again then, and is back: what waits for the next start has had it

	GenuineAfter      bool    `json:"genuine_after"`       // a genuine newer image was accepted afterwards
	GenuineAfterTried bool    `json:"genuine_after_tried"` // false where the device was already out of order, or took none before
	GenuineSeconds    float64 `json:"genuine_seconds"`     // from the last byte of a genuine image until it ran: 0.8; 0 where none did
	PauseSeconds      float64 `json:"pause_seconds"`       // longest time without any change while the genuine image before was taken: 0.5; 0 where none was
	SettledSeconds    float64 `json:"settled_seconds"`     // time without change that was asked for after the bad image: 2.4
	WaitSeconds       float64 `json:"wait_seconds"`        // 20
}

// Ask offers a genuine image, the bad one, and a genuine one again.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	path, err := update.Take(b, p.Via, p.WaitSeconds)
	if err != nil {
		return nil, err
	}
	if p.SettleSeconds <= 0 || (p.Variant != Older && !slices.Contains(firmware.Variants(), p.Variant)) {
		return nil, fmt.Errorf("update/refusal: variant %q or settle_seconds %g is not usable: %w", p.Variant, p.SettleSeconds, probes.ErrBench)
	}
	f := Facts{Via: p.Via, Variant: p.Variant, WaitSeconds: p.WaitSeconds}
	now, err := path.Look(ctx)
	if err != nil {
		return nil, err
	}
	f.VersionBefore, f.VersionAfter, f.HealthyAfter = now.Version, now.Version, now.Healthy
	if now.Version == "" {
		return f, nil // whatever it runs later could not be told from what it runs now
	}
	if err := p.before(ctx, path, &f); err != nil {
		return nil, err
	}
	forms, err := p.forms(path, b.Images, &f)
	if err != nil {
		return nil, err
	}
	if err := p.offer(ctx, path, forms, &f); err != nil {
		return nil, err
	}
	if (f.GenuineBeforeTried && !f.GenuineBefore && !f.Accepted) || !f.HealthyAfter {
		return f, nil // it takes nothing at all, or is out of order: one more genuine image would tell no more
	}
	if back, err := p.restart(ctx, path, forms[max(f.FormsFetched, 1)-1], &f); err != nil {
		return nil, err
	} else if !back {
		return f, nil // whether for the bad image or for want of its supply, nobody can tell
	}
	if err := p.after(ctx, path, &f); err != nil {
		return nil, err
	}
	return f, nil
}

// before spends the next genuine image as a control, if another is left for afterwards.
func (p *Probe) before(ctx context.Context, path *update.Path, f *Facts) error {
	first, ok, err := path.Newer(f.VersionBefore)
	if err != nil || !ok {
		return err
	}
	if _, ok, err = path.Newer(first.Version); err != nil || !ok {
		return err
	}
	t, err := path.Genuine(ctx, first)
	if err != nil {
		return err
	}
	f.GenuineBeforeTried = true
	f.GenuineBefore = t.Runs && t.State.Healthy
	f.GenuineSeconds = t.Took.Seconds()
	f.PauseSeconds = t.Pause.Seconds()
	if t.State.Version != "" {
		f.VersionBefore = t.State.Version
	}
	f.VersionAfter, f.HealthyAfter = t.State.Version, t.State.Healthy
	return nil
}

// settle is how long nothing may change before the bad image counts as refused: thrice as long as
// the device needed to start the genuine one, and as it ever paused while it took it, since one that looks
// at the head first may fetch the rest later; but no longer than all patience, within which it took the
// genuine one. Where none was tried, the genuine one that follows has the bad one's version, and a late start
// of the bad one would pass for it: then half of all patience.
func (p *Probe) settle(f *Facts) time.Duration {
	s := min(3*max(f.GenuineSeconds, f.PauseSeconds), p.WaitSeconds)
	if !f.GenuineBefore {
		s = p.WaitSeconds / 2
	}
	return time.Duration(max(s, p.SettleSeconds) * float64(time.Second))
}

// offer offers the bad image in each of its forms, until one is accepted or breaks the device.
func (p *Probe) offer(ctx context.Context, path *update.Path, forms []probes.Image, f *Facts) error {
	settle := p.settle(f)
	f.SettledSeconds = settle.Seconds()
	for i, form := range forms {
		t, err := path.Doubtful(ctx, form, settle, p.Variant == Older)
		if err != nil {
			return err
		}
		fetched := t.Fetched.Complete || (p.Variant == Older && t.Fetched.Bytes > 0)
		f.FormsOffered++
		if fetched {
			f.FormsFetched++
		}
		if i == 0 {
			f.Outcome, f.Fetched = t.Outcome, fetched
		}
		f.BytesFetched += t.Fetched.Bytes
		f.VersionAfter, f.HealthyAfter = t.State.Version, t.State.Healthy
		if t.Saw(form.Version) {
			f.Accepted, f.AcceptedForm = true, form.Name
		}
		if f.Accepted || !f.HealthyAfter || !fetched {
			return nil
		}
	}
	return nil
}

// restart has the device start again: what its updater refused its bootloader may find and run. Then it is offered the
// bad image once more, since a start may mend what a refusal had spoilt; that must be seen by the genuine image that follows.
// It tells whether the device is there for that.
func (p *Probe) restart(ctx context.Context, path *update.Path, last probes.Image, f *Facts) (bool, error) {
	if f.Accepted || f.FormsFetched == 0 {
		return true, nil
	}
	r, err := path.Restart(ctx, time.Duration(p.SettleSeconds*float64(time.Second)))
	if err != nil || r.By == "" {
		return err == nil, err
	}
	f.RestartedBy, f.Restarted = r.By, r.Back
	if r.Saw(f.VariantVersion) {
		f.Accepted, f.AcceptedForm = true, last.Name
		f.VersionAfter, f.HealthyAfter = r.Version, r.Healthy
		return r.Healthy, nil
	}
	if !r.Back {
		return !r.Seen, nil
	}
	t, err := path.Doubtful(ctx, last, p.settle(f), p.Variant == Older)
	if err != nil {
		return false, err
	}
	f.VersionAfter, f.HealthyAfter = t.State.Version, t.State.Healthy
	if t.Saw(last.Version) {
		f.Accepted, f.AcceptedForm = true, last.Name
	}
	return f.HealthyAfter, nil
}

// after offers a genuine image again: a refusal must not cost the owner the mended version.
// Preferably one of another version than the bad image had, since a device may remember
// a bad version, and since a late start of the bad image shows by its version.
func (p *Probe) after(ctx context.Context, path *update.Path, f *Facts) error {
	image, ok, err := path.Newer(f.VersionAfter)
	if err != nil || !ok {
		return err
	}
	if image.Version == f.VariantVersion {
		later, ok, err := path.Newer(image.Version)
		if err != nil {
			return err
		}
		if ok {
			image = later
		}
	}
	t, err := path.Genuine(ctx, image)
	if err != nil {
		return err
	}
	f.GenuineAfterTried = true
	f.GenuineAfter = t.Runs && !t.Early && t.State.Healthy
	if !f.Accepted && t.Saw(f.VariantVersion) && (t.Early || image.Version != f.VariantVersion) {
		f.Accepted, f.AcceptedForm = true, f.Variant // late
	}
	if f.GenuineSeconds == 0 {
		f.GenuineSeconds = t.Took.Seconds()
	}
	return nil
}
