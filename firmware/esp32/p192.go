package esp32

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"sync"
)

// P-192 is weak and the standard library has dropped it, yet Secure Boot V2 knows it, so a
// lab must be able to tell what it vouches for. This arithmetic is for public values and
// for test keys: its time depends on what it computes.

const p192Size = 24

// p192 are the domain parameters of FIPS 186-4 appendix D.1.2.1; a is p - 3.
var p192 = sync.OnceValue(func() *elliptic.CurveParams {
	number := func(hex string) *big.Int {
		n, _ := new(big.Int).SetString(hex, 16)
		return n
	}
	return &elliptic.CurveParams{
		Name: "P-192", BitSize: 192,
		P:  number("fffffffffffffffffffffffffffffffeffffffffffffffff"),
		N:  number("ffffffffffffffffffffffff99def836146bc9b1b4d22831"),
		B:  number("64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1"),
		Gx: number("188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012"),
		Gy: number("07192b95ffc8da78631011ed6b24cdd573f977a11e794811"),
	}
})

// A P192PublicKey is a public key on the curve P-192.
type P192PublicKey struct{ x, y *big.Int }

func newP192(x, y []byte) (*P192PublicKey, error) {
	c, p := p192(), &P192PublicKey{new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)}
	if p.x.Cmp(c.P) >= 0 || p.y.Cmp(c.P) >= 0 {
		return nil, errors.New("coordinate is not below the prime of P-192")
	}
	// y^2 = x^3 - 3x + b
	left := new(big.Int).Mul(p.y, p.y)
	right := new(big.Int).Mul(p.x, p.x)
	right.Sub(right, big.NewInt(3)).Mul(right, p.x).Add(right, c.B)
	if left.Mod(left, c.P).Cmp(right.Mod(right, c.P)) != 0 {
		return nil, errors.New("point is not on P-192")
	}
	return p, nil
}

// Equal tells whether both are the same key.
func (p *P192PublicKey) Equal(o crypto.PublicKey) bool {
	q, ok := o.(*P192PublicKey)
	return ok && p.x.Cmp(q.x) == 0 && p.y.Cmp(q.y) == 0
}

// bytes is the uncompressed point.
func (p *P192PublicKey) bytes() []byte {
	b := make([]byte, 1+2*p192Size)
	b[0] = 4
	p.x.FillBytes(b[1 : 1+p192Size])
	p.y.FillBytes(b[1+p192Size:])
	return b
}

// spki is SubjectPublicKeyInfo (RFC 5480).
type spki struct {
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

func oidECDSA() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1} }
func oidP192() asn1.ObjectIdentifier  { return asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 1} }

// DER is the key as SubjectPublicKeyInfo.
func (p *P192PublicKey) DER() ([]byte, error) {
	curve, err := asn1.Marshal(oidP192())
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(spki{
		pkix.AlgorithmIdentifier{Algorithm: oidECDSA(), Parameters: asn1.RawValue{FullBytes: curve}},
		asn1.BitString{Bytes: p.bytes(), BitLength: 8 * (1 + 2*p192Size)},
	})
}

// parseP192 reads a SubjectPublicKeyInfo with a named curve and an uncompressed point.
func parseP192(der []byte) (*P192PublicKey, error) {
	var s spki
	if rest, err := asn1.Unmarshal(der, &s); err != nil || len(rest) > 0 {
		return nil, errors.New("no SubjectPublicKeyInfo")
	}
	var curve asn1.ObjectIdentifier
	if !s.Algorithm.Algorithm.Equal(oidECDSA()) {
		return nil, errors.New("no elliptic curve key")
	}
	if rest, err := asn1.Unmarshal(s.Algorithm.Parameters.FullBytes, &curve); err != nil || len(rest) > 0 || !curve.Equal(oidP192()) {
		return nil, errors.New("not on the curve P-192")
	}
	b := s.Key.RightAlign()
	if len(b) != 1+2*p192Size || b[0] != 4 {
		return nil, errors.New("no uncompressed point of P-192")
	}
	return newP192(b[1:1+p192Size], b[1+p192Size:])
}

// add adds two points; nil coordinates are the point at infinity.
func (p *P192PublicKey) add(q *P192PublicKey) *P192PublicKey {
	if p.x == nil {
		return q
	}
	if q.x == nil {
		return p
	}
	m := p192().P
	top, bottom := new(big.Int), new(big.Int)
	if p.x.Cmp(q.x) == 0 {
		if p.y.Cmp(q.y) != 0 || p.y.Sign() == 0 {
			return &P192PublicKey{}
		}
		top.Mul(p.x, p.x).Mul(top, big.NewInt(3)).Sub(top, big.NewInt(3)) // 3x^2 + a
		bottom.Lsh(p.y, 1)
	} else {
		top.Sub(q.y, p.y)
		bottom.Sub(q.x, p.x)
	}
	bottom.ModInverse(bottom.Mod(bottom, m), m)
	slope := top.Mul(top, bottom)
	slope.Mod(slope, m)
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, m)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, m)
	return &P192PublicKey{x, y}
}

func (p *P192PublicKey) times(k *big.Int) *P192PublicKey {
	sum := &P192PublicKey{}
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = sum.add(sum)
		if k.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

func generator() *P192PublicKey { return &P192PublicKey{p192().Gx, p192().Gy} }

// truncated is the leftmost bits of the digest (FIPS 186-5 section 6.4).
func truncated(digest []byte) *big.Int {
	return new(big.Int).SetBytes(digest[:min(len(digest), p192Size)])
}

// fits verifies ECDSA; r and s are big endian.
func (p *P192PublicKey) fits(digest, rb, sb []byte) bool {
	n, r, s := p192().N, new(big.Int).SetBytes(rb), new(big.Int).SetBytes(sb)
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 {
		return false
	}
	w := new(big.Int).ModInverse(s, n)
	u1 := truncated(digest)
	u1.Mul(u1, w).Mod(u1, n)
	u2 := w.Mul(w, r)
	u2.Mod(u2, n)
	sum := generator().times(u1).add(p.times(u2))
	return sum.x != nil && new(big.Int).Mod(sum.x, n).Cmp(r) == 0
}

// A P192Key is a private key on P-192, to make images for tests.
type P192Key struct {
	d      *big.Int
	public *P192PublicKey
}

// GenerateP192 makes a key for test images.
func GenerateP192() (*P192Key, error) {
	d, err := belowN(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &P192Key{d, generator().times(d)}, nil
}

// Public is a *P192PublicKey.
func (k *P192Key) Public() crypto.PublicKey { return k.public }

// Sign returns an ECDSA signature in DER.
func (k *P192Key) Sign(random io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	n := p192().N
	for {
		nonce, err := belowN(random)
		if err != nil {
			return nil, err
		}
		r := new(big.Int).Mod(generator().times(nonce).x, n)
		s := new(big.Int).Mul(r, k.d)
		s.Add(s, truncated(digest)).Mul(s, new(big.Int).ModInverse(nonce, n)).Mod(s, n)
		if r.Sign() != 0 && s.Sign() != 0 {
			return asn1.Marshal(ecdsaSignature{r, s})
		}
	}
}

// belowN picks a number from 1 to n-1.
func belowN(random io.Reader) (*big.Int, error) {
	n := p192().N
	d, err := rand.Int(random, new(big.Int).Sub(n, big.NewInt(1)))
	if err != nil {
		return nil, err
	}
	return d.Add(d, big.NewInt(1)), nil
}

// ecdsaSignature is Ecdsa-Sig-Value (RFC 3279 section 2.2.3).
type ecdsaSignature struct{ R, S *big.Int }

// fitsECDSA verifies r and s, big endian, with the standard library.
func fitsECDSA(p *ecdsa.PublicKey, digest, r, s []byte) bool {
	der, err := asn1.Marshal(ecdsaSignature{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
	return err == nil && ecdsa.VerifyASN1(p, digest, der)
}
