package sigstore

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"

	"assay/firmware/format"
)

// Verify checks the artifact against what was signed, the signature, and who made it: one of
// trust.Keys for a managed key, or the identity trust.Signer with trust.Issuer for a keyless
// one. The log must vouch for either, by the trusted root in trust.Own; trust.NoLog does
// without for a managed key.
//
// Nothing of the bundle is covered by its signature but the envelope's payload: two bundles
// with another layout, hint or log entry may both verify the same artifact.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	report := format.Report{Image: img.Describe()}
	if err := img.verify(trust, &report); err != nil {
		return report, fmt.Errorf("verify sigstore signature: %w", err)
	}
	report.Verified = true
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) error {
	if img.artifact == nil {
		return wrap(format.ErrNotBound, "what was signed was not given, and the signature is of that alone")
	}
	if len(img.sig) == 0 {
		return wrap(format.ErrUnsigned, "the signature is empty")
	}
	sums, err := img.hashArtifact(trust)
	if err != nil {
		return err
	}
	if err := img.checkDigest(sums, report); err != nil {
		return err
	}
	if img.leaf != nil {
		return img.verifyKeyless(trust, sums, report)
	}
	return img.verifyManaged(trust, sums, report)
}

// hashArtifact reads the artifact once for every hash that may be needed.
func (img *Image) hashArtifact(trust format.Trust) (map[crypto.Hash][]byte, error) {
	var hashes []crypto.Hash
	switch {
	case img.envelope != nil:
		if hashes = img.envelope.statement.hashes(); len(hashes) == 0 {
			return nil, wrap(format.ErrWeak, "no subject of the statement has a sha256, sha384 or sha512 digest")
		}
	case img.bundle != nil:
		hashes = append(img.plainHashes(trust), img.hash)
	default:
		hashes = append(img.plainHashes(trust), crypto.SHA256)
	}
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	writers, states := []io.Writer{}, map[crypto.Hash]hash.Hash{}
	for _, h := range hashes {
		states[h] = h.New()
		writers = append(writers, states[h])
	}
	buffer := make([]byte, max(1, min(256<<10, img.artifact.Size())))
	if _, err := io.CopyBuffer(io.MultiWriter(writers...), onlyReader{img.artifact.Section(0, img.artifact.Size())}, buffer); err != nil {
		return nil, fmt.Errorf("read artifact: %w", err)
	}
	sums := map[crypto.Hash][]byte{}
	for h, state := range states {
		sums[h] = state.Sum(nil)
	}
	return sums, nil
}

// onlyReader hides WriteTo, so that the buffer given is the one used.
type onlyReader struct{ io.Reader }

// checkDigest compares the digest that a bundle claims. It decides nothing for the better: the
// signature is checked over the artifact's own.
func (img *Image) checkDigest(sums map[crypto.Hash][]byte, report *format.Report) error {
	shown := slices.MinFunc(slices.Collect(maps.Keys(sums)), func(a, b crypto.Hash) int { return int(a) - int(b) })
	if img.envelope == nil && img.bundle != nil {
		shown = img.hash
	}
	report.Digest = hashName(shown) + ":" + hex.EncodeToString(sums[shown])
	switch {
	case img.envelope != nil:
		s, ok := img.envelope.statement.names(sums)
		if !ok {
			return wrap(format.ErrBadHash, "none of the %d subjects of the statement is the artifact (%s)", len(img.envelope.statement.Subject), report.Digest)
		}
		report.Image.Fields = append(report.Image.Fields, format.Field{Name: "subject", Value: s.Name, Protected: true})
	case img.bundle != nil:
		if !bytes.Equal(sums[img.hash], img.digest) {
			return wrap(format.ErrBadHash, "bundle says %x, the artifact hashes to %s", img.digest, report.Digest)
		}
	}
	return nil
}

func hashName(h crypto.Hash) string {
	return strings.ReplaceAll(strings.ToLower(h.String()), "-", "")
}
