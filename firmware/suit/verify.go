package suit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"assay/firmware/format"
)

// Open returns the envelope if somebody whom trust names signed it.
func Open(in format.Input, trust format.Trust) (*Image, error) {
	img, err := OpenUnverified(in)
	if err != nil {
		return nil, err
	}
	if _, err := img.Verify(trust); err != nil {
		return nil, err
	}
	return img, nil
}

// Verify checks, in this order: there is a block, the digest is the manifest's, a trusted
// key or secret made one of the blocks, what was severed is there and fits, every payload
// is compared with a digest by every way through the sequences, and so for every
// dependency that the envelope carries.
//
// Two files that differ may both verify: the tag 107 may be missing, blocks may come and
// go as long as a trusted one stays, unprotected headers are anybody's, an ECDSA signature
// has a second form, and text may be severed. The manifest and everything that a device
// acts on are then the same in both.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	if err := img.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify suit manifest %d: %w", img.manifest.sequence, err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	if trust.Keys.Len() == 0 && len(trust.Secrets) == 0 && len(trust.Own[Name]) == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no key and no secret was given")
	}
	if img.bare {
		return format.Wrap(format.ErrUnsigned, "a bare manifest")
	}
	if !img.wrapper {
		return format.Wrap(format.ErrUnsigned, "no authentication wrapper")
	}
	if len(img.blocks) == 0 {
		return format.Wrap(format.ErrUnsigned, "the authentication wrapper holds a digest and no block")
	}
	k, err := img.digest.kind()
	report.Findings = append(report.Findings, format.WeakDigest(k.name)...)
	if err != nil {
		return err
	}
	report.Digest = img.digest.String()
	if ok, err := img.digest.fits(bytes.NewReader(img.manifestRaw)); err != nil || !ok {
		return cmp.Or(err, format.Wrap(format.ErrBadHash, "the signed digest is not the manifest's"))
	}
	v, err := img.vouched(trust)
	if err != nil {
		return err
	}
	report.Signature, report.Key = v.algorithm, v.key
	report.Findings = append(report.Findings, v.findings()...)
	report.Chain = append(report.Chain,
		format.Link{Kind: "key", Name: v.name(), Algorithm: v.algorithm, Strength: v.strength(), From: v.from()},
		format.Link{Kind: "signature", Name: "authentication block", Algorithm: v.algorithm, Strength: v.strength(), From: "image"},
		format.Link{Kind: "hash", Name: "manifest", Algorithm: k.name, From: "signature above"})
	if err := img.checkSevered(trust.Installed, report); err != nil {
		return err
	}
	return img.checkContents(trust, report)
}

// vouched returns who made the first block that holds.
func (img *Image) vouched(trust format.Trust) (voucher, error) {
	var errs []error
	for _, blk := range img.blocks {
		v, err := blk.check(trust, img.digestRaw)
		if err == nil {
			return v, nil
		}
		errs = append(errs, err)
	}
	return voucher{}, errors.Join(errs...)
}

// checkSevered compares the members beside the manifest with their digests in it.
func (img *Image) checkSevered(installed bool, report *format.Report) error {
	for _, key := range slices.Sorted(maps.Keys(img.severable)) {
		d, ok := img.manifest.severed[key]
		if !ok {
			return format.Wrap(format.ErrNotBound, "the manifest has no digest of the %s", memberName(key))
		}
		fits, err := d.fits(bytes.NewReader(img.severable[key]))
		if err != nil {
			return inside(memberName(key), err)
		}
		if !fits {
			return format.Wrap(format.ErrBadHash, "the %s is not the one whose digest the manifest holds", memberName(key))
		}
		k, _ := d.kind()
		report.Chain = append(report.Chain, format.Link{Kind: "hash", Name: memberName(key), Algorithm: k.name, From: "manifest"})
	}
	if installed {
		return nil
	}
	for _, key := range img.missing() {
		if isSequence(key) {
			return format.Wrap(format.ErrNotBound, "the %s was severed: nothing can be installed with what is left", memberName(key))
		}
	}
	return nil
}

// missing lists the members that have been severed.
func (img *Image) missing() []uint64 {
	var keys []uint64
	for _, key := range slices.Sorted(maps.Keys(img.manifest.severed)) {
		if img.severable[key] == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// checkContents verifies payloads and dependencies.
func (img *Image) checkContents(trust format.Trust, report *format.Report) error {
	out, err := img.checkPayloads(trust.Installed)
	if err != nil {
		return err
	}
	for n, m := range img.members {
		if !m.isName {
			continue
		}
		if img.needed[n] {
			sub, err := img.dependency(n)
			if err != nil {
				return err
			}
			r, err := sub.Verify(trust)
			if err != nil {
				return fmt.Errorf("dependency %s: %w", m.label(), err)
			}
			for _, l := range r.Chain {
				l.Name = m.name + ": " + l.Name
				report.Chain = append(report.Chain, l)
			}
			report.Findings = append(report.Findings, r.Findings...)
			continue
		}
		report.Chain = append(report.Chain, format.Link{Kind: "hash", Name: m.label(), Algorithm: img.algorithmOf(n), From: "manifest"})
	}
	if img.artifact != nil {
		w, err := img.checkArtifact(out.wants)
		if err != nil {
			return err
		}
		k, _ := w.digest.kind()
		report.Chain = append(report.Chain, format.Link{Kind: "hash", Name: "payload of " + w.uri, Algorithm: k.name, From: "manifest"})
		out.wants = slices.DeleteFunc(out.wants, func(o want) bool { return o.digest.equal(w.digest) })
	}
	for _, uri := range out.loose {
		report.Image.Notes = append(report.Image.Notes,
			fmt.Sprintf("the payload of %q lies elsewhere, and no condition compares it with a digest", uri))
	}
	for _, w := range out.wants {
		report.Image.Notes = append(report.Image.Notes,
			fmt.Sprintf("the payload of %q lies elsewhere and was not checked here; the manifest wants %s", w.uri, w.digest))
	}
	return nil
}

func (img *Image) algorithmOf(n int) string {
	for _, k := range digestKinds() {
		if _, ok := img.sums[fmt.Sprintf("%d %s", n, k.name)]; ok {
			return k.name
		}
	}
	return ""
}
