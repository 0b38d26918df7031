package format

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
)

// A Finding is a weakness of the signing itself, told whether or not the image verifies.
type Finding struct {
	ID     string `json:"id"`     // weak-key, weak-digest, weak-exponent, known-key
	What   string `json:"what"`   // rsa-1024, sha1
	Level  Level  `json:"level"`  // disallowed, legacy
	Says   string `json:"says"`   // one sentence
	Source string `json:"source"` // the rule, its edition and date
}

// A Level is what the rule says of the weakness.
type Level string

// The levels: what nobody may sign with any more, and what is on its way there.
const (
	Disallowed Level = "disallowed"
	Legacy     Level = "legacy"
)

// rules is the dated table. Levels are those of the source on its date.
func rules() []Finding {
	const (
		sp131 = "NIST SP 800-131A Rev. 2, March 2019"
		ir    = "NIST IR 8547 (initial public draft), November 2024"
		fips  = "FIPS 186-5, February 2023"
	)
	return []Finding{
		{"weak-digest", "md5", Disallowed, "collisions can be made on any computer", "RFC 6151, March 2011"},
		{"weak-digest", "sha1", Disallowed, "collisions have been made; no new signature may rest on it", sp131},
		{"weak-digest", "crc32", Disallowed, "a checksum that anybody can repair is no digest", "no standard lists it as a hash function"},
		{"weak-digest", "crc16-ccitt", Disallowed, "a checksum that anybody can repair is no digest", "no standard lists it as a hash function"},
		{"weak-key", "rsa-small", Disallowed, "less than 112 bits of strength (2048 bits of modulus)", sp131},
		{"weak-key", "dsa", Disallowed, "withdrawn for new signatures", fips},
		{"weak-key", "ecdsa-small", Disallowed, "less than 112 bits of strength (224 bits of order)", sp131},
		{"weak-exponent", "rsa-exponent", Disallowed, "a public exponent up to 2^16 forgives errors of the verifier", fips},
		{"weak-key", "rsa-2048", Legacy, "112 bits of strength: to be deprecated after 2030", ir},
		{"weak-key", "ecdsa-p224", Legacy, "112 bits of strength: to be deprecated after 2030", ir},
	}
}

func rule(what, shown string) []Finding {
	for _, f := range rules() {
		if f.What == what {
			f.What = shown
			return []Finding{f}
		}
	}
	return nil
}

// WeakDigest tells what the table says of a digest algorithm: md5, sha-1, SHA256 ...
func WeakDigest(name string) []Finding {
	name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
	if name == "crc16ccitt" {
		name = "crc16-ccitt"
	}
	return rule(name, name)
}

// WeakKey tells what the table says of a public key.
func WeakKey(public crypto.PublicKey) []Finding {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return weakRSA(p)
	case *ecdsa.PublicKey:
		bits := p.Curve.Params().BitSize
		shown := fmt.Sprintf("ecdsa-p%d", bits)
		if bits < 224 {
			return rule("ecdsa-small", shown)
		}
		return rule(shown, shown)
	}
	return nil
}

func weakRSA(p *rsa.PublicKey) []Finding {
	shown := fmt.Sprintf("rsa-%d", p.N.BitLen())
	var found []Finding
	if p.N.BitLen() < 2048 {
		found = rule("rsa-small", shown)
	} else if p.N.BitLen() < 3072 {
		found = rule("rsa-2048", shown)
	}
	if p.E <= 1<<16 {
		found = append(found, rule("rsa-exponent", fmt.Sprintf("%s with exponent %d", shown, p.E))...)
	}
	return found
}

// WeakCertificate tells what the table says of a certificate's key and of the digest that its issuer signed.
func WeakCertificate(c *x509.Certificate) []Finding {
	found := WeakKey(c.PublicKey)
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA:
		found = append(found, WeakDigest("md5")...)
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		found = append(found, WeakDigest("sha1")...)
	}
	return found
}

// Strength is the security strength of a public key in bits (NIST SP 800-57 part 1, Rev. 5,
// May 2020, table 2); 0 where it says nothing.
func Strength(public crypto.PublicKey) int {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return strengthRSA(p.N.BitLen())
	case *ecdsa.PublicKey:
		return p.Curve.Params().BitSize / 2
	case ed25519.PublicKey:
		return 128
	}
	return 0
}

func strengthRSA(bits int) int {
	for _, s := range []struct{ modulus, strength int }{{15360, 256}, {7680, 192}, {3072, 128}, {2048, 112}, {1024, 80}} {
		if bits >= s.modulus {
			return s.strength
		}
	}
	return 0
}
