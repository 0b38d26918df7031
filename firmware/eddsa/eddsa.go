// Package eddsa is for checking pure Ed25519 signatures (RFC 8032) over messages that
// are too large to be held in memory, which the standard library asks for. It works on
// public data only, so it takes no care to be constant in time. It never signs.
package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// small is what is read at once; a message that ends there goes to the standard library.
const small = 1 << 20

// Verify reads message to its end and tells whether sig is the key's signature of it. It
// answers as ed25519.Verify does. An error means that message could not be read.
func Verify(public ed25519.PublicKey, message io.Reader, sig []byte) (bool, error) {
	if len(public) != ed25519.PublicKeySize {
		return false, fmt.Errorf("ed25519 key of %d bytes", len(public))
	}
	head, err := io.ReadAll(io.LimitReader(message, small))
	if err != nil {
		return false, fmt.Errorf("read signed message: %w", err)
	}
	if len(head) < small {
		return ed25519.Verify(public, head, sig), nil
	}
	return verifyStream(public, io.MultiReader(bytes.NewReader(head), message), sig)
}

// verifyStream follows RFC 8032 section 5.1.7 without the cofactor, as the standard library does:
// the R of the signature must be the very bytes of [S]B - [k]A.
func verifyStream(public ed25519.PublicKey, message io.Reader, sig []byte) (bool, error) {
	h := sha512.New()
	if len(sig) == ed25519.SignatureSize {
		h.Write(sig[:32])
	}
	h.Write(public)
	if _, err := io.CopyBuffer(onlyWriter{h}, message, make([]byte, 256<<10)); err != nil {
		return false, fmt.Errorf("read signed message: %w", err)
	}
	if len(sig) != ed25519.SignatureSize {
		return false, nil
	}
	a, ok := decode(public)
	s := littleEndian(sig[32:])
	if !ok || s.Cmp(order) >= 0 { // S+L would be a second signature of the same message
		return false, nil
	}
	k := littleEndian(h.Sum(nil))
	k.Mod(k, order)
	r := combine(s, base, k, a.negate())
	return bytes.Equal(r.encode(), sig[:32]), nil
}

// onlyWriter hides ReadFrom, so that the buffer given is the one used.
type onlyWriter struct{ io.Writer }

// The curve of RFC 8032 section 5.1: -x² + y² = 1 + dx²y² over 2^255-19.
var (
	prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	order = func() *big.Int {
		low, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
		return low.Add(low, new(big.Int).Lsh(big.NewInt(1), 252))
	}()
	d = func() *big.Int { // -121665/121666
		x := new(big.Int).ModInverse(big.NewInt(121666), prime)
		return field(x.Mul(x, big.NewInt(-121665)))
	}()
	rootOfMinusOne = func() *big.Int { // 2^((p-1)/4)
		e := new(big.Int).Rsh(prime, 2)
		return new(big.Int).Exp(big.NewInt(2), e, prime)
	}()
	base = func() point { // y = 4/5, x even
		y := new(big.Int).ModInverse(big.NewInt(5), prime)
		p, ok := decode(encodeY(field(y.Mul(y, big.NewInt(4))), 0))
		if !ok {
			panic("eddsa: the base point is on the curve")
		}
		return p
	}()
)

func field(x *big.Int) *big.Int { return x.Mod(x, prime) }

// A point in extended coordinates: x = X/Z, y = Y/Z, T = XY/Z.
type point struct{ x, y, z, t *big.Int }

func neutral() point {
	return point{new(big.Int), big.NewInt(1), big.NewInt(1), new(big.Int)}
}

func (p point) negate() point {
	return point{field(new(big.Int).Neg(p.x)), p.y, p.z, field(new(big.Int).Neg(p.t))}
}

func mul(a, b *big.Int) *big.Int { return field(new(big.Int).Mul(a, b)) }
func add(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
func sub(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

// plus is the complete addition of RFC 8032 section 5.1.4; it doubles as well.
func (p point) plus(q point) point {
	a := mul(sub(p.y, p.x), sub(q.y, q.x))
	b := mul(add(p.y, p.x), add(q.y, q.x))
	c := mul(mul(add(p.t, p.t), d), q.t)
	e := mul(add(p.z, p.z), q.z)
	f, g, h, i := sub(b, a), sub(e, c), add(e, c), add(b, a)
	return point{mul(f, g), mul(h, i), mul(g, h), mul(f, i)}
}

// combine is [m]p + [n]q.
func combine(m *big.Int, p point, n *big.Int, q point) point {
	both, r := p.plus(q), neutral()
	for i := max(m.BitLen(), n.BitLen()) - 1; i >= 0; i-- {
		r = r.plus(r)
		switch {
		case m.Bit(i) == 1 && n.Bit(i) == 1:
			r = r.plus(both)
		case m.Bit(i) == 1:
			r = r.plus(p)
		case n.Bit(i) == 1:
			r = r.plus(q)
		}
	}
	return r
}

func (p point) encode() []byte {
	inverse := new(big.Int).ModInverse(p.z, prime)
	return encodeY(mul(p.y, inverse), mul(p.x, inverse).Bit(0))
}

func encodeY(y *big.Int, sign uint) []byte {
	b := y.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	b[31] |= byte(sign << 7)
	return b
}

// decode follows RFC 8032 section 5.1.3, but like the standard library it takes a y
// above the prime: the key comes from whoever trusts it, not from the image.
func decode(b []byte) (point, bool) {
	low := bytes.Clone(b)
	sign := uint(low[31] >> 7)
	low[31] &= 0x7f
	y := field(littleEndian(low))
	yy := mul(y, y)
	u, v := sub(yy, big.NewInt(1)), add(mul(d, yy), big.NewInt(1))
	x2 := mul(u, new(big.Int).ModInverse(v, prime)) // v is never zero: -1/d is no square
	exponent := new(big.Int).Rsh(add(prime, big.NewInt(3)), 3)
	x := new(big.Int).Exp(x2, exponent, prime)
	if mul(x, x).Cmp(x2) != 0 {
		x = mul(x, rootOfMinusOne)
	}
	if mul(x, x).Cmp(x2) != 0 {
		return point{}, false
	}
	if x.Bit(0) != sign {
		x = field(x.Neg(x))
	}
	return point{x, y, big.NewInt(1), mul(x, y)}, true
}

func littleEndian(b []byte) *big.Int {
	r := bytes.Clone(b)
	slices.Reverse(r)
	return new(big.Int).SetBytes(r)
}
