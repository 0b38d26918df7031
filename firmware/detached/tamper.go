package detached

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"assay/firmware/format"
)

// maxArtifact is the largest artifact of which variants are made.
const maxArtifact = 1 << 30

// common are the variants that need nothing but bytes.
var common = []string{
	format.Tampered, format.TamperedPlain, format.SignatureFlip, format.Unsigned, format.TruncatedPayload,
	format.TruncatedSignature, format.Empty, format.TrailingData, format.MixAndMatch, format.Swapped,
}

// variants is common and what a scheme adds, in the order of format.Variants.
func variants(own ...string) []string {
	all := slices.Concat(common, own)
	return format.InOrder(all...)
}

// A change is a variant in the making: what the two files become, and why.
type change struct {
	signature []byte
	artifact  []byte // nil: unchanged
	second    []byte // of a pair
	m         format.Manifest
}

func (c *change) say(layer format.Layer, reason error, expected string, changed ...string) {
	c.m.Layer, c.m.Reason, c.m.Expected = layer, reason, expected
	c.m.Changed = append(c.m.Changed, changed...)
}

// Tamper makes a variant of the pair of files.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v, err := img.tamper(variant, means)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of %s signature: %w", variant, img.name, err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means) (format.Variant, error) {
	if !slices.Contains(format.Variants(), variant) { // a typing error, not a matter of this scheme
		return format.Variant{}, format.ErrUnknownVariant
	}
	a := img.artifact()
	if a == nil {
		return format.Variant{}, format.Wrap(format.ErrNotApplicable, "the signed file was not given")
	}
	artifact, err := a.Whole(maxArtifact)
	if err != nil {
		return format.Variant{}, err
	}
	head := img.in.Size()
	if img.inside() {
		head -= img.embedded.Size()
	}
	signature, err := img.in.Bytes(0, head)
	if err != nil {
		return format.Variant{}, err
	}
	c := &change{signature: signature, artifact: artifact, m: format.Manifest{Format: img.name, Variant: variant}}
	err = img.scheme.tamper(variant, means, c)
	if errors.Is(err, format.ErrUnknownVariant) {
		err = c.common(variant, means)
	}
	if err != nil {
		return format.Variant{}, err
	}
	return img.pack(c), nil
}

// inside tells whether the signed message lies in the signature file and nowhere else.
func (img *Image) inside() bool { return img.embedded != nil && img.in.Artifact == nil }

// pack puts the two together as they were: side by side, or the message within.
func (img *Image) pack(c *change) format.Variant {
	v := format.Variant{Manifest: c.m}
	switch {
	case c.second != nil && img.inside():
		v.Files = map[string][]byte{format.FileFirst: slices.Concat(c.signature, c.artifact), format.FileSecond: slices.Concat(c.signature, c.second)}
	case c.second != nil:
		v.Files = map[string][]byte{format.FileSignature: c.signature, format.FileFirst: c.artifact, format.FileSecond: c.second}
	case img.inside():
		v.Bytes = slices.Concat(c.signature, c.artifact)
	default:
		v.Files = map[string][]byte{format.FileSignature: c.signature, format.FileArtifact: c.artifact}
	}
	return v
}

// common makes the variants that need nothing but bytes.
func (c *change) common(variant string, means format.Means) error {
	switch variant {
	case format.Tampered, format.TamperedPlain:
		return c.flipArtifact()
	case format.Unsigned:
		c.signature = []byte{}
		c.say(format.LayerStructure, format.ErrMalformed, "there is no signature", "signature file emptied")
	case format.TruncatedSignature:
		n := len(c.signature) / 2
		c.signature = c.signature[:n]
		c.say(format.LayerStructure, format.ErrMalformed, "the signature file ends too early", fmt.Sprintf("signature file cut at offset %d", n))
	case format.SignatureFlip:
		return format.Wrap(format.ErrNotApplicable, "the signature cannot be found")
	case format.TruncatedPayload:
		n := len(c.artifact) * 9 / 10
		if n == len(c.artifact) {
			return format.Wrap(format.ErrNotApplicable, "the signed file is empty")
		}
		c.artifact = c.artifact[:n]
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the shorter file", fmt.Sprintf("signed file cut at offset %d", n))
	case format.Empty:
		if len(c.artifact) == 0 {
			return format.Wrap(format.ErrNotApplicable, "the signed file is empty")
		}
		c.artifact = []byte{}
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of nothing", "signed file emptied")
	case format.TrailingData:
		at := len(c.artifact)
		c.artifact = append(c.artifact, make([]byte, 16)...)
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the longer file", fmt.Sprintf("16 zeros appended to the signed file at offset %d", at))
	case format.MixAndMatch:
		return c.mix(means)
	case format.Swapped:
		second := bytes.Clone(c.artifact)
		if err := flipIn(&c.m, second, "second file"); err != nil {
			return err
		}
		c.second = second
		c.say(format.LayerPayload, format.ErrBadSignature, "what is used is not what was checked")
	default:
		return format.Wrap(format.ErrNotApplicable, "this scheme has no such thing")
	}
	return nil
}

// flipArtifact is both tampered variants: between a file and its detached signature
// stands no checksum that could be repaired.
func (c *change) flipArtifact() error {
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the changed file")
	return flipIn(&c.m, c.artifact, "signed file")
}

func flipIn(m *format.Manifest, b []byte, what string) error {
	if len(b) == 0 {
		return format.Wrap(format.ErrNotApplicable, "the signed file is empty")
	}
	at := len(b) / 2
	b[at] ^= 1
	m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of the byte at offset %d of the %s", at, what))
	return nil
}

// mix puts the maker's older file under the signature of the newer.
func (c *change) mix(means format.Means) error {
	if means.Older == nil {
		return format.Wrap(format.ErrNotApplicable, "it needs an older file of the maker")
	}
	older, err := means.Older.Whole(maxArtifact)
	if err != nil {
		return err
	}
	if bytes.Equal(older, c.artifact) {
		return format.Wrap(format.ErrNotApplicable, "the older file is the same")
	}
	c.artifact = older
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the older file", "signed file replaced by an older one of the maker")
	return nil
}

// freshLike makes a key of the kind of another.
func freshLike(public crypto.PublicKey) (crypto.Signer, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return rsa.GenerateKey(rand.Reader, max(2048, p.N.BitLen()))
	case *ecdsa.PublicKey:
		return ecdsa.GenerateKey(p.Curve, rand.Reader)
	}
	return freshEd25519()
}

func freshEd25519() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}
