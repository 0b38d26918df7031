package detached

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"

	"assay/firmware/eddsa"
	"assay/firmware/format"
)

// A minisign signature has two more lines: the trusted comment, and a second ("global")
// signature, over the first one and that comment.
type minisign struct {
	signatureLine
	trusted string
	global  [ed25519.SignatureSize]byte
	from    Claims // what the trusted comment says in words that we know
}

func minisignFormat() format.Format {
	return format.Format{
		Name:   "minisign",
		Detect: func(in format.Input) bool { return thirdLineIsTrusted(in.Head(maxComment + 256)) },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			return open(in, "minisign", parseMinisign)
		},
		Compare:  compareVersions,
		Anchor:   anchorsMinisign,
		Variants: variants(minisignVariants...),
	}
}

func thirdLineIsTrusted(head []byte) bool {
	_, rest, err := parseSignatureLine(head)
	return err == nil && bytes.HasPrefix(rest, []byte(strings.TrimSpace(trustedPrefix)))
}

// anchorsMinisign takes the keys that say they are minisign's, and those without a comment, as minisign -P has them.
func anchorsMinisign(b []byte) bool {
	_, comment, err := parseNumberedKey(b)
	return err == nil && (comment == "" || strings.Contains(comment, "minisign"))
}

func parseMinisign(in format.Input, _ *Image) (scheme, error) {
	b, err := whole(in)
	if err != nil {
		return nil, err
	}
	s, rest, err := parseSignatureLine(b)
	if err != nil {
		return nil, err
	}
	if s.algorithm != algorithmPure && s.algorithm != algorithmPrehash {
		return nil, format.Malformed("algorithm %q is neither %s nor %s", s.algorithm, algorithmPure, algorithmPrehash)
	}
	m := &minisign{signatureLine: s}
	line, rest, ok := cutLine(rest, len(trustedPrefix)+maxTrustedComment)
	var has bool
	if m.trusted, has = strings.CutPrefix(line, trustedPrefix); !ok || !has {
		return nil, format.Malformed("the third line is no trusted comment")
	}
	line, rest, ok = cutLine(rest, base64.StdEncoding.EncodedLen(len(m.global)))
	if !ok {
		return nil, format.Malformed("the global signature is missing")
	}
	raw, err := decode64(line, len(m.global))
	if err != nil {
		return nil, format.Malformed("global signature: %v", err)
	}
	copy(m.global[:], raw)
	if len(rest) > 0 {
		return nil, format.Wrap(format.ErrTrailing, "%d bytes behind the global signature", len(rest))
	}
	if m.from, err = parseClaims(m.trusted); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *minisign) describe(f *format.Facts) {
	f.Signature = "ed25519"
	if m.algorithm == algorithmPrehash {
		f.Signature = "ed25519-blake2b-512"
	}
	f.KeyHint = keyNumber(m.number)
	f.Version, f.Targets = m.from.Version, m.from.targets()
	f.Covered = append(f.Covered, format.Region{Name: "trusted comment", Size: int64(len(m.trusted))})
	f.Uncovered = append(f.Uncovered, format.Region{Name: "untrusted comment", Offset: int64(len(untrustedPrefix)), Size: int64(len(m.comment))})
	f.Fields = append(f.Fields,
		format.Field{Name: "trusted comment", Value: printable(m.trusted), Protected: true},
		format.Field{Name: "untrusted comment", Value: printable(m.comment)},
	)
	f.Notes = append(f.Notes, "The untrusted comment is not authenticated: anybody may have written it.")
	if m.algorithm == algorithmPure {
		f.Notes = append(f.Notes, "The signature is of the old kind, over the file itself: a device must hold or read it twice.")
	}
	if m.from.Version == "" {
		f.Notes = append(f.Notes, "The trusted comment tells no version: the signature keeps no older release out.")
	}
}

func (m *minisign) verify(trust format.Trust, artifact format.Source, r *format.Report) error {
	// A key whose comment was edited looks like signify's; what minisign checks is never less.
	keys, err := numbered(slices.Concat(trust.Own["minisign"], trust.Own["signify"]), m.number)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err = m.verifyWith(k, artifact, r); err == nil {
			return nil
		}
	}
	return err
}

func (m *minisign) verifyWith(k numberedKey, artifact format.Source, r *format.Report) error {
	key, err := onlyKey(k.public, k.from)
	if err != nil {
		return err
	}
	tell(r, key)
	// The second signature first: it costs nothing.
	if !ed25519.Verify(k.public, slices.Concat(m.value[:], []byte(m.trusted)), m.global[:]) {
		return format.Wrap(format.ErrBadSignature, "the global signature, over signature and trusted comment, is not one of key %s", keyNumber(k.number))
	}
	ok := false
	if m.algorithm == algorithmPrehash {
		h, _ := blake2b.New512(nil)
		if err := feed(artifact, h); err != nil {
			return err
		}
		sum := h.Sum(nil)
		r.Digest = "blake2b-512:" + hex.EncodeToString(sum)
		ok = ed25519.Verify(k.public, sum, m.value[:])
	} else if artifact.Size() == blake2b.Size {
		// Nothing signs the two letters of the algorithm: the signature of another file's digest
		// passes for one of the old kind over these bytes.
		return format.Wrap(format.ErrNotBound, "a file of %d bytes signed in the old way may be the digest of what was signed in the new", artifact.Size())
	} else if ok, r.Digest, err = verifyPure(k.public, artifact, m.value[:]); err != nil {
		return err
	}
	r.Chain = links(key, r.Image.Signature, r.Digest)
	if !ok {
		return format.Wrap(format.ErrBadSignature, "the signature of the file is not one of key %s", keyNumber(k.number))
	}
	r.Signature = r.Image.Signature
	return nil
}

// verifyPure checks a signature over the file itself, and hashes it on the way.
func verifyPure(public ed25519.PublicKey, artifact format.Source, sig []byte) (ok bool, digest string, err error) {
	h := sha256.New()
	ok, err = eddsa.Verify(public, newTee(artifact, h), sig)
	if err != nil {
		return false, "", fmt.Errorf("read the signed file: %w", err)
	}
	return ok, "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func (m *minisign) check(d format.Device) error { return m.from.check(d) }
