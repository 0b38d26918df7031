package secrets

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"
	"unicode/utf16"

	"assay/firmware/inspect/found"
)

// usualPasswords are what key stores are shipped with.
var usualPasswords = []string{"", "changeit", "changeme", "password", "secret", "123456", "12345678", "1234", "admin", "test", "pass", "default", "root", "mypassword", "keystore", "storepass", "android", "tomcat", "server", "client", "device"}

// maxIterations bounds what a key store may cost for each password.
const maxIterations = 100_000

type pfx struct {
	Version int
	Safe    struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0,optional"`
	}
	Mac struct {
		Digest struct {
			Algorithm struct {
				OID    asn1.ObjectIdentifier
				Params asn1.RawValue `asn1:"optional"`
			}
			Digest []byte
		}
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	} `asn1:"optional"`
}

// The bags that hold a private key, in clear and encrypted (RFC 7292, section 4.2).
var (
	keyBag      = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x01}
	shroudedBag = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02}
)

// pkcs12 judges a key store. The password is tried on the MAC: nothing is decrypted.
func (s *Searcher) pkcs12(f found.File, at int64) []found.Finding {
	start, b := derStart(f, at)
	if b == nil {
		return nil
	}
	var p pfx
	if rest, err := asn1.Unmarshal(b, &p); err != nil || len(rest) > 0 || p.Version != 3 || len(p.Safe.Content) == 0 {
		return nil
	}
	s.end = start + int64(len(b))
	what := "a PKCS#12 key store"
	if bytes.Contains(p.Safe.Content, shroudedBag) || bytes.Contains(p.Safe.Content, keyBag) {
		what = "a PKCS#12 key store with a private key"
	}
	if len(p.Mac.Salt) == 0 {
		return one(found.PrivateKey, start, b, "%s, without a password over the whole", what)
	}
	make := macHash(p.Mac.Digest.Algorithm.OID.String())
	if make == nil || p.Mac.Iterations < 1 || p.Mac.Iterations > maxIterations {
		return one(found.PrivateKey, start, b, "%s; its password could not be tried", what)
	}
	for i, word := range usualPasswords {
		key := pkcs12Key(make, word, p.Mac.Salt, p.Mac.Iterations)
		mac := hmac.New(make, key)
		mac.Write(p.Safe.Content)
		if hmac.Equal(mac.Sum(nil), p.Mac.Digest.Digest) {
			return one(found.PrivateKey, start, b, "%s that a usual password opens (number %d of the list)", what, i+1)
		}
	}
	return one(found.PrivateKey, start, b, "%s; no usual password opens it", what)
}

func macHash(oid string) func() hash.Hash {
	switch oid {
	case "1.3.14.3.2.26":
		return sha1.New
	case "2.16.840.1.101.3.4.2.1":
		return sha256.New
	case "2.16.840.1.101.3.4.2.2":
		return sha512.New384
	case "2.16.840.1.101.3.4.2.3":
		return sha512.New
	}
	return nil
}

// pkcs12Key derives the MAC key by RFC 7292, appendix B.2 (one round is enough: the key is
// as long as the hash).
func pkcs12Key(make func() hash.Hash, password string, salt []byte, iterations int) []byte {
	h := make()
	block := h.BlockSize()
	var text []byte
	for _, u := range append(utf16.Encode([]rune(password)), 0) {
		text = append(text, byte(u>>8), byte(u))
	}
	h.Write(bytes.Repeat([]byte{3}, block))
	h.Write(fill(salt, block))
	h.Write(fill(text, block))
	sum := h.Sum(nil)
	for range iterations - 1 {
		h.Reset()
		h.Write(sum)
		sum = h.Sum(sum[:0])
	}
	return sum
}

// fill repeats b up to a multiple of block.
func fill(b []byte, block int) []byte {
	if len(b) == 0 {
		return nil
	}
	n := (len(b) + block - 1) / block * block
	return bytes.Repeat(b, n/len(b)+1)[:n]
}
