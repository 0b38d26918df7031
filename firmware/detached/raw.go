package detached

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // only to say why a signature is refused
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"hash"
	"math/big"

	"assay/firmware/format"
)

// raw is the bytes that openssl dgst -sign and pkeyutl -sign write: PKCS#1 v1.5, PSS, DER of
// ECDSA, or Ed25519. They do not say which, so the trusted key does.
type raw struct{ sig []byte }

// maxRaw is the longest: RSA of 16384 bits.
const maxRaw = 2048

func rawFormat() format.Format {
	return format.Format{
		Name:   "raw",
		Detect: func(in format.Input) bool { return in.Artifact != nil && in.Size() <= maxRaw },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			return open(in, "raw", parseRaw)
		},
		Variants: variants(rawVariants...),
	}
}

func parseRaw(in format.Input, _ *Image) (scheme, error) {
	if in.Size() > maxRaw {
		return nil, format.Malformed("%d bytes, the longest signature has %d", in.Size(), maxRaw)
	}
	b, err := in.Whole(maxRaw)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, errors.Join(format.Malformed("the signature file is empty"), format.ErrUnsigned)
	}
	return &raw{b}, nil
}

func (s *raw) describe(f *format.Facts) {
	f.Fields = append(f.Fields, format.Field{Name: "signature", Value: hex.EncodeToString(s.sig)})
	f.Notes = append(f.Notes,
		"A raw signature names neither algorithm nor key: the trusted key decides.",
		"The signature tells neither version nor device: it keeps no older release out.")
	if len(s.sig) > 0 && s.sig[0] == 0x30 {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "ecdsa value s", Size: int64(len(s.sig))})
		f.Notes = append(f.Notes, "An ECDSA signature has a second form (n-s) that verifies as well.")
	}
}

func (s *raw) verify(trust format.Trust, artifact format.Source, r *format.Report) error {
	keys := trust.Keys.All()
	if len(keys) == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no public key was given")
	}
	sums := &sums{artifact: artifact}
	err := format.Wrap(format.ErrAlgorithm, "%d bytes are no signature of the %d keys given", len(s.sig), len(keys))
	for _, k := range keys {
		algorithm, digest, one := s.fits(k, sums)
		if errors.Is(one, format.ErrAlgorithm) {
			continue
		}
		tell(r, k)
		r.Digest = digest
		r.Chain = links(k, algorithm, digest)
		if one == nil {
			r.Signature = algorithm
			return nil
		}
		if err = one; errors.Is(one, format.ErrWeak) {
			r.Findings = append(r.Findings, format.WeakDigest("sha1")...)
			return err
		}
	}
	return err
}

// sums hashes the artifact: once with the hash that nearly always fits, else once with the rest.
type sums struct {
	artifact format.Source
	of       map[crypto.Hash][]byte
}

func (s *sums) sum(h crypto.Hash) ([]byte, error) {
	if sum := s.of[h]; sum != nil {
		return sum, nil
	}
	var want []crypto.Hash
	if s.of == nil {
		s.of, want = map[crypto.Hash][]byte{}, []crypto.Hash{h}
	} else {
		for _, other := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA1} {
			if s.of[other] == nil {
				want = append(want, other)
			}
		}
	}
	made := make([]hash.Hash, len(want))
	for i, w := range want {
		made[i] = w.New()
	}
	if err := feed(s.artifact, made...); err != nil {
		return nil, err
	}
	for i, w := range want {
		s.of[w] = made[i].Sum(nil)
	}
	return s.of[h], nil
}

// fits tries one key. ErrAlgorithm: the bytes cannot be a signature of a key of its kind.
func (s *raw) fits(k format.Key, sums *sums) (algorithm, digest string, err error) {
	switch p := k.Public.(type) {
	case ed25519.PublicKey:
		if len(s.sig) != ed25519.SignatureSize {
			return "", "", format.ErrAlgorithm
		}
		ok, digest, err := verifyPure(p, sums.artifact, s.sig)
		if err == nil && !ok {
			err = format.Wrap(format.ErrBadSignature, "not one of %s key %.16s...", k.Algorithm, k.Fingerprint)
		}
		return "ed25519", digest, err
	case *rsa.PublicKey:
		if len(s.sig) != p.Size() {
			return "", "", format.ErrAlgorithm
		}
	case *ecdsa.PublicKey:
		var pair struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(s.sig, &pair); err != nil || len(rest) > 0 {
			return "", "", format.ErrAlgorithm
		}
	default:
		return "", "", format.ErrAlgorithm
	}
	return s.fitsHash(k, sums)
}

func (s *raw) fitsHash(k format.Key, sums *sums) (algorithm, digest string, err error) {
	for _, h := range likely(k.Public) {
		sum, err := sums.sum(h)
		if err != nil {
			return "", "", err
		}
		padding, ok := hashedFits(k.Public, h, sum, s.sig)
		if digest == "" || ok {
			digest = hashName(h) + ":" + hex.EncodeToString(sum)
		}
		if !ok {
			continue
		}
		algorithm = k.Algorithm + padding + "-" + hashName(h)
		if h == crypto.SHA1 {
			return algorithm, digest, format.Wrap(format.ErrWeak, "the key's signature, but of a SHA-1 digest")
		}
		return algorithm, digest, nil
	}
	return k.Algorithm, digest, format.Wrap(format.ErrBadSignature, "not one of %s key %.16s... over SHA-256, 384 or 512", k.Algorithm, k.Fingerprint)
}

// likely orders the hashes that are tried, that which goes with the key first; SHA-1 only to say why it is refused.
func likely(public crypto.PublicKey) []crypto.Hash {
	all := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA1}
	if p, ok := public.(*ecdsa.PublicKey); ok && p.Curve.Params().BitSize > 256 {
		all[0], all[1] = all[1], all[0]
		if p.Curve.Params().BitSize > 384 {
			all[0], all[2] = all[2], all[0]
		}
	}
	return all
}

// hashedFits tells whether sig fits, and with which padding.
func hashedFits(public crypto.PublicKey, h crypto.Hash, sum, sig []byte) (padding string, ok bool) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return "", ecdsa.VerifyASN1(p, sum, sig)
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(p, h, sum, sig) == nil {
			return "-pkcs1", true
		}
		// openssl's own default is the longest salt, most devices take the digest's length: both are as strong.
		return "-pss", rsa.VerifyPSS(p, h, sum, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: h}) == nil
	}
	return "", false
}

func (s *raw) check(d format.Device) error { return checkNothing(d) }
