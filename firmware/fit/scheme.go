package fit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"

	"assay/firmware/format"
)

// Paddings of RSA signatures; without one it is the first.
const (
	paddingPKCS1 = "pkcs-1.5"
	paddingPSS   = "pss"
)

// keyAlgorithm is what a FIT calls a key of this kind; empty where it knows none.
func keyAlgorithm(public crypto.PublicKey) string {
	switch p := public.(type) {
	case *rsa.PublicKey:
		switch p.N.BitLen() {
		case 1024:
			return "rsa1024"
		case 2048:
			return "rsa2048"
		case 3072:
			return "rsa3072"
		case 4096:
			return "rsa4096"
		}
	case *ecdsa.PublicKey:
		switch p.Curve.Params().BitSize {
		case 256:
			return "ecdsa256"
		case 384:
			return "ecdsa384"
		case 521:
			return "secp521r1"
		}
	}
	return ""
}

// agrees tells whether the signature claims to be what the key makes: the trusted key
// decides algorithm and padding, the image only names them.
func (k keyNode) agrees(s signature) error {
	digest, kind := s.algorithms()
	if k.key.Public == nil {
		return format.Wrap(format.ErrWeak, "key %s is one of %d bits of strength", k.name, format.Strength(k.public))
	}
	if want := keyAlgorithm(k.public); kind != want || want == "" {
		return format.Wrap(format.ErrAlgorithm, "algorithm is %.40q, the key %s is %s", s.algo, k.name, k.key.Algorithm)
	}
	if _, ok := hashOf(digest); !ok || digest == "md5" {
		return format.Wrap(format.ErrAlgorithm, "digest of a signature cannot be %.40q", digest)
	}
	if k.algo != "" && k.algo != s.algo {
		return format.Wrap(format.ErrAlgorithm, "algorithm is %.40q, the key %s signs with %s", s.algo, k.name, k.algo)
	}
	padding := s.paddingName()
	if padding != paddingPKCS1 && padding != paddingPSS {
		return format.Wrap(format.ErrAlgorithm, "padding %.40q", padding)
	}
	if k.padding != "" && k.padding != padding {
		return format.Wrap(format.ErrAlgorithm, "padding is %s, the key %s signs with %.40q", padding, k.name, k.padding)
	}
	return nil
}

func (s signature) paddingName() string {
	if s.padding == "" {
		return paddingPKCS1
	}
	return s.padding
}

// scheme is the algorithm in the words of a report: rsa-2048-pss-sha256.
func (s signature) scheme(key string) string {
	digest, _ := s.algorithms()
	switch {
	case !strings.HasPrefix(key, "rsa"):
		return key + "-" + digest
	case s.paddingName() == paddingPSS:
		return key + "-pss-" + digest
	}
	return key + "-pkcs1-" + digest
}

// fits checks the value over a digest.
func (k keyNode) fits(s signature, h crypto.Hash, digest []byte) bool {
	if len(digest) != h.Size() {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		if s.paddingName() == paddingPSS {
			// mkimage takes the longest salt there is room for, since v2025.01 that of the digest. U-Boot
			// takes any; another one no tool of the maker's has made.
			return slices.ContainsFunc([]int{maxSalt(p, h), h.Size()}, func(salt int) bool {
				return salt >= 0 && rsa.VerifyPSS(p, h, digest, s.value, &rsa.PSSOptions{SaltLength: salt, Hash: h}) == nil
			})
		}
		return rsa.VerifyPKCS1v15(p, h, digest, s.value) == nil
	case *ecdsa.PublicKey:
		return fitsECDSA(p, digest, s.value)
	}
	return false
}

// maxSalt follows RFC 8017 section 9.1.1: what is left of the encoded message.
func maxSalt(p *rsa.PublicKey, h crypto.Hash) int {
	return (p.N.BitLen()-1+7)/8 - h.Size() - 2
}

// fitsECDSA takes r and s side by side, each as long as the curve's order.
func fitsECDSA(p *ecdsa.PublicKey, digest, value []byte) bool {
	size := (p.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*size {
		return false
	}
	der, ok := derSignature(new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:]))
	return ok && ecdsa.VerifyASN1(p, digest, der)
}

// derSignature writes r and s as the standard library takes them.
func derSignature(r, s *big.Int) ([]byte, bool) {
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	return der, err == nil
}
