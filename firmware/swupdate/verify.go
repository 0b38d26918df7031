package swupdate

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // for crypto.Hash: told as weak, not unknown
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// Verify checks, in this order: there is a signature, somebody whom trust names made it
// over sw-description, every file that sw-description names has a hash there, and every
// file has its hash. With roots the signature is CMS, with bare keys it is raw RSA, with a key
// ring OpenPGP; the archive cannot choose. A sw-description that is encrypted is opened first,
// with Trust.Recipients (a key file of swupdate -K, or an RSA key in PKCS #8).
//
// Two files that differ may both verify, because the format leaves some bytes uncovered:
// cpio headers and sums, members that sw-description does not name, what a CMS message
// carries beside its signed part. sw-description and the files it names are then the same.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	if err := img.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify swupdate archive %.100q: %w", img.Version(), err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	if img.sig == nil {
		return format.Wrap(format.ErrUnsigned, "no %s behind %s", signatureName, descriptionName)
	}
	if img.sealed != "" {
		return img.verifySealed(trust, report)
	}
	if err := img.verifySignature(trust, report); err != nil {
		return err
	}
	return img.verifyFiles(report)
}

// verifySealed opens sw-description, and reads nothing of it before its signature is found good.
func (img *Image) verifySealed(trust format.Trust, report *format.Report) error {
	opened, err := img.open(trust.Recipients)
	if err != nil {
		return err
	}
	if err := opened.verifySignature(trust, report); err != nil {
		return err
	}
	opened.sealed = ""
	if err := opened.describeText(); err != nil {
		return err
	}
	if opened.sealed != "" {
		return format.Malformed("%s is encrypted twice", descriptionName)
	}
	opened.sealed = img.sealed
	notes := report.Image.Notes[len(img.notes()):] // of the signature
	report.Image = opened.Describe()
	report.Image.Notes = append(report.Image.Notes, notes...)
	if err := opened.verifyFiles(report); err != nil {
		return err
	}
	img.description = opened.description // now Check can read it
	return nil
}

func (img *Image) verifySignature(trust format.Trust, report *format.Report) error {
	sum := sha256.Sum256(img.text)
	report.Digest = "sha256:" + hex.EncodeToString(sum[:])
	switch {
	case img.message != nil:
		return img.verifyCMS(trust, report)
	case img.pgp:
		return img.verifyPGP(trust, report)
	}
	return img.verifyRSA(trust, sum[:], report)
}

// verifyPGP asks what a SWUpdate built for GPG asks of its key ring.
func (img *Image) verifyPGP(trust format.Trust, report *format.Report) error {
	signature, err := img.openPGP()
	if err != nil {
		return err
	}
	result, err := signature.Verify(trust)
	report.Key, report.Chain, report.Findings = result.Key, result.Chain, result.Findings
	if err != nil {
		return fmt.Errorf("%s: %w", signatureName, err)
	}
	report.Signature = result.Signature
	return nil
}

// verifyFiles wants a hash for every file and the file for every hash.
func (img *Image) verifyFiles(report *format.Report) error {
	for _, a := range img.description.artifacts {
		if !a.hash {
			return format.Wrap(format.ErrNotBound, "%s names %.100q without sha256", a.path, a.file)
		}
	}
	return img.checkMembers(report)
}

// verifyCMS asks what a strictly built SWUpdate asks: every signer verifies, for e-mail
// protection or code signing, at the time given. Debian's build takes one good signer of several.
func (img *Image) verifyCMS(trust format.Trust, report *format.Report) error {
	result, err := img.message.VerifyDetached(bytes.NewReader(img.text), trust, cms.Policy{
		Signers: cms.AllSigners, Purposes: []string{format.PurposeEmail, format.PurposeCodeSigning}, CommonName: true,
	})
	report.Key, report.Chain, report.Findings = result.Key, result.Links, result.Findings
	report.Image.Notes = append(report.Image.Notes, result.Notes...)
	if err != nil {
		return fmt.Errorf("%s: %w", signatureName, err)
	}
	report.Signature = result.Signature
	return nil
}

// verifyRSA tries the bare keys: RSASSA-PKCS1-v1_5 and RSASSA-PSS, over SHA-256 alone.
func (img *Image) verifyRSA(trust format.Trust, sum []byte, report *format.Report) error {
	if trust.Keys.Len() == 0 && len(trust.Roots) == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no key was given")
	}
	var failed error
	for _, k := range trust.Keys.All() {
		p, ok := k.Public.(*rsa.PublicKey)
		if !ok {
			if failed == nil {
				failed = format.Wrap(format.ErrAlgorithm, "a raw signature is RSA, the key %s", k.Algorithm)
			}
			continue
		}
		scheme := ""
		switch {
		case len(img.rawSig) != p.Size():
			failed = format.Wrap(format.ErrBadSignature, "%s has %d bytes, one of an RSA key of %d bits has %d", signatureName, len(img.rawSig), p.N.BitLen(), p.Size())
			continue
		case rsa.VerifyPKCS1v15(p, crypto.SHA256, sum, img.rawSig) == nil:
			scheme = "pkcs1v15"
		case rsa.VerifyPSS(p, crypto.SHA256, sum, img.rawSig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil:
			scheme = "pss"
		case img.overSHA1(p):
			report.Key, report.Findings = &k, format.WeakDigest("sha1")
			return format.Wrap(format.ErrAlgorithm, "%s is over SHA-1, the format signs SHA-256", signatureName)
		default:
			report.Key = &k
			failed = format.Wrap(format.ErrBadSignature, "%s is not one of the trusted key over this %s", signatureName, descriptionName)
			continue
		}
		report.Key, report.Findings = &k, format.WeakKey(p)
		report.Signature = fmt.Sprintf("rsa-%d-%s-sha256", p.N.BitLen(), scheme)
		report.Chain = append(report.Chain,
			format.Link{Kind: "key", Name: "sha256:" + k.Fingerprint, Algorithm: k.Algorithm, Strength: format.Strength(p), From: k.From},
			format.Link{Kind: "signature", Name: descriptionName, Algorithm: report.Signature, From: "image"})
		return nil
	}
	if len(trust.Roots) > 0 {
		return format.Wrap(format.ErrBadSignature, "%s is neither CMS (%v) nor a raw signature of a trusted key", signatureName, img.notCMS)
	}
	return failed
}

func (img *Image) overSHA1(p *rsa.PublicKey) bool {
	h := crypto.SHA1.New()
	h.Write(img.text)
	return rsa.VerifyPKCS1v15(p, crypto.SHA1, h.Sum(nil), img.rawSig) == nil
}

// checkMembers reads every member once: for its hash where sw-description has one, and for the sum of cpio.
func (img *Image) checkMembers(report *format.Report) error {
	buf := make([]byte, 256*1024)
	for _, m := range img.members {
		want, named := img.description.hashes[m.name]
		if !named && !m.crc {
			continue
		}
		hash, sum, err := img.digest(m, named, buf)
		if err != nil {
			return fmt.Errorf("read %s: %w", m.name, err)
		}
		if named && hash != want {
			return format.Wrap(format.ErrBadHash, "%.100q hashes to %x, %s says %x", m.name, hash, descriptionName, want)
		}
		if m.crc && sum != m.sum {
			return format.Wrap(format.ErrBadHash, "the bytes of %.100q add up to %08x, its cpio header says %08x", m.name, sum, m.sum)
		}
		if named {
			report.Chain = append(report.Chain, format.Link{Kind: "hash", Name: m.name, Algorithm: "sha256", Strength: 128, From: descriptionName})
		}
	}
	return nil
}

// digest makes hash and sum in one pass; one piece is added up while it is hashed.
func (img *Image) digest(m member, hashed bool, buf []byte) ([32]byte, uint32, error) {
	h, sum, r := sha256.New(), summer(0), img.in.Section(m.at, m.size)
	added := make(chan struct{}, 1)
	for left := m.size; left > 0; {
		piece := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, piece); err != nil {
			return [32]byte{}, 0, err
		}
		left -= int64(len(piece))
		if m.crc {
			go func() {
				_, _ = sum.Write(piece) // never fails
				added <- struct{}{}
			}()
		}
		if hashed {
			h.Write(piece)
		}
		if m.crc {
			<-added
		}
	}
	return [32]byte(h.Sum(nil)), uint32(sum), nil
}
