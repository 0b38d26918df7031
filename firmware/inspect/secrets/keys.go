package secrets

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"assay/firmware/inspect/found"
)

// maxPEM bounds the window in which a PEM block must end.
const maxPEM = 128 << 10

// pemBlock judges the block that begins at the hit.
func (s *Searcher) pemBlock(f found.File, at int64) []found.Finding {
	text := window(f, at, maxPEM)
	end := bytes.Index(text, []byte("-----END "))
	if end < 0 {
		return nil
	}
	if stop := bytes.Index(text[end+9:], []byte("-----")); stop >= 0 {
		text = text[:end+9+stop+5]
	}
	s.end = at + int64(len(text))
	// Keys in JSON and C carry their line ends as text.
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(`\r`), nil), []byte(`\n`), []byte("\n"))
	if bytes.HasPrefix(text, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")) { // its check sum is not PEM's
		return one(found.PrivateKey, at, text, "an OpenPGP private key, armored")
	}
	b, _ := pem.Decode(append(text, '\n'))
	if b == nil || len(b.Bytes) == 0 {
		return nil
	}
	switch {
	case b.Type == "OPENSSH PRIVATE KEY":
		return openSSH(b.Bytes, at)
	case strings.HasSuffix(b.Type, "PRIVATE KEY"):
		if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
			return one(found.PrivateKey, at, b.Bytes, "a private key in PEM, encrypted with a password (%s)", b.Type)
		}
		if k := parseKey(b.Bytes); k != nil {
			return append(one(found.PrivateKey, at, k.public, "a private key in PEM: %s", k.name), s.known(k.public, k.pkcs1, at)...)
		}
		return one(found.PrivateKey, at, b.Bytes, "a private key in PEM of a kind that is not read further (%s)", printable(b.Type))
	case b.Type == "CERTIFICATE":
		if c, err := x509.ParseCertificate(b.Bytes); err == nil {
			return s.certificate(c, at)
		}
	case strings.HasSuffix(b.Type, "PUBLIC KEY"):
		return s.publicPEM(b.Bytes, at)
	}
	return nil
}

func (s *Searcher) publicPEM(der []byte, at int64) []found.Finding {
	if k, err := x509.ParsePKIXPublicKey(der); err == nil {
		spki, _ := x509.MarshalPKIXPublicKey(k)
		var pkcs1 []byte
		if r, ok := k.(*rsa.PublicKey); ok {
			pkcs1 = x509.MarshalPKCS1PublicKey(r)
		}
		return s.known(spki, pkcs1, at)
	}
	return s.known(nil, der, at)
}

// privateKey is what may be told of a private key.
type privateKey struct {
	name   string // RSA 2048
	public []byte // SubjectPublicKeyInfo, or what stands for it
	pkcs1  []byte
}

// parseKey reads PKCS#8, PKCS#1 and SEC 1.
func parseKey(der []byte) *privateKey {
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return parseOdd(der)
			}
		}
	}
	k := &privateKey{name: fmt.Sprintf("%T", key)}
	var public any
	switch key := key.(type) {
	case *rsa.PrivateKey:
		k.name, public = fmt.Sprintf("RSA %d", key.N.BitLen()), &key.PublicKey
		k.pkcs1 = x509.MarshalPKCS1PublicKey(&key.PublicKey)
	case *ecdsa.PrivateKey:
		k.name, public = "ECDSA "+key.Params().Name, &key.PublicKey
	case ed25519.PrivateKey:
		k.name, public = "Ed25519", key.Public()
	case *ecdh.PrivateKey:
		k.name, public = "X25519", key.Public()
	}
	if public != nil {
		k.public, _ = x509.MarshalPKIXPublicKey(public)
	}
	if k.public == nil {
		k.public = der
	}
	return k
}

// derStart finds the SEQUENCE whose content begins at the hit, and its whole length.
func derStart(f found.File, at int64) (int64, []byte) {
	for _, back := range []int64{4, 3, 2} {
		start := at - back
		if start < 0 {
			continue
		}
		h := window(f, start, 4)
		if len(h) < 4 || h[0] != 0x30 {
			continue
		}
		n := int64(-1)
		switch {
		case back == 4 && h[1] == 0x82:
			n = int64(binary.BigEndian.Uint16(h[2:]))
		case back == 3 && h[1] == 0x81:
			n = int64(h[2])
		case back == 2 && h[1] < 0x80:
			n = int64(h[1])
		}
		if n < 0 {
			continue
		}
		if b := window(f, start, back+n); int64(len(b)) == back+n {
			return start, b
		}
	}
	return 0, nil
}

// derKey judges a key without armour: the hit is behind the outer SEQUENCE's header.
func (s *Searcher) derKey(f found.File, at int64) []found.Finding {
	start, b := derStart(f, at)
	if len(b) < 40 {
		return nil
	}
	k := parseKey(b)
	if k == nil {
		return nil
	}
	s.end = start + int64(len(b))
	return append(one(found.PrivateKey, start, k.public, "a private key in DER: %s", k.name), s.known(k.public, k.pkcs1, start)...)
}

func (s *Searcher) derCertificate(f found.File, at int64) []found.Finding {
	// Two SEQUENCE headers stand before the version: certificate and its signed part.
	for _, inner := range []int64{4, 3} {
		start, b := derStart(f, at-inner)
		if b == nil {
			continue
		}
		if c, err := x509.ParseCertificate(b); err == nil {
			s.end = start + int64(len(b))
			return s.certificate(c, start)
		}
	}
	return nil
}

// certificate judges a certificate's time, strength and key.
func (s *Searcher) certificate(c *x509.Certificate, at int64) []found.Finding {
	var out []found.Finding
	name := printable(c.Subject.String())
	if !s.At.IsZero() {
		if s.At.After(c.NotAfter) {
			out = append(out, one(found.Expired, at, c.Raw, "the certificate of %s ended on %s", name, c.NotAfter.UTC().Format(time.RFC3339))...)
		}
		if s.At.Before(c.NotBefore) {
			out = append(out, one(found.NotYetValid, at, c.Raw, "the certificate of %s begins on %s", name, c.NotBefore.UTC().Format(time.RFC3339))...)
		}
	}
	selfMade := bytes.Equal(c.RawSubject, c.RawIssuer) // nobody checks the signature of an anchor
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		if !selfMade {
			out = append(out, one(found.WeakCertificate, at, c.Raw, "the certificate of %s is signed with %s", name, c.SignatureAlgorithm)...)
		}
	}
	var pkcs1 []byte
	if r, ok := c.PublicKey.(*rsa.PublicKey); ok {
		pkcs1 = x509.MarshalPKCS1PublicKey(r)
		if r.N.BitLen() < 2048 {
			out = append(out, one(found.WeakCertificate, at, c.Raw, "the certificate of %s has a key of RSA %d", name, r.N.BitLen())...)
		}
	}
	return append(out, s.known(c.RawSubjectPublicKeyInfo, pkcs1, at)...)
}

// known tells a key whose private half is public.
func (s *Searcher) known(spki, pkcs1 []byte, at int64) []found.Finding {
	for _, der := range [][]byte{spki, pkcs1} {
		if len(der) == 0 {
			continue
		}
		sum := sha256.Sum256(der)
		if name, ok := testKeys[hex.EncodeToString(sum[:])]; ok {
			return one(found.TestKey, at, der, "the public test key %s", name)
		}
	}
	return nil
}

// openSSH reads the header of OpenSSH's own format (PROTOCOL.key).
func openSSH(b []byte, at int64) []found.Finding {
	r := sshReader{b: bytes.TrimPrefix(b, []byte("openssh-key-v1\x00"))}
	cipher, _, _ := r.text(), r.text(), r.text()
	r.skip(4)
	public := r.text()
	inner := sshReader{b: []byte(public)}
	kind := inner.text()
	if r.bad || inner.bad || len(r.b) == 0 || !strings.HasPrefix(kind, "ssh-") && !strings.HasPrefix(kind, "ecdsa-") && !strings.HasPrefix(kind, "sk-") {
		return nil
	}
	if cipher != "none" {
		return one(found.PrivateKey, at, []byte(public), "an OpenSSH private key, encrypted with a password (%s)", printable(kind))
	}
	return one(found.PrivateKey, at, []byte(public), "an OpenSSH private key: %s", printable(kind))
}

// dropbear reads Dropbear's own format: the strings of a public key, then the secret numbers.
func (s *Searcher) dropbear(f found.File, at int64) []found.Finding {
	b := window(f, at, 8<<10)
	r := sshReader{b: b}
	kind := r.text()
	switch kind {
	case "ssh-ed25519":
		secret := r.text()
		if r.bad || len(secret) != 64 {
			return nil
		}
		s.end = at + int64(len(b)-len(r.b))
		return one(found.PrivateKey, at, []byte(secret[32:]), "a Dropbear private key: %s", kind)
	case "ssh-rsa":
		e, n, d, p, q := r.text(), r.text(), r.text(), r.text(), r.text()
		product := new(big.Int).Mul(number(p), number(q))
		if r.bad || len(e) > 8 || len(d) == 0 || product.Sign() == 0 || product.Cmp(number(n)) != 0 {
			return nil
		}
		s.end = at + int64(len(b)-len(r.b))
		return one(found.PrivateKey, at, []byte(n), "a Dropbear private key: %s %d", kind, number(n).BitLen())
	case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
		curve, point, secret := r.text(), r.text(), r.text()
		if r.bad || !strings.HasSuffix(kind, curve) || len(point) == 0 || point[0] != 4 || len(secret) < 24 || len(secret) > 67 {
			return nil
		}
		s.end = at + int64(len(b)-len(r.b))
		return one(found.PrivateKey, at, []byte(point), "a Dropbear private key: %s", kind)
	}
	return nil
}

func number(s string) *big.Int { return new(big.Int).SetBytes([]byte(s)) }

// sshReader reads length-prefixed strings.
type sshReader struct {
	b   []byte
	bad bool
}

func (r *sshReader) skip(n int) {
	if n > len(r.b) {
		r.bad, n = true, len(r.b)
	}
	r.b = r.b[n:]
}

func (r *sshReader) text() string {
	if len(r.b) < 4 || uint64(binary.BigEndian.Uint32(r.b)) > uint64(len(r.b)-4) {
		r.bad, r.b = true, nil
		return ""
	}
	n := int(binary.BigEndian.Uint32(r.b))
	out := string(r.b[4 : 4+n])
	r.b = r.b[4+n:]
	return out
}
