// Package residue asks what of its user is left in and around a device after a
// factory reset. It plants random marks through the device's own functions, resets it,
// and looks for them; it never writes a mark down.
package residue

import (
	"context"
	"fmt"
	"time"

	"assay/probes"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "wipe/residue",
		Version: "2",
		Asks:    "What of its user is left after a factory reset?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentClock},
			{Operation: probes.ResetPrefix + "{by}"},
			{Operation: probes.Health},
		},
		Touch:   probes.Destroy,
		Typical: 8,
		New: func() probes.Probe {
			return &Probe{Interface: "http", ListenSeconds: 3, SettleSeconds: 2, WaitSeconds: 20}
		},
		Facts: func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	By            string  `json:"by"`             // command or button: the operation is factory-reset-<by>
	Interface     string  `json:"interface"`      // where the planted account and the label's login are tried
	ListenSeconds float64 `json:"listen_seconds"` // how long it is listened to after it came back
	SettleSeconds float64 `json:"settle_seconds"` // how long it must answer without a break to count as back
	WaitSeconds   float64 `json:"wait_seconds"`   // longest time for it to come back
}

// Facts is what was found. A place that this bench cannot look into has its "searched" false.
type Facts struct {
	By            string         `json:"by"`                // "button"
	Planted       int            `json:"planted"`           // marks the device stored: 3, one for each store- operation with its read- operation
	PlantedSeen   int            `json:"planted_seen"`      // control: of those, read back before the reset
	ResetOutcome  probes.Outcome `json:"reset_outcome"`     // "done"
	Back          bool           `json:"back"`              // control: the device answered in good health again after the reset
	LabelLogin    bool           `json:"label_login_after"` // control: the login of the label gets in after the reset
	AccountBefore bool           `json:"account_before"`    // control: the planted account could log in before
	AccountAfter  bool           `json:"account_after"`     // the planted account can log in after the reset
	AccountAnswer probes.Outcome `json:"account_outcome"`   // its login's outcome after the reset: "refused"; empty where there was no account
	StrangerAfter bool           `json:"stranger_after"`    // control: an account that never was gets in as well; then nothing is shown by the planted one

	APIFound    bool `json:"api_found"`    // a mark came back from a read- operation
	APISearched bool `json:"api_searched"` // every read- operation was answered

	RetainedFound    bool `json:"retained_found"`     // a mark is in a retained message of the cloud
	RetainedSearched bool `json:"retained_searched"`  // this bench owns the cloud's broker and listed them
	BrokerSeenBefore bool `json:"broker_seen_before"` // control: a mark had reached the broker before the reset

	FlashFound      bool   `json:"flash_found"`       // a mark is in the storage
	FlashSearched   bool   `json:"flash_searched"`    // a dump was read, as long as the one before
	FlashEncodings  string `json:"flash_encodings"`   // as what: "base64,plain"; empty where nothing was found
	FlashSeen       int    `json:"flash_seen"`        // of the marks that were stored, seen in the storage before the reset: 3
	FlashSeenBefore bool   `json:"flash_seen_before"` // control: all were; false on storage that is encrypted or compressed, even for one of them
	AccountInFlash  bool   `json:"account_in_flash"`  // the planted account's name is in the storage

	TrafficFound      bool    `json:"traffic_found"`       // the device sent a mark in clear since the reset
	TrafficComplete   bool    `json:"traffic_complete"`    // the capture ran all the time and lost nothing
	TrafficFrames     uint64  `json:"traffic_frames"`      // frames the device sent since the reset: 214
	TrafficSeenBefore bool    `json:"traffic_seen_before"` // it sent marks in clear before the reset; then what it sent until it was away is left out
	TrafficUnclear    bool    `json:"traffic_unclear"`     // of what is left out, it sent a mark after the operation had returned: nobody can tell whether before the reset
	ListenSeconds     float64 `json:"listen_seconds"`      // 3
}

// Ask plants, resets, listens and searches.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	if p.By == "" || p.Interface == "" || p.ListenSeconds <= 0 || p.SettleSeconds <= 0 || p.WaitSeconds <= 0 {
		return nil, fmt.Errorf("wipe/residue: by, interface and the three times must be set: %w", probes.ErrBench)
	}
	h := &hunt{bench: b, iface: p.Interface}
	f := Facts{By: p.By, ListenSeconds: p.ListenSeconds}
	w, err := h.listen(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.plant(ctx, &f); err != nil {
		return nil, err
	}
	if err := h.seenBefore(ctx, &f); err != nil {
		return nil, err
	}
	if err := w.around(ctx, h, &f, func() error {
		reset, err := h.do(ctx, probes.ResetPrefix+p.By, nil)
		f.ResetOutcome = reset.Outcome
		return err
	}); err != nil {
		return nil, err
	}
	if f.Back, err = p.awaitBack(ctx, h, w); err != nil {
		return nil, err
	}
	if err := w.since(ctx, h, &f); err != nil {
		return nil, err
	}
	if err := h.after(ctx, &f); err != nil {
		return nil, err
	}
	return f, nil
}

// awaitBack waits until the device has answered its health operation for the time of settling without
// a break: a reset begins some time after it was asked for. The time of listening is part of the wait.
func (p *Probe) awaitBack(ctx context.Context, h *hunt, w *wire) (bool, error) {
	clock := h.bench.Clock
	begun := clock.Now()
	settle := seconds(max(p.SettleSeconds, p.ListenSeconds))
	var since time.Time
	for {
		health, err := h.do(ctx, probes.Health, nil)
		if err != nil {
			return false, err
		}
		now := clock.Now()
		switch {
		case health.Outcome != probes.Done:
			since = time.Time{}
			if err := w.away(ctx); err != nil {
				return false, err
			}
		case since.IsZero():
			since = now
		case now.Sub(since) >= settle:
			return true, nil
		}
		if since.IsZero() && now.Sub(begun) >= seconds(p.WaitSeconds) || now.Sub(begun) >= seconds(p.WaitSeconds)+settle {
			return false, nil
		}
		if err := clock.Wait(ctx, pollPause); err != nil {
			return false, fmt.Errorf("wait for the device after its reset: %w", err)
		}
	}
}
