package mender

import (
	"archive/tar"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path"
	"strings"

	"assay/firmware/format"
)

// Verify checks, in this order: there is a signature, nothing unsigned was added beside
// what it covers, one of the trusted keys made it over the manifest, version and header
// have the hashes of the manifest, and so has every file in the payloads, each of which
// has its line and each line its file.
//
// Two files that differ may both verify, because the format leaves some bytes uncovered:
// the tar headers, how the payloads are compressed, modes and times of the files in them,
// and the second form of an ECDSA signature. Contents and names are then the same.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	if err := img.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify mender artifact %.100q: %w", img.Name(), err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	if trust.Keys.Len() == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no key was given")
	}
	if img.sig == nil {
		return format.Wrap(format.ErrUnsigned, "no manifest.sig")
	}
	if img.augment != nil {
		return format.Wrap(format.ErrNotBound, "manifest-augment and %s are not signed, and a client uses them", img.augment[1].name)
	}
	manifest, err := img.small(img.manifest)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(manifest)
	report.Digest = "sha256:" + hex.EncodeToString(digest[:])
	key, err := img.checkSignature(trust.Keys, digest[:])
	if key.Public != nil {
		report.Key = &key
		report.Findings = format.WeakKey(key.Public)
		report.Chain = append(report.Chain, format.Link{
			Kind: "key", Name: "sha256:" + key.Fingerprint, Algorithm: key.Algorithm, Strength: format.Strength(key.Public), From: key.From,
		})
	}
	if err != nil {
		return err
	}
	report.Signature = signatureName(key.Public)
	report.Chain = append(report.Chain, format.Link{Kind: "signature", Name: "manifest", Algorithm: report.Signature, From: "image"})
	for _, m := range []member{img.members[0], img.header} {
		if err := img.checkMember(m); err != nil {
			return err
		}
		report.Chain = append(report.Chain, hashLink(m.name))
	}
	return img.checkPayloads(report)
}

func hashLink(name string) format.Link {
	return format.Link{Kind: "hash", Name: name, Algorithm: "sha256", Strength: 128, From: "manifest"}
}

// checkSignature finds the key that made the signature: the artifact names none. Where
// none fits, the error tells about the last one that could have.
func (img *Image) checkSignature(keys format.Keys, digest []byte) (format.Key, error) {
	var failed error
	var nearest format.Key
	for _, k := range keys.All() {
		err := fits(k.Public, digest, img.rawSig)
		if err == nil {
			return k, nil
		}
		if failed == nil || errors.Is(failed, format.ErrAlgorithm) {
			failed = err
			if errors.Is(err, format.ErrBadSignature) {
				nearest = k
			}
		}
	}
	return nearest, failed
}

// fits checks a signature: RSASSA-PKCS1-v1_5 or ECDSA on P-256, both over SHA-256, nothing else.
func fits(public crypto.PublicKey, digest, sig []byte) error {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if len(sig) != p.Size() {
			return format.Wrap(misfit(isECDSA(sig) || isRSA(sig)), "a signature of %d bytes is none of an RSA key of %d bits", len(sig), p.N.BitLen())
		}
		if rsa.VerifyPKCS1v15(p, crypto.SHA256, digest, sig) != nil {
			return format.Wrap(format.ErrBadSignature, "the RSA signature is not one of the trusted key over this manifest")
		}
		return nil
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return format.Wrap(format.ErrAlgorithm, "the format knows ECDSA on P-256 only, the key is on %s", p.Curve.Params().Name)
		}
		if !isECDSA(sig) {
			return format.Wrap(misfit(isRSA(sig)), "a signature of %d bytes is none of ECDSA on P-256", len(sig))
		}
		if isRaw(sig) && ecdsa.Verify(p, digest, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) ||
			!isRaw(sig) && ecdsa.VerifyASN1(p, digest, sig) {
			return nil
		}
		return format.Wrap(format.ErrBadSignature, "the ECDSA signature is not one of the trusted key over this manifest")
	}
	return format.Wrap(format.ErrAlgorithm, "the format knows RSA and ECDSA on P-256 only, not %T", public)
}

// isRaw tells r and s in a row, as mender-artifact signs.
func isRaw(sig []byte) bool { return len(sig) == 64 }

// isECDSA adds the DER form of signers behind PKCS#11; upstream takes it by these lengths.
func isECDSA(sig []byte) bool {
	return isRaw(sig) || len(sig) >= 70 && len(sig) <= 72 && sig[0] == 0x30
}

// isRSA goes by the length alone.
func isRSA(sig []byte) bool { return len(sig) >= 128 && len(sig)%8 == 0 }

// misfit tells a signature of another kind from one that is none at all.
func misfit(otherKind bool) error {
	if otherKind {
		return format.ErrAlgorithm
	}
	return format.ErrBadSignature
}

func signatureName(public crypto.PublicKey) string {
	if p, ok := public.(*rsa.PublicKey); ok {
		return fmt.Sprintf("rsa-%d-pkcs1v15-sha256", p.N.BitLen())
	}
	return "ecdsa-p256-sha256"
}

func (img *Image) checkMember(m member) error {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{img.in.Section(m.at, m.size)}, make([]byte, 64*1024)); err != nil {
		return fmt.Errorf("read %s: %w", m.name, err)
	}
	want, _ := img.line(m.name)
	if got := h.Sum(nil); string(got) != string(want.sum[:]) {
		return format.Wrap(format.ErrBadHash, "%s hashes to %x, the manifest says %x", m.name, got, want.sum)
	}
	return nil
}

// checkPayloads reads every payload once, hashing as it goes.
func (img *Image) checkPayloads(report *format.Report) error {
	unused := map[string]bool{}
	for _, l := range img.lines {
		unused[l.name] = strings.HasPrefix(l.name, "data/")
	}
	buf := make([]byte, hashBuffer)
	for n := range img.data {
		err := img.eachFile(n, func(h *tar.Header, r io.Reader) error {
			name := fmt.Sprintf("data/%04d/%s", n, h.Name)
			want, ok := img.line(name)
			if !ok {
				return format.Wrap(format.ErrNotBound, "%.100q has no line in the manifest", name)
			}
			sum := sha256.New()
			size, err := io.CopyBuffer(sum, struct{ io.Reader }{r}, buf)
			if err != nil {
				return format.Malformed("read %s: %v", name, err)
			}
			if got := sum.Sum(nil); string(got) != string(want.sum[:]) {
				return format.Wrap(format.ErrBadHash, "%s hashes to %x, the manifest says %x", name, got, want.sum)
			}
			unused[name] = false
			report.Chain = append(report.Chain, hashLink(name))
			report.Image.Fields = append(report.Image.Fields, format.Field{Name: name, Value: fmt.Sprintf("%d bytes", size), Protected: true})
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", img.data[n].name, err)
		}
	}
	for _, l := range img.lines {
		if unused[l.name] {
			return format.Malformed("the manifest names %s, which is not in the artifact", l.name)
		}
	}
	return nil
}

// eachFile visits the files of one payload. A file that announces more than the whole
// payload may become is refused before it is decompressed.
func (img *Image) eachFile(n int, visit func(h *tar.Header, r io.Reader) error) error {
	m := img.data[n]
	limit := budget(m.size)
	if strings.HasSuffix(m.name, ".tar") {
		limit = m.size
	}
	r, done, err := decompress(strings.TrimPrefix(path.Ext(m.name), ".tar"), img.in.Section(m.at, m.size), limit)
	if err != nil {
		return err
	}
	defer done()
	var total int64
	return walkArchive(r, false, func(h *tar.Header, r io.Reader) error {
		if !validFile(h.Name) {
			return format.Malformed("file name %.100q: letters, digits and . , _ - only, no folder", h.Name)
		}
		if total += h.Size; h.Size > limit || total > limit {
			return format.Malformed("%q announces %d bytes out of %d compressed ones, at most %d are read", h.Name, h.Size, m.size, limit)
		}
		return visit(h, r)
	})
}
