// Package detached is for signatures that lie in a file of their own: minisign, signify
// and OpenWrt's usign, OpenPGP, CMS, and the bare bytes that openssl writes. The signature
// file is the input, the file it speaks for is its artifact, which is read once and never
// held in memory. It never takes a key from the signature file and never goes by what
// that file says outside its signature.
package detached

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"

	"assay/firmware/format"
)

// Formats lists the schemes in the order in which they must be tried: a raw signature
// has no mark of its own, so it comes last.
func Formats() []format.Format {
	return []format.Format{minisignFormat(), signifyFormat(), OpenPGPFormat(), cmsFormat(), rawFormat()}
}

// What an artifact and the parts of a signature file are called among regions.
const regionArtifact = "artifact"

// largest is what is read of a signature file; embedded messages are not counted.
const largest = 64 << 10

// A scheme is one kind of detached signature, parsed.
type scheme interface {
	describe(f *format.Facts)
	// verify checks artifact, which is there, against the signature.
	verify(trust format.Trust, artifact format.Source, r *format.Report) error
	check(d format.Device) error
	// tamper makes the variants of the signature file; format.ErrUnknownVariant: it knows none by that name.
	tamper(variant string, means format.Means, c *change) error
}

// An Image is one signature file with its artifact.
type Image struct {
	in       format.Input
	name     string
	scheme   scheme
	embedded *format.Source // the message within the file: signify -e
}

// open parses with one scheme and keeps what all need.
func open(in format.Input, name string, parse func(format.Input, *Image) (scheme, error)) (format.Image, error) {
	img := &Image{in: in, name: name}
	s, err := parse(in, img)
	if err != nil {
		return nil, fmt.Errorf("open %s signature of %d bytes: %w", name, in.Size(), err)
	}
	img.scheme = s
	return img, nil
}

// Describe tells what the signature file says.
func (img *Image) Describe() format.Facts {
	f := format.Facts{Format: img.name, Size: img.in.Size()}
	if a := img.artifact(); a != nil {
		f.PayloadSize = a.Size()
		f.Covered = append(f.Covered, format.Region{Name: regionArtifact, Size: a.Size()})
	} else {
		f.Notes = append(f.Notes, "The signed file was not given: nothing can be said about it.")
	}
	img.scheme.describe(&f)
	return f
}

// artifact is what was signed.
func (img *Image) artifact() *format.Source {
	if img.in.Artifact != nil {
		return img.in.Artifact
	}
	return img.embedded
}

// Verify returns nil only if one whom trust names signed the artifact.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	err := img.verify(trust, &report)
	if err != nil {
		return report, fmt.Errorf("verify %s signature: %w", img.name, err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	a := img.artifact()
	if a == nil {
		return format.Wrap(format.ErrNotVerified, "the signed file was not given")
	}
	return img.scheme.verify(trust, *a, report)
}

// Check applies a device's rules. A rule for which the signature has no word cannot be
// kept, so it is an error: silence would let every older release pass.
func (img *Image) Check(d format.Device) error {
	if a := img.artifact(); a != nil && d.Size > 0 && a.Size() > d.Size {
		return format.Wrap(format.ErrTooLarge, "%d bytes, the slot has %d", a.Size(), d.Size)
	}
	if err := img.scheme.check(d); err != nil {
		return fmt.Errorf("check %s signature: %w", img.name, err)
	}
	return nil
}

// checkNothing is the check of a scheme that says neither version nor device.
func checkNothing(d format.Device) error {
	if d.Version != "" || d.Counter != nil {
		return format.Wrap(format.ErrDevice, "the signature tells neither version nor counter: the signed file may")
	}
	if len(d.Is) > 0 {
		return format.Wrap(format.ErrDevice, "the signature does not say for which device: the signed file may")
	}
	return nil
}

// whole reads a signature file.
func whole(in format.Input) ([]byte, error) {
	b, err := in.Whole(largest)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, fmt.Errorf("the signature file is empty: %w", errors.Join(format.ErrMalformed, format.ErrUnsigned))
	}
	return b, nil
}

// feed reads s once into every one of hs.
func feed(s format.Source, hs ...hash.Hash) error {
	w := make([]io.Writer, len(hs))
	for i, h := range hs {
		w[i] = h
	}
	if _, err := io.CopyBuffer(onlyWriter{io.MultiWriter(w...)}, s.Section(0, s.Size()), make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("read the signed file: %w", err)
	}
	return nil
}

// onlyWriter hides ReadFrom, so that the buffer given is the one used.
type onlyWriter struct{ io.Writer }

// onlyKey makes the report's key of a public key.
func onlyKey(public crypto.PublicKey, from string) (format.Key, error) {
	var set format.Keys
	if err := set.Add(public, from); err != nil {
		return format.Key{}, err
	}
	return set.All()[0], nil
}

// tell puts the key into the report, and what the table of weaknesses says of it.
func tell(r *format.Report, k format.Key) {
	r.Key, r.Findings = &k, format.WeakKey(k.Public)
}

// links is the short chain of a bare key: the key, its signature, what is signed.
func links(k format.Key, algorithm, digest string) []format.Link {
	return []format.Link{
		{Kind: "key", Name: k.Fingerprint, Algorithm: k.Algorithm, Strength: format.Strength(k.Public), From: k.From},
		{Kind: "signature", Name: "signature file", Algorithm: algorithm, From: "image"},
		{Kind: "hash", Name: digest, From: regionArtifact},
	}
}
