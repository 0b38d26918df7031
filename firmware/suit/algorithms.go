package suit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"math/big"

	"assay/firmware/format"
)

// A scheme is one algorithm of the COSE registry. The old names leave the curve open
// and RFC 9864 fixes it; both spellings are taken, each with one kind of key.
type scheme struct {
	id    int64
	name  string
	curve int         // bits
	hash  crypto.Hash // of a signature
	mac   func() hash.Hash
	hss   bool
	weak  string
}

const (
	algES256   int64 = -7
	algEdDSA   int64 = -8
	algESP256  int64 = -9
	algEd25519 int64 = -19
	algES384   int64 = -35
	algES512   int64 = -36
	algPS256   int64 = -37
	algHSSLMS  int64 = -46
	algHMAC256 int64 = 5
)

func schemes() []scheme {
	return []scheme{
		{id: algES256, name: "ecdsa-p256-sha256", curve: 256, hash: crypto.SHA256},
		{id: algESP256, name: "ecdsa-p256-sha256", curve: 256, hash: crypto.SHA256},
		{id: algES384, name: "ecdsa-p384-sha384", curve: 384, hash: crypto.SHA384},
		{id: -51, name: "ecdsa-p384-sha384", curve: 384, hash: crypto.SHA384},
		{id: algES512, name: "ecdsa-p521-sha512", curve: 521, hash: crypto.SHA512},
		{id: -52, name: "ecdsa-p521-sha512", curve: 521, hash: crypto.SHA512},
		{id: algEdDSA, name: "ed25519"},
		{id: algEd25519, name: "ed25519"},
		{id: algPS256, name: "rsa-pss-sha256", hash: crypto.SHA256},
		{id: -38, name: "rsa-pss-sha384", hash: crypto.SHA384},
		{id: -39, name: "rsa-pss-sha512", hash: crypto.SHA512},
		{id: algHSSLMS, name: "hss-lms-sha256", hss: true},
		{id: 4, name: "hmac-sha256-64", mac: sha256.New, weak: "a MAC cut to 64 bits"},
		{id: algHMAC256, name: "hmac-sha256", mac: sha256.New},
		{id: 6, name: "hmac-sha384", mac: sha512.New384},
		{id: 7, name: "hmac-sha512", mac: sha512.New},
		{id: -65535, name: "rsa-pkcs1-sha1", weak: "RSA with SHA-1"},
	}
}

func schemeOf(id int64) (scheme, bool) {
	for _, s := range schemes() {
		if s.id == id {
			return s, true
		}
	}
	return scheme{}, false
}

// takes tells whether the scheme goes with a key.
func (s scheme) takes(public crypto.PublicKey) bool {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return s.curve == p.Curve.Params().BitSize
	case ed25519.PublicKey:
		return s.id == algEdDSA || s.id == algEd25519
	case *rsa.PublicKey:
		return s.id <= algPS256 && s.id >= -39
	}
	return false
}

func (s scheme) verify(public crypto.PublicKey, message, sig []byte) bool {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		n := (s.curve + 7) / 8
		if len(sig) != 2*n {
			return false
		}
		r, t := new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])
		return ecdsa.Verify(p, digest(s.hash, message), r, t)
	case ed25519.PublicKey:
		return ed25519.Verify(p, message, sig)
	case *rsa.PublicKey:
		// RFC 8230 section 2: the salt is as long as the hash.
		return rsa.VerifyPSS(p, s.hash, digest(s.hash, message), sig, &rsa.PSSOptions{SaltLength: s.hash.Size(), Hash: s.hash}) == nil
	}
	return false
}

func digest(h crypto.Hash, message []byte) []byte {
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

func (s scheme) tag(secret, message []byte) []byte {
	w := hmac.New(s.mac, secret)
	w.Write(message)
	return w.Sum(nil)
}

// A voucher is who has signed.
type voucher struct {
	algorithm string
	key       *format.Key    // of a signature
	hss       *format.Anchor // of a hash-based one
	secret    *format.Anchor // of a MAC
}

// check finds one trusted key or secret that made one of the block's signatures.
func (blk *block) check(trust format.Trust, payload []byte) (voucher, error) {
	if blk.attached {
		// What it signs need not be the digest that the device acts on.
		return voucher{}, format.Wrap(format.ErrNotBound, "the %s carries a payload of its own instead of the digest", blk.name())
	}
	if err := blk.body.checkCritical(); err != nil {
		return voucher{}, err
	}
	var errs []error
	for _, s := range blk.signers {
		v, err := blk.checkSigner(s, trust, payload)
		if err == nil {
			return v, nil
		}
		errs = append(errs, err)
	}
	return voucher{}, errors.Join(errs...)
}

func (blk *block) checkSigner(s signer, trust format.Trust, payload []byte) (voucher, error) {
	if err := s.checkCritical(); err != nil {
		return voucher{}, err
	}
	alg, err := s.algorithm()
	if err != nil {
		return voucher{}, err
	}
	how, ok := schemeOf(alg)
	switch {
	case !ok:
		return voucher{}, format.Wrap(format.ErrAlgorithm, "%s algorithm %d is not one of a manifest's", blk.name(), alg)
	case how.weak != "":
		return voucher{}, format.Wrap(format.ErrWeak, "algorithm %d is %s", alg, how.weak)
	case (how.mac != nil) != (blk.tag == tagMac0 || blk.tag == tagMac):
		return voucher{}, format.Wrap(format.ErrAlgorithm, "algorithm %d does not go with a %s", alg, blk.name())
	}
	message := blk.toBeSigned(s, payload)
	switch {
	case how.mac != nil:
		return how.checkSecrets(trust, blk, message, s.value)
	case how.hss:
		return how.checkHSS(trust.Own[Name], message, s.value)
	}
	return how.checkKeys(trust.Keys, message, s.value)
}

func (s scheme) checkKeys(keys format.Keys, message, sig []byte) (voucher, error) {
	tried := 0
	for _, k := range keys.All() {
		if !s.takes(k.Public) {
			continue
		}
		if s.verify(k.Public, message, sig) {
			return voucher{algorithm: s.name, key: &k}, nil
		}
		tried++
	}
	switch {
	case keys.Len() == 0:
		return voucher{}, format.Wrap(format.ErrAlgorithm, "it is a signature (%s), and no public key is trusted", s.name)
	case tried == 0:
		return voucher{}, format.Wrap(format.ErrAlgorithm, "it is a signature by %s, which none of the %d trusted keys makes", s.name, keys.Len())
	}
	return voucher{}, format.Wrap(format.ErrBadSignature, "the %s signature is of none of the %d trusted keys of that kind", s.name, tried)
}

const leastSecret = 16 // bytes

// keys are those of the MAC, for who has that secret: the secret itself, or what was wrapped by it.
func (blk *block) keys(secret []byte) [][]byte {
	if blk.tag == tagMac0 {
		return [][]byte{secret}
	}
	var all [][]byte
	for _, r := range blk.recipients {
		if key, ok := r.key(secret); ok && len(key) >= leastSecret {
			all = append(all, key)
		}
	}
	return all
}

func (s scheme) checkSecrets(trust format.Trust, blk *block, message, tag []byte) (voucher, error) {
	if len(trust.Secrets) == 0 {
		return voucher{}, format.Wrap(format.ErrAlgorithm, "it is a MAC (%s), and no secret is trusted", s.name)
	}
	for _, secret := range trust.Secrets {
		if isPublic(secret.Bytes, trust.Keys) {
			return voucher{}, format.Wrap(format.ErrWeak, "the secret %s is a public key, which everybody has", secret.From)
		}
		if len(secret.Bytes) < leastSecret {
			return voucher{}, format.Wrap(format.ErrWeak, "the secret %s has %d bytes, want %d", secret.From, len(secret.Bytes), leastSecret)
		}
		for _, key := range blk.keys(secret.Bytes) {
			if hmac.Equal(s.tag(key, message), tag) {
				return voucher{algorithm: s.name, secret: &secret}, nil
			}
		}
	}
	return voucher{}, format.Wrap(format.ErrBadSignature, "the %s value is of none of the %d trusted secrets", s.name, len(trust.Secrets))
}

// isPublic holds for a secret that is none: a MAC keyed with it is the classic confusion.
func isPublic(secret []byte, keys format.Keys) bool {
	if bytes.Contains(secret, []byte("-----BEGIN ")) {
		return true
	}
	if _, err := x509.ParsePKIXPublicKey(secret); err == nil {
		return true
	}
	for _, k := range keys.All() {
		if bytes.Contains(k.SPKI, secret) && len(secret) >= leastSecret {
			return true // the bare point or the raw key
		}
	}
	return false
}

// strength is in bits.
func (v voucher) strength() int {
	if v.secret != nil {
		return min(8*len(v.secret.Bytes), 256)
	}
	if v.hss != nil {
		return 0 // SP 800-57 has no number for it
	}
	return format.Strength(v.key.Public)
}

func (v voucher) name() string {
	if v.secret != nil {
		return fmt.Sprintf("shared secret of %d bytes", len(v.secret.Bytes))
	}
	if v.hss != nil {
		sum := sha256.Sum256(v.hss.Bytes)
		return fmt.Sprintf("hash-based key, file sha256:%x", sum)
	}
	return "sha256:" + v.key.Fingerprint
}

func (v voucher) from() string {
	if v.secret != nil {
		return v.secret.From
	}
	if v.hss != nil {
		return v.hss.From
	}
	return v.key.From
}
