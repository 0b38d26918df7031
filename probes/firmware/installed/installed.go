// Package installed asks whether the unit runs the firmware that its papers declare: by the version
// it reports, and by the bytes in its storage. It never trusts the one for the other, and never
// judges a storage in which no image can be told.
package installed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"assay/firmware"
	"assay/probes"
	family "assay/probes/firmware"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "firmware/installed",
		Version: "2",
		Asks:    "Does the unit run the firmware that its papers declare?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentImages},
			{Operation: probes.ReadVersion},
		},
		Touch:   probes.Interact,
		Typical: 2,
		New:     func() probes.Probe { return &Probe{} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe has no parameters.
type Probe struct{}

// Facts is what the unit says and what lies in it.
type Facts struct {
	Declared string         `json:"declared"` // by the dossier: "1.0.0"
	Outcome  probes.Outcome `json:"outcome"`  // of asking the unit for its version
	Reported string         `json:"reported"` // by the unit: "1.0.0"; empty where it did not say
	Same     bool           `json:"same"`     // the two are one version

	Image       string   `json:"image"`        // of the declared version: "firmware-1.0.0.bin"; empty where the dossier has none
	ImageSHA256 string   `json:"image_sha256"` // hex
	FlashRead   bool     `json:"flash_read"`   // the storage was read to its end
	FlashBytes  int64    `json:"flash_bytes"`  // 221184
	FlashSHA256 string   `json:"flash_sha256"` // hex
	FlashHolds  []string `json:"flash_holds"`  // versions of the maker's images whose payload lies in it in one piece: "1.0.0"
	Holds       bool     `json:"holds"`        // the declared one's does
	HoldsNewer  bool     `json:"holds_newer"`  // a newer one's does, too: which of them runs, the storage does not tell
}

// least keeps patterns long enough to be nobody else's bytes.
const least = 256

// Ask asks the unit, and looks into its storage where the bench can.
func (*Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	f := Facts{Declared: b.Images.Installed(), FlashHolds: []string{}}
	res, err := b.Device.Do(ctx, probes.ReadVersion, nil)
	if err == nil {
		err = ctx.Err() // an exchange cut short by us is not the device's answer
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the version: %w", err)
	}
	if f.Outcome = res.Outcome; res.Outcome == probes.Done {
		f.Reported = res.Values[probes.ValueVersion]
		if len(f.Reported) > 64 {
			f.Reported = f.Reported[:64]
		}
	}
	all, err := family.All(ctx, b.Images)
	if err != nil {
		return nil, err
	}
	at := family.Of(all, f.Declared)
	f.Same = f.Reported != "" && (f.Reported == f.Declared || len(all) > 0 && family.Same(all[0], f.Declared, f.Reported))
	if at >= 0 {
		image := all[at]
		sum := sha256.Sum256(image.Bytes)
		f.Image, f.ImageSHA256 = image.Name, hex.EncodeToString(sum[:])
		f.Same = family.Same(image, f.Declared, f.Reported)
	}
	if b.Flash == nil {
		return f, nil
	}
	if err := f.look(ctx, b.Flash, all); err != nil {
		return nil, err
	}
	for n, i := range all {
		held := slices.Contains(f.FlashHolds, i.Version)
		f.Holds = f.Holds || (held && n == at)
		f.HoldsNewer = f.HoldsNewer || (held && at >= 0 && n > at)
	}
	return f, nil
}

// look reads the storage once.
func (f *Facts) look(ctx context.Context, flash probes.Flash, all []probes.Image) error {
	dump, err := flash.Dump(ctx)
	if err != nil {
		return fmt.Errorf("dump the storage: %w", err)
	}
	sum := sha256.New()
	var wanted [][]byte
	for _, i := range all {
		wanted = append(wanted, pattern(i))
	}
	size, seen, err := search(ctx, io.TeeReader(dump, sum), wanted)
	if err = errors.Join(err, dump.Close()); err != nil {
		return fmt.Errorf("read the storage: %w", err)
	}
	f.FlashRead, f.FlashBytes, f.FlashSHA256 = size > 0, size, hex.EncodeToString(sum.Sum(nil))
	for n, i := range all {
		if seen[n] {
			f.FlashHolds = append(f.FlashHolds, i.Version)
		}
	}
	f.FlashHolds = family.Bounded(f.FlashHolds)
	return nil
}

// pattern is what of an image a device keeps as it is: the payload, without what only the update needs.
// Where the format does not tell it apart, the whole file.
func pattern(i probes.Image) []byte {
	b := i.Bytes
	if i.Signature == nil {
		if img, err := firmware.OpenUnverified(i.Input()); err == nil {
			for _, r := range img.Describe().Covered {
				if r.Name == "payload" && r.Size >= least && r.Offset >= 0 && r.Offset+r.Size <= int64(len(b)) {
					b = b[r.Offset : r.Offset+r.Size]
					break
				}
			}
		}
	}
	if len(b) < least || blank(b) {
		return nil
	}
	return b
}

// blank tells whether all bytes are the same, as those of erased storage are.
func blank(b []byte) bool { return bytes.Count(b, b[:1]) == len(b) }

// search tells which patterns lie in r, each in one piece, holding no more than twice the longest of them.
func search(ctx context.Context, r io.Reader, wanted [][]byte) (size int64, seen []bool, err error) {
	longest := 1 << 20
	for _, w := range wanted {
		longest = max(longest, len(w))
	}
	seen = make([]bool, len(wanted))
	window := make([]byte, 0, 2*longest)
	for {
		if err := ctx.Err(); err != nil {
			return size, nil, err
		}
		n, err := io.ReadFull(r, window[len(window):cap(window)])
		fresh := len(window)
		window, size = window[:fresh+n], size+int64(n)
		for k, w := range wanted {
			if !seen[k] && w != nil {
				seen[k] = bytes.Contains(window[max(0, fresh-len(w)+1):], w)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return size, seen, nil
		}
		if err != nil {
			return size, nil, err
		}
		keep := min(len(window), longest)
		copy(window, window[len(window)-keep:])
		window = window[:keep]
	}
}
