package authenticode

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the digests that vouch
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// Verify returns nil only if one of the image's signatures leads to a root of trust and says
// the hash of this image. As in UEFI Secure Boot, one good signature is enough (UEFI 2.10
// section 32.5.3.3); the others are noted. Code signing is asked for, unless trust asks for something else.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	if err := img.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify PE image: %w", err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	if len(img.signatures) == 0 {
		return format.Wrap(format.ErrUnsigned, "no certificate table")
	}
	var first error
	for i, s := range img.signatures {
		one := format.Report{Image: report.Image}
		err := img.verifyOne(s, trust, &one)
		if err == nil {
			*report = one
			if i > 0 {
				report.Image.Notes = append(report.Image.Notes, fmt.Sprintf("Signature %d verifies, those before it do not (%v): a device that looks at the first only refuses the image.", i+1, first))
			}
			return nil
		}
		if first == nil {
			first = err
			image := report.Image
			*report, report.Image = one, image
		}
	}
	return first
}

func (img *Image) verifyOne(s signature, trust format.Trust, r *format.Report) error {
	result, err := s.message.VerifyAttached(trust, cms.Policy{Purposes: []string{format.PurposeCodeSigning}})
	r.Key, r.Chain, r.Findings = result.Key, result.Links, result.Findings
	r.Image.Notes = append(r.Image.Notes, result.Notes...)
	if err != nil {
		return err
	}
	said, err := parseIndirect(s.message.Content)
	if err != nil {
		return err
	}
	if found := format.WeakDigest(said.name); len(found) > 0 {
		r.Findings = append(r.Findings, found...)
		return format.Wrap(format.ErrWeak, "the image's digest is by %s", said.name)
	}
	sum, err := img.sum(said)
	if err != nil {
		return err
	}
	r.Digest = said.name + ":" + hex.EncodeToString(sum)
	r.Chain = append(r.Chain, format.Link{Kind: "hash", Name: r.Digest, Algorithm: said.name, From: "hash above"})
	if !bytes.Equal(sum, said.sum) {
		return format.Wrap(format.ErrBadHash, "the signer vouches for %s %x, this image has %x", said.name, said.sum, sum)
	}
	r.Signature = result.Signature
	return nil
}

// sum is Authenticode's hash of the image, computed once.
func (img *Image) sum(d imageDigest) ([]byte, error) {
	if sum := img.sums[d.name]; sum != nil {
		return sum, nil
	}
	h := d.hash.New()
	if err := img.hashInto(h); err != nil {
		return nil, err
	}
	img.sums[d.name] = h.Sum(nil)
	return img.sums[d.name], nil
}

// imageDigest is the DigestInfo of the signed content.
type imageDigest struct {
	name string
	hash crypto.Hash
	sum  []byte
}

var (
	oidPEImageData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	digests        = []struct {
		oid  asn1.ObjectIdentifier
		name string
		hash crypto.Hash
	}{
		{oidSHA256, "sha256", crypto.SHA256},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, "sha384", crypto.SHA384},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, "sha512", crypto.SHA512},
		{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, "sha1", 0},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, "md5", 0},
	}
)

var errIndirect = errors.New("signed content is no SpcIndirectDataContent of a PE image")

// parseIndirect reads the value of an SpcIndirectDataContent: what kind of thing, which digest.
func parseIndirect(content []byte) (imageDigest, error) {
	var data, info, algorithm, sum cryptobyte.String
	var kind, oid asn1.ObjectIdentifier
	in := cryptobyte.String(content)
	if !in.ReadASN1(&data, casn1.SEQUENCE) || !in.ReadASN1(&info, casn1.SEQUENCE) || !in.Empty() ||
		!data.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidPEImageData) ||
		!info.ReadASN1(&algorithm, casn1.SEQUENCE) || !info.ReadASN1(&sum, casn1.OCTET_STRING) || !info.Empty() ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) {
		return imageDigest{}, format.Wrap(format.ErrMalformed, "%v", errIndirect)
	}
	for _, d := range digests {
		if d.oid.Equal(oid) {
			if d.hash != 0 && len(sum) != d.hash.Size() {
				return imageDigest{}, format.Malformed("%s digest of %d bytes", d.name, len(sum))
			}
			return imageDigest{d.name, d.hash, sum}, nil
		}
	}
	return imageDigest{}, format.Wrap(format.ErrAlgorithm, "the image's digest is by %v", oid)
}
