package esp32

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha512" // for crypto.Hash
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"assay/firmware/format"
)

// Open returns the image in src if somebody whom trust names signed it.
func Open(src format.Source, trust format.Trust) (*Image, error) {
	img, err := OpenUnverified(src)
	if err != nil {
		return nil, err
	}
	if _, err := img.Verify(trust); err != nil {
		return nil, err
	}
	return img, nil
}

// Verify checks, in this order: the XOR checksum, the appended SHA-256, that there is a
// signature, that a key of trust made it. Of Secure Boot V2 one good block is enough: its
// magic and CRC fit, the digest of all its key fields is that of a trusted key, its image
// digest fits and so does its signature. The signature of V1 names no key: those of trust
// are tried.
//
// Two files that differ may both verify, because nothing covers the signature sector: the
// other blocks, reserved bytes, what lies behind the third block. All before the
// sector is then the same in both, and the report's Notes name what is there.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe(), Findings: img.findings()}
	if err := img.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify %s: %w", img.label(), err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	m, err := img.measure()
	if err != nil {
		return err
	}
	report.Digest = "sha256:" + hex.EncodeToString(m.digests[crypto.SHA256])
	if err := m.check(); err != nil {
		return err
	}
	if img.v1 == nil && len(img.blocks) == 0 {
		return format.Wrap(format.ErrUnsigned, "neither a signature sector nor a signature of secure boot v1")
	}
	known, err := anchors(trust)
	if err != nil {
		return err
	}
	if img.v1 != nil {
		return img.verifyV1(known, m, report)
	}
	return img.verifyV2(known, m, report)
}

// measured is what one pass over the covered bytes tells.
type measured struct {
	digests        map[crypto.Hash][]byte // of all covered bytes
	stored, sum    byte                   // the checksum byte, and what it should be
	appended, hash []byte                 // the appended SHA-256, and what it should be; nil where there is none
}

// measure reads the covered bytes once, whatever their size.
func (img *Image) measure() (measured, error) {
	m := measured{digests: map[crypto.Hash][]byte{}}
	sha := crypto.SHA256.New()
	all := []io.Writer{sha}
	sha384 := crypto.SHA384.New()
	wide := slices.ContainsFunc(img.blocks, func(b block) bool { return b.err == nil && b.hash == crypto.SHA384 })
	if wide {
		all = append(all, sha384)
	}
	to := io.MultiWriter(all...)
	var at int64
	size := min(64<<10, max(hashSize, img.covered))
	buffer, fold := make([]byte, size), make([]byte, size)
	pass := func(end int64, xor bool) error {
		for at < end {
			chunk := buffer[:min(size, end-at)]
			if _, err := io.ReadFull(img.src.Section(at, int64(len(chunk))), chunk); err != nil {
				return fmt.Errorf("read at offset %d: %w", at, err)
			}
			if xor {
				// Where a byte lands does not matter: at the end all are folded into one.
				subtle.XORBytes(fold, fold[:len(chunk)], chunk)
			}
			if _, err := to.Write(chunk); err != nil {
				return err
			}
			at += int64(len(chunk))
		}
		return nil
	}
	for _, s := range img.segments {
		if err := cmp.Or(pass(s.at, false), pass(s.at+s.length, true)); err != nil {
			return m, err
		}
	}
	if err := cmp.Or(pass(img.sumAt, false), pass(img.sumAt+1, false)); err != nil {
		return m, err
	}
	m.stored, m.sum = buffer[0], checksumSeed
	for _, c := range fold {
		m.sum ^= c
	}
	if img.header.hashAppended {
		m.hash = sha.Sum(nil)
		if err := pass(img.end, false); err != nil {
			return m, err
		}
		m.appended = bytes.Clone(buffer[:hashSize])
	}
	if err := pass(img.covered, false); err != nil {
		return m, err
	}
	m.digests[crypto.SHA256] = sha.Sum(nil)
	if wide {
		m.digests[crypto.SHA384] = sha384.Sum(nil)
	}
	return m, nil
}

// check compares what needs no key. Everybody can repair it: it tells damage from attack.
func (m measured) check() error {
	if m.stored != m.sum {
		return format.Wrap(format.ErrBadHash, "checksum byte is 0x%02x, the segments have 0x%02x", m.stored, m.sum)
	}
	if !bytes.Equal(m.appended, m.hash) {
		return format.Wrap(format.ErrBadHash, "appended sha-256 is %x, the image hashes to %x", m.appended, m.hash)
	}
	return nil
}

func (img *Image) verifyV1(known []anchor, m measured, report *format.Report) error {
	if img.header.chip != ChipESP32 {
		return format.Wrap(format.ErrAlgorithm, "secure boot v1 is one of the ESP32 alone, the image is for %v", img.header.chip)
	}
	fit := slices.DeleteFunc(slices.Clone(known), func(a anchor) bool { return a.key.Algorithm != "ecdsa-p256" })
	if len(fit) == 0 {
		return format.Wrap(format.ErrAlgorithm, "signature of secure boot v1, which takes a key on P-256, none of which was given")
	}
	r, s := img.v1[4:36], img.v1[36:]
	for _, a := range fit {
		if p, ok := a.key.Public.(*ecdsa.PublicKey); ok && fitsECDSA(p, m.digests[crypto.SHA256], r, s) {
			succeed(report, a, a.key, "secure boot v1 signature", "ecdsa-p256-sha256", crypto.SHA256)
			return nil
		}
	}
	return format.Wrap(format.ErrBadSignature, "the signature of secure boot v1 is of none of the %d keys given; it names none", len(fit))
}

// A refusal is why one block did not count, and how far it came: the one that came
// furthest is told.
type refusal struct {
	step int
	err  error
}

func (img *Image) verifyV2(known []anchor, m measured, report *format.Report) error {
	var worst refusal
	for _, b := range img.blocks {
		r := img.tryBlock(b, known, m, report)
		if r.err == nil {
			return nil
		}
		if worst.err == nil || r.step > worst.step {
			worst = r
		}
	}
	return worst.err
}

func (img *Image) tryBlock(b block, known []anchor, m measured, report *format.Report) refusal {
	if b.err != nil {
		if errors.Is(b.err, format.ErrUnsigned) {
			return refusal{0, b.err}
		}
		return refusal{1, b.err}
	}
	digest := b.keyDigest()
	i := slices.IndexFunc(known, func(a anchor) bool { return a.digest == digest })
	if i < 0 {
		if sameModulus(b, known) {
			return refusal{3, format.Wrap(format.ErrNoTrustedKey,
				"%s has modulus and exponent of a trusted key, but not its precomputed R and M', so its eFuse digest is another: %x", b.place(), digest)}
		}
		return refusal{2, format.Wrap(format.ErrNoTrustedKey, "%s is of the key with eFuse digest %x, which is none of the %d given", b.place(), digest, len(known))}
	}
	key := known[i].key
	if known[i].efuse == nil {
		found, err := keyOf(b.public)
		if err != nil {
			return refusal{3, format.Wrap(format.ErrAlgorithm, "key of %s: %v", b.place(), err)}
		}
		found.From = key.From
		key = found
	}
	report.Key, report.Chain = &key, []format.Link{keyLink(known[i], key)}
	if !bytes.Equal(b.digest(), m.digests[b.hash]) {
		return refusal{4, format.Wrap(format.ErrBadHash, "%s is of an image with digest %x, this one has %x", b.place(), b.digest(), m.digests[b.hash])}
	}
	if !b.fits(b.digest()) {
		return refusal{5, format.Wrap(format.ErrBadSignature, "signature in %s is not one of key %.16s...", b.place(), key.Fingerprint)}
	}
	report.Digest = hashName(b.hash) + ":" + hex.EncodeToString(b.digest())
	succeed(report, known[i], key, b.place(), b.scheme, b.hash)
	return refusal{}
}

// sameModulus tells that only the precomputed numbers keep the block from a trusted key.
func sameModulus(b block, known []anchor) bool {
	_, isRSA := b.public.(*rsa.PublicKey)
	return isRSA && slices.ContainsFunc(known, func(a anchor) bool {
		return len(a.efuse) == rsaKey && bytes.Equal(a.efuse[:rsaSize+4], b.key[:rsaSize+4])
	})
}

func hashName(h crypto.Hash) string {
	if h == crypto.SHA384 {
		return "sha384"
	}
	return "sha256"
}

// succeed tells the chain.
func succeed(report *format.Report, a anchor, key format.Key, place, scheme string, hash crypto.Hash) {
	report.Key, report.Signature = &key, scheme
	report.Chain = []format.Link{
		keyLink(a, key),
		{Kind: "signature", Name: place, Algorithm: scheme, From: "image"},
		{Kind: "hash", Name: "header, segments, checksum and padding", Algorithm: hashName(hash), From: "image"},
	}
}

func keyLink(a anchor, key format.Key) format.Link {
	return format.Link{Kind: "key", Name: a.name(), Algorithm: key.Algorithm, Strength: strength(key.Public), From: key.From}
}

// onCurve stands for a key on P-192 where only the size of the curve matters.
func onCurve(public crypto.PublicKey) crypto.PublicKey {
	if _, ok := public.(*P192PublicKey); ok {
		return &ecdsa.PublicKey{Curve: p192()}
	}
	return public
}

func strength(public crypto.PublicKey) int { return format.Strength(onCurve(public)) }

// findings are the weak keys of the blocks.
func (img *Image) findings() []format.Finding {
	var all []format.Finding
	for _, b := range img.blocks {
		if b.err != nil {
			continue
		}
		for _, f := range format.WeakKey(onCurve(b.public)) {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}
