package mender

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"
)

func variants() []string {
	return []string{
		format.Tampered, format.TamperedPlain, format.HeaderPlain, format.HeaderFlip, format.SignatureFlip, format.TrailerFlip,
		format.Unsigned, format.DuplicateSignature, format.WrongKey, format.AlgorithmConfusion, format.WeakAlgorithm, format.OtherProduct,
		format.TruncatedHeader, format.TruncatedPayload, format.TruncatedSignature, format.Empty, format.Oversize, format.TrailingData,
		format.LengthLie, format.DuplicateEntry, format.DecompressionBomb, format.UnsignedExtra, format.PathEscape, format.MixAndMatch,
		format.Swapped,
	}
}

// Tamper makes a variant of the artifact that a good client refuses. Older is none of them:
// the format cannot tell a client which of two artifacts is the older one.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v := format.Variant{Manifest: format.Manifest{Format: name, Variant: variant}}
	err := img.tamper(variant, means, &v)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of mender artifact %.100q: %w", variant, img.Name(), err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means, v *format.Variant) error {
	if !slices.Contains(variants(), variant) {
		return format.ErrUnknownVariant
	}
	if img.sig == nil {
		return format.Wrap(format.ErrNotApplicable, "it is not signed")
	}
	if img.augment != nil {
		return format.Wrap(format.ErrNotApplicable, "it carries augmented parts that nobody signed")
	}
	if variant == format.Swapped {
		return img.swap(v)
	}
	b, err := img.edit(variant, means, &v.Manifest)
	v.Bytes = b
	return err
}

// edit makes the variants of one file.
func (img *Image) edit(variant string, means format.Means, m *format.Manifest) ([]byte, error) {
	switch variant {
	case format.TamperedPlain, format.Tampered:
		return img.flipPayload(m, variant == format.Tampered)
	case format.HeaderPlain:
		return img.addScript(m)
	case format.HeaderFlip:
		return img.flipHeader(m)
	case format.SignatureFlip, format.TruncatedSignature:
		return img.spoilSignature(m, variant == format.SignatureFlip)
	case format.Unsigned:
		says(m, format.LayerSignature, format.ErrUnsigned, "the client has a verification key and the artifact no manifest.sig")
		return img.rewrite(m, func(p *parts) error { p.sig = nil; return nil }, "manifest.sig removed")
	case format.DuplicateSignature, format.DuplicateEntry:
		return img.double(m, variant == format.DuplicateSignature)
	case format.WrongKey, format.AlgorithmConfusion:
		return img.foreign(m, variant == format.AlgorithmConfusion)
	case format.WeakAlgorithm:
		return img.weak(m, means)
	case format.OtherProduct:
		return img.otherProduct(m, means)
	case format.Oversize:
		return img.oversize(m, means)
	case format.MixAndMatch:
		return img.mix(m, means)
	case format.DecompressionBomb:
		return img.bomb(m)
	case format.UnsignedExtra, format.PathEscape:
		return img.extra(m, variant == format.PathEscape)
	}
	return img.spoilArchive(variant, m)
}

// says fills in where and why a good client refuses.
func says(m *format.Manifest, layer format.Layer, reason error, text string, args ...any) {
	m.Layer, m.Reason, m.Expected = layer, reason, fmt.Sprintf(text, args...)
}

// parts loads the artifact as it is.
func (img *Image) parts() (*parts, error) {
	p := &parts{lines: slices.Clone(img.lines), header: File{Name: img.header.name}}
	for _, part := range []struct {
		m    member
		into *[]byte
	}{{img.members[0], &p.version}, {img.manifest, &p.manifest}, {*img.sig, &p.sig}, {img.header, &p.header.Data}} {
		b, err := img.in.Bytes(part.m.at, part.m.size)
		if err != nil {
			return nil, err
		}
		*part.into = b
	}
	for _, m := range img.data {
		b, err := img.in.Bytes(m.at, m.size)
		if err != nil {
			return nil, err
		}
		p.data = append(p.data, File{m.name, b})
	}
	return p, nil
}

// rewrite edits the parts and writes the archive again.
func (img *Image) rewrite(m *format.Manifest, edit func(p *parts) error, changed ...string) ([]byte, error) {
	p, err := img.parts()
	if err != nil {
		return nil, err
	}
	if err := edit(p); err != nil {
		return nil, err
	}
	m.Changed = append(m.Changed, changed...)
	return p.archive()
}

// repair gives a file the hash that it now has; the old signature stays.
func (p *parts) repair(m *format.Manifest, name string, b []byte) {
	for i := range p.lines {
		if p.lines[i].name == name {
			p.lines[i].sum = sha256.Sum256(b)
			m.Repaired = append(m.Repaired, "manifest line of "+name)
		}
	}
	p.manifest = manifestOf(p.lines)
}

// resign repairs the line of name and signs again.
func (p *parts) resign(m *format.Manifest, name string, b []byte, key crypto.Signer) error {
	p.repair(m, name, b)
	m.Repaired = append(m.Repaired, "manifest.sig, with the maker's key")
	return p.sign(key)
}

// maker checks that the signer given is one that Verify would name.
func maker(means format.Means) (crypto.Signer, error) {
	if means.Signer == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs the maker's key")
	}
	if _, err := sign(means.Signer, crypto.SHA256, nil); err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the maker's key: %v", err)
	}
	return means.Signer, nil
}

// foreign signs the unchanged manifest with a fresh key: of the kind that signed it, or of the other.
func (img *Image) foreign(m *format.Manifest, otherKind bool) ([]byte, error) {
	var key crypto.Signer
	var err error
	kind := "the same kind"
	switch {
	case isECDSA(img.rawSig) != otherKind:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case otherKind:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 8*len(img.rawSig))
	}
	if err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "make a key: %v", err)
	}
	says(m, format.LayerSignature, format.ErrBadSignature, "manifest.sig is not one of the verification key")
	if otherKind {
		kind = "another kind"
		says(m, format.LayerTrust, format.ErrAlgorithm, "manifest.sig cannot be one of the verification key, which is of another kind")
	}
	return img.rewrite(m, func(p *parts) error { return p.sign(key) }, "manifest.sig made by a fresh key of "+kind)
}

func (img *Image) weak(m *format.Manifest, means format.Means) ([]byte, error) {
	key, err := maker(means)
	if err != nil {
		return nil, err
	}
	says(m, format.LayerSignature, format.ErrBadSignature, "the format signs SHA-256 only")
	return img.rewrite(m, func(p *parts) error {
		sig, err := sign(key, crypto.SHA1, p.manifest)
		if err != nil {
			return format.Wrap(format.ErrNotApplicable, "the key does not sign SHA-1: %v", err)
		}
		p.sig = base64.StdEncoding.AppendEncode(nil, sig)
		return nil
	}, "manifest.sig made by the maker's key over the SHA-1 of the manifest")
}

func (img *Image) spoilSignature(m *format.Manifest, flip bool) ([]byte, error) {
	sig := bytes.Clone(img.rawSig)
	at := len(sig) / 2
	if at == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "the signature is empty")
	}
	changed := fmt.Sprintf("lowest bit of byte %d of the decoded signature, manifest.sig at offset %d", at, img.sig.at)
	says(m, format.LayerSignature, format.ErrBadSignature, "manifest.sig does not fit the manifest")
	if flip {
		sig[at] ^= 1
	} else {
		at-- // so that it has the length of no other kind either
		sig = sig[:at]
		changed = fmt.Sprintf("manifest.sig at offset %d cut to its first %d bytes, decoded", img.sig.at, at)
		m.Repaired = append(m.Repaired, "size and checksum of its tar header")
	}
	return img.rewrite(m, func(p *parts) error { p.sig = base64.StdEncoding.AppendEncode(nil, sig); return nil }, changed)
}

// double writes a member twice: a stranger's first, the genuine one behind.
func (img *Image) double(m *format.Manifest, signature bool) ([]byte, error) {
	p, err := img.parts()
	if err != nil {
		return nil, err
	}
	evil := &parts{lines: slices.Clone(img.lines)}
	for i, l := range evil.lines {
		if strings.HasPrefix(l.name, "data/") {
			evil.lines[i].sum[0] ^= 1
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if signature {
		evil.lines = img.lines
	}
	if err := evil.sign(key); err != nil {
		return nil, err
	}
	list := p.members()
	at, first := 1, File{"manifest", evil.manifest}
	if signature {
		at, first = 2, File{"manifest.sig", evil.sig}
	}
	m.Changed = append(m.Changed, fmt.Sprintf("a second %s before the genuine one, at offset %d", first.Name, img.members[at].header))
	says(m, format.LayerStructure, format.ErrMalformed, "%s comes twice", first.Name)
	return pack(None, slices.Insert(list, at, first))
}

// swap is a pair: the genuine artifact while it is checked, a tampered one while it is installed.
func (img *Image) swap(v *format.Variant) error {
	first, err := img.in.Bytes(0, img.in.Size())
	if err != nil {
		return err
	}
	second, err := img.flipPayload(&v.Manifest, true)
	if err != nil {
		return err
	}
	v.Files = map[string][]byte{format.FileFirst: first, format.FileSecond: second}
	v.Manifest.Changed = append(v.Manifest.Changed, "first is the genuine artifact, second the changed one")
	v.Manifest.Classic = "CVE-2020-25860 (the same race in another updater)"
	v.Manifest.Expected = "what is installed is what was checked: the client takes neither the second alone nor in place of the first"
	return nil
}
