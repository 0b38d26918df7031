package secrets

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"math/big"

	"assay/firmware/inspect/found"
)

// oddAlgorithms are kinds of PKCS #8 keys that the standard library does not read.
var oddAlgorithms = map[string]string{
	"1.2.840.10045.2.1": "EC", "1.2.840.10040.4.1": "DSA", "1.2.840.113549.1.3.1": "Diffie-Hellman", "1.3.101.111": "X448", "1.3.101.113": "Ed448",
}

// primeField is the identifier of a prime field (X9.62), with its header.
var primeField = []byte("\x06\x07\x2a\x86\x48\xce\x3d\x01\x01")

// parseOdd knows the keys that the standard library refuses: short RSA moduli, curves it does not have.
func parseOdd(der []byte) *privateKey {
	var r struct {
		Version                int
		N, E, D, P, Q, X, Y, Z *big.Int
	}
	if rest, err := asn1.Unmarshal(der, &r); err == nil && len(rest) == 0 && r.Version == 0 && r.N.BitLen() >= 256 &&
		new(big.Int).Mul(r.P, r.Q).Cmp(r.N) == 0 {
		return &privateKey{name: fmt.Sprintf("RSA %d", r.N.BitLen()), public: r.N.Bytes()}
	}
	var d struct {
		Version       int
		P, Q, G, Y, X *big.Int
	}
	if rest, err := asn1.Unmarshal(der, &d); err == nil && len(rest) == 0 && d.Version == 0 && dsa(d.P, d.Q, d.G, d.Y, d.X) {
		return &privateKey{name: fmt.Sprintf("DSA %d", d.P.BitLen()), public: d.Y.Bytes()}
	}
	var e struct {
		Version int
		Key     []byte
		OID     asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		Public  asn1.BitString        `asn1:"optional,explicit,tag:1"`
	}
	if rest, err := asn1.Unmarshal(der, &e); err == nil && len(rest) == 0 && e.Version == 1 && len(e.Key) >= 20 && len(e.Key) <= 72 && len(e.OID) > 0 {
		return &privateKey{name: "EC on curve " + e.OID.String(), public: e.Public.Bytes}
	}
	var x struct { // its curve is written out instead of named
		Version int
		Key     []byte
		Curve   asn1.RawValue  `asn1:"optional,explicit,tag:0"`
		Public  asn1.BitString `asn1:"optional,explicit,tag:1"`
	}
	if rest, err := asn1.Unmarshal(der, &x); err == nil && len(rest) == 0 && x.Version == 1 && len(x.Key) >= 20 && len(x.Key) <= 72 &&
		bytes.Contains(x.Curve.Bytes, primeField) {
		return &privateKey{name: "EC on a curve of its own", public: x.Public.Bytes}
	}
	var p struct {
		Version int
		Alg     struct {
			OID    asn1.ObjectIdentifier
			Params asn1.RawValue `asn1:"optional"`
		}
		Key []byte
	}
	if rest, err := asn1.Unmarshal(der, &p); err == nil && len(rest) == 0 && p.Version == 0 && len(p.Key) >= 20 {
		if inner := parseOddInner(p.Key); inner != nil {
			return inner
		}
		if name, ok := oddAlgorithms[p.Alg.OID.String()]; ok {
			return &privateKey{name: name, public: der}
		}
	}
	return nil
}

func parseOddInner(der []byte) *privateKey {
	if len(der) > 0 && der[0] == 0x30 && len(der) < 16<<10 {
		var v struct{ Version int }
		if _, err := asn1.Unmarshal(der, &v); err == nil || v.Version == 0 {
			var r struct {
				Version                int
				N, E, D, P, Q, X, Y, Z *big.Int
			}
			if _, err := asn1.Unmarshal(der, &r); err == nil && r.N.BitLen() >= 256 {
				return &privateKey{name: fmt.Sprintf("RSA %d", r.N.BitLen()), public: r.N.Bytes()}
			}
		}
	}
	return nil
}

// dsa tells the numbers of a DSA key: y is g to the x, and q divides p-1.
func dsa(p, q, g, y, x *big.Int) bool {
	if n := p.BitLen(); n < 512 || n > 4096 || q.BitLen() < 160 || q.BitLen() > 512 || p.Bit(0) == 0 || g.Sign() <= 0 || x.Sign() <= 0 {
		return false
	}
	rest := new(big.Int).Sub(p, big.NewInt(1))
	return rest.Mod(rest, q).Sign() == 0 && new(big.Int).Exp(g, x, p).Cmp(y) == 0
}

// encryptedDER knows PKCS #8 that is encrypted, without armour: the hit is the identifier of the
// scheme, behind the headers of two sequences.
func (s *Searcher) encryptedDER(f found.File, at int64) []found.Finding {
	for _, inner := range []int64{2, 3} {
		start, b := derStart(f, at-inner)
		var p struct {
			Alg struct {
				OID    asn1.ObjectIdentifier
				Params asn1.RawValue
			}
			Sealed []byte
		}
		if b == nil {
			continue
		}
		if rest, err := asn1.Unmarshal(b, &p); err == nil && len(rest) == 0 && len(p.Sealed) >= 32 && len(p.Sealed)%8 == 0 {
			s.end = start + int64(len(b))
			return one(found.PrivateKey, start, b, "a private key in DER, encrypted with a password (PKCS #8)")
		}
	}
	return nil
}

// javaStore knows Java's own key store when a private key is its first entry: magic, version, number of entries, kind of the first.
func javaStore(f found.File, at int64) []found.Finding {
	b := window(f, at, 16)
	if len(b) == 16 && bytes.Equal(b[4:7], []byte{0, 0, 0}) && (b[7] == 1 || b[7] == 2) && bytes.Equal(b[8:10], []byte{0, 0}) && bytes.Equal(b[12:], []byte{0, 0, 0, 1}) {
		return one(found.PrivateKey, at, b, "a Java key store with a private key")
	}
	return nil
}
