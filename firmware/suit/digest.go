package suit

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"assay/firmware/format"
)

// A Digest is a SUIT_Digest: an algorithm of the COSE registry and a value.
type Digest struct {
	Algorithm int64
	Value     []byte
}

// Digest algorithms that a manifest may use.
const (
	SHA256   int64 = -16
	SHA384   int64 = -43
	SHA512   int64 = -44
	SHAKE128 int64 = -18
	SHAKE256 int64 = -45
)

type digestKind struct {
	id   int64
	name string
	size int
	new  func() hash.Hash
}

func digestKinds() []digestKind {
	return []digestKind{
		{SHA256, "sha256", 32, sha256.New},
		{SHA384, "sha384", 48, sha512.New384},
		{SHA512, "sha512", 64, sha512.New},
		{SHAKE128, "shake128", 32, func() hash.Hash { return &shake{sha3.NewSHAKE128(), 32} }}, // RFC 9054 section 2.3
		{SHAKE256, "shake256", 64, func() hash.Hash { return &shake{sha3.NewSHAKE256(), 64} }},
	}
}

// shake makes a hash of fixed size of an extendable one.
type shake struct {
	*sha3.SHAKE
	size int
}

func (s *shake) Size() int { return s.size }

func (s *shake) Sum(b []byte) []byte {
	out := make([]byte, s.size)
	_, _ = s.SHAKE.Read(out) // does not fail, and nobody writes on
	return append(b, out...)
}

func (d Digest) kind() (digestKind, error) {
	for _, k := range digestKinds() {
		if k.id != d.Algorithm {
			continue
		}
		if len(d.Value) < k.size {
			return k, format.Wrap(format.ErrWeak, "a %s digest cut to %d bits", k.name, 8*len(d.Value))
		}
		if len(d.Value) > k.size {
			return k, format.Malformed("a %s digest of %d bytes", k.name, len(d.Value))
		}
		return k, nil
	}
	switch d.Algorithm {
	case -14:
		return digestKind{name: "sha1"}, format.Wrap(format.ErrWeak, "digest algorithm -14 is SHA-1")
	case -15:
		return digestKind{name: "sha256-64"}, format.Wrap(format.ErrWeak, "digest algorithm -15 is SHA-256 cut to 64 bits")
	}
	return digestKind{name: fmt.Sprintf("digest algorithm %d", d.Algorithm)},
		format.Wrap(format.ErrAlgorithm, "digest algorithm %d is none of a manifest's", d.Algorithm)
}

func (d Digest) String() string {
	k, _ := d.kind()
	return k.name + ":" + hex.EncodeToString(d.Value)
}

func (d Digest) equal(o Digest) bool {
	return d.Algorithm == o.Algorithm && bytes.Equal(d.Value, o.Value)
}

// fits hashes r and compares.
func (d Digest) fits(r io.Reader) (bool, error) {
	k, err := d.kind()
	if err != nil {
		return false, err
	}
	got, err := sum(k, r)
	if err != nil {
		return false, err
	}
	return bytes.Equal(got, d.Value), nil
}

func sum(k digestKind, r io.Reader) ([]byte, error) {
	h := k.new()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 1<<18)); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return h.Sum(nil), nil
}

func digestOf(algorithm int64, b []byte) (Digest, error) {
	for _, k := range digestKinds() {
		if k.id == algorithm {
			h := k.new()
			h.Write(b)
			return Digest{algorithm, h.Sum(nil)}, nil
		}
	}
	return Digest{}, fmt.Errorf("no digest algorithm %d", algorithm)
}

// parseDigest reads [algorithm, bytes]; extensions are refused, for nobody knows them.
func parseDigest(b []byte) (Digest, error) {
	if err := deterministic(b); err != nil {
		return Digest{}, err
	}
	parts, err := asList(b)
	if err != nil {
		return Digest{}, err
	}
	if len(parts) != 2 {
		return Digest{}, format.Malformed("a digest of %d parts, want algorithm and value", len(parts))
	}
	var d Digest
	if d.Algorithm, err = asInt(parts[0]); err != nil {
		return Digest{}, err
	}
	d.Value, err = asBytes(parts[1])
	return d, err
}

func (d Digest) encode() []byte { return encode([]any{d.Algorithm, d.Value}) }
