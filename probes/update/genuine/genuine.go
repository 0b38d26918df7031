// Package genuine asks whether the device takes the maker's next image. It never
// offers anything that the maker did not sign.
package genuine

import (
	"context"
	"fmt"

	"assay/probes"
	"assay/probes/update"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "update/genuine",
		Version: "2",
		Asks:    "Does the device take the maker's next genuine image and run it?",
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
		Typical: 3,
		New:     func() probes.Probe { return &Probe{WaitSeconds: 20} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	Via         string  `json:"via"`          // https or coap: the operation is update-<via>
	WaitSeconds float64 `json:"wait_seconds"` // longest time from the offer until the image runs
}

// Facts is what the device did.
type Facts struct {
	Via           string         `json:"via"`            // "https"
	VersionBefore string         `json:"version_before"` // "1.0.0"
	ImageVersion  string         `json:"image_version"`  // "1.1.0": the lowest genuine one above
	HealthyBefore bool           `json:"healthy_before"` // control
	Outcome       probes.Outcome `json:"outcome"`        // answer to being told of the update: "done"
	Fetched       bool           `json:"fetched"`        // it fetched every byte of the image
	BytesFetched  int64          `json:"bytes_fetched"`  // 65536
	VersionAfter  string         `json:"version_after"`  // "1.1.0"
	HealthyAfter  bool           `json:"healthy_after"`  // it answers its health operation afterwards
	Accepted      bool           `json:"accepted"`       // it fetched the image, runs its version, and is healthy
	TookSeconds   float64        `json:"took_seconds"`   // from the last byte until then: 0.8; 0 where it was not accepted
	WaitSeconds   float64        `json:"wait_seconds"`   // 20
}

// Ask offers the next image and watches.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	path, err := update.Take(b, p.Via, p.WaitSeconds)
	if err != nil {
		return nil, err
	}
	before, err := path.Look(ctx)
	if err != nil {
		return nil, err
	}
	f := Facts{
		Via: p.Via, WaitSeconds: p.WaitSeconds,
		VersionBefore: before.Version, HealthyBefore: before.Healthy,
		VersionAfter: before.Version, HealthyAfter: before.Healthy,
	}
	if before.Version == "" {
		return f, nil // whatever it runs later could not be told from what it runs now
	}
	image, ok, err := path.Newer(before.Version)
	if err == nil && !ok {
		err = fmt.Errorf("update/genuine: nothing is newer than %s: %w", before.Version, probes.ErrNoImage)
	}
	if err != nil {
		return nil, err
	}
	f.ImageVersion = image.Version
	t, err := path.Genuine(ctx, image)
	if err != nil {
		return nil, err
	}
	f.Outcome, f.Fetched, f.BytesFetched = t.Outcome, t.Fetched.Complete, t.Fetched.Bytes
	f.VersionAfter, f.HealthyAfter = t.State.Version, t.State.Healthy
	f.Accepted = t.Runs && t.State.Healthy && path.Same(t.State.Version, image.Version)
	if f.Accepted {
		f.TookSeconds = t.Took.Seconds()
	}
	return f, nil
}
