package bench

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assay/firmware"
	"assay/probes"
	"assay/profiles/dossier"
)

const (
	maxImage  = 64 << 20
	maxAnchor = 8 << 20
	// forFirmware marks the anchors that vouch for updates.
	forFirmware = "firmware"
)

// images are the dossier's, each verified.
type images struct {
	list      []image // the oldest first
	trust     firmware.Trust
	installed string
}

type image struct {
	probes.Image
	format string
}

// loadImages reads and verifies every image of the dossier; nil without an error where it names none.
func loadImages(d *dossier.Dossier) (*images, error) {
	if len(d.Images) == 0 {
		return nil, nil
	}
	trust, err := firmwareTrust(d)
	if err != nil {
		return nil, err
	}
	set := &images{trust: trust, installed: d.Product.Firmware}
	for i, entry := range d.Images {
		img, err := loadImage(d, entry, trust)
		if err != nil {
			return nil, unusable(fmt.Errorf("dossier images[%d], file %s: %w", i, entry.File, err))
		}
		set.list = append(set.list, img)
	}
	slices.SortStableFunc(set.list, func(a, b image) int {
		order, err := a.compare(b.Version)
		if err != nil { // of two formats: which is older, nobody can say
			return 0
		}
		return order
	})
	return set, nil
}

func loadImage(d *dossier.Dossier, entry dossier.Image, trust firmware.Trust) (image, error) {
	b, err := readBounded(inDossier(d, entry.File), maxImage)
	if err != nil {
		return image{}, err
	}
	sum := sha256.Sum256(b)
	if have := hex.EncodeToString(sum[:]); entry.SHA256 != "" && !strings.EqualFold(have, strings.TrimPrefix(entry.SHA256, "sha256:")) {
		return image{}, fmt.Errorf("sha256 is %s, the dossier says %s", have, entry.SHA256)
	}
	found := probes.Image{Name: filepath.Base(entry.File), Version: entry.Version, Bytes: b}
	if entry.Signature != "" {
		if found.Signature, err = readBounded(inDossier(d, entry.Signature), maxAnchor); err != nil {
			return image{}, err
		}
	}
	report, err := firmware.Verify(found.Input(), trust)
	if err != nil {
		return image{}, fmt.Errorf("not genuine under the dossier's trust for firmware: %w", err)
	}
	if report.Image.Version == "" { // the format writes none, as a detached signature: the dossier's word stands
		return image{found, report.Image.Format}, nil
	}
	same, err := firmware.Compare(report.Image, firmware.Facts{Format: report.Image.Format, Version: entry.Version})
	if err != nil {
		return image{}, fmt.Errorf("version %s: %w", entry.Version, err)
	}
	if same != 0 {
		return image{}, fmt.Errorf("the image is version %s, the dossier says %s", report.Image.Version, entry.Version)
	}
	return image{found, report.Image.Format}, nil
}

// firmwareTrust collects the anchors that vouch for updates.
func firmwareTrust(d *dossier.Dossier) (firmware.Trust, error) {
	var files []firmware.Anchor
	for i, a := range d.Trust {
		if a.For != forFirmware {
			continue
		}
		b, err := readBounded(inDossier(d, a.File), maxAnchor)
		if err == nil {
			files = append(files, firmware.Anchor{From: a.File, Bytes: b})
			_, err = firmware.ParseTrust(files[len(files)-1])
		}
		if err != nil {
			return firmware.Trust{}, unusable(fmt.Errorf("dossier trust[%d], file %s: %w", i, a.File, err))
		}
	}
	if len(files) == 0 {
		return firmware.Trust{}, unusable(fmt.Errorf("dossier trust: images are named, but no key `for: firmware` that they verify under"))
	}
	trust, err := firmware.ParseTrust(files...)
	for _, a := range d.Trust {
		if a.For == forFirmware {
			trust.Purpose, trust.Signer, trust.Issuer = cmp.Or(trust.Purpose, a.Purpose), cmp.Or(trust.Signer, a.Signer), cmp.Or(trust.Issuer, a.Issuer)
		}
	}
	trust.At = time.Now() // certificates are judged by the bench's clock
	return trust, err
}

// Newer returns the genuine image with the lowest version above version.
func (s *images) Newer(version string) (probes.Image, error) { return s.nearest(version, 1) }

// Older returns the genuine image with the highest version below version.
func (s *images) Older(version string) (probes.Image, error) { return s.nearest(version, -1) }

// All returns every image, the oldest first.
func (s *images) All(ctx context.Context) ([]probes.Image, error) {
	all := make([]probes.Image, len(s.list))
	for i := range s.list {
		all[i] = s.list[i].Image
	}
	return all, ctx.Err()
}

// Installed returns the version under test.
func (s *images) Installed() string { return s.installed }

// Trust returns what genuine images verify under.
func (s *images) Trust() firmware.Trust { return s.trust }

// nearest is the image closest to version on one side of it: 1 above, -1 below.
func (s *images) nearest(version string, side int) (probes.Image, error) {
	var best *image
	for i := range s.list {
		c := &s.list[i]
		order, err := c.compare(version)
		if err != nil {
			return probes.Image{}, fmt.Errorf("compare image %s with version %.64q: %w: %w", c.Name, version, err, probes.ErrBench)
		}
		if order != side {
			continue
		}
		if best != nil {
			if order, err = c.compare(best.Version); err != nil {
				return probes.Image{}, fmt.Errorf("compare images: %w: %w", err, probes.ErrBench)
			}
			if order == side {
				continue // further away
			}
		}
		best = c
	}
	if best == nil {
		word := map[int]string{1: "newer", -1: "older"}[side]
		return probes.Image{}, fmt.Errorf("image %s than %.64q: %w", word, version, probes.ErrNoImage)
	}
	found := best.Image
	found.Bytes, found.Signature = bytes.Clone(found.Bytes), bytes.Clone(found.Signature)
	return found, nil
}

func (i *image) compare(version string) (int, error) {
	return firmware.Compare(firmware.Facts{Format: i.format, Version: i.Version}, firmware.Facts{Format: i.format, Version: version})
}

// inDossier is a file name as the dossier means it.
func inDossier(d *dossier.Dossier, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.Dir, name)
}

// readBounded reads a file of at most so many bytes.
func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	return b, nil
}
