package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// EnvelopedData (RFC 5652 section 6) for RSA recipients: what RAUC's crypt bundles wrap
// their signature in. Encryption without a signature proves nothing: what comes out must be
// verified as if it had come in clear.

var (
	oidEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidOAEP          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidAES256CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// LooksEnveloped tells whether b begins like DER EnvelopedData.
func LooksEnveloped(b []byte) bool { return looksLike(b, oidEnvelopedData) }

// RecipientKey reads a recipient's PKCS #8 private key, PEM or DER; nil is one that OpenEnvelope cannot use.
func RecipientKey(a format.Anchor) (*rsa.PrivateKey, error) {
	der := a.Bytes
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, format.Wrap(format.ErrEncrypted, "recipient's key %s: %v", a.From, err)
	}
	k, _ := key.(*rsa.PrivateKey)
	return k, nil
}

// OpenEnvelope decrypts with the first of keys that a recipient entry is for. Errors say
// nothing about where the decryption went wrong.
func OpenEnvelope(der []byte, keys []*rsa.PrivateKey) ([]byte, error) {
	fail := format.Malformed("open CMS envelope: EnvelopedData is not DER")
	in := cryptobyte.String(der)
	var info, wrapped, ed, recipients, content cryptobyte.String
	var oid asn1.ObjectIdentifier
	var version int
	if !in.ReadASN1(&info, casn1.SEQUENCE) || !in.Empty() || !info.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidEnvelopedData) ||
		!info.ReadASN1(&wrapped, context(0)) || !info.Empty() || !wrapped.ReadASN1(&ed, casn1.SEQUENCE) || !wrapped.Empty() ||
		!ed.ReadASN1Integer(&version) || !ed.SkipOptionalASN1(context(0)) ||
		!ed.ReadASN1(&recipients, casn1.SET) || !ed.ReadASN1(&content, casn1.SEQUENCE) {
		return nil, fail
	}
	iv, ciphertext, err := readEncrypted(content)
	if err != nil {
		return nil, fmt.Errorf("open CMS envelope: %w", err)
	}
	for !recipients.Empty() {
		var one cryptobyte.String
		var tag casn1.Tag
		if !recipients.ReadAnyASN1Element(&one, &tag) {
			return nil, fail
		}
		if tag != casn1.SEQUENCE {
			continue // key agreement, passwords: not for RSA keys
		}
		for _, key := range keys {
			if plain, ok := openFor(one, key, iv, ciphertext); ok {
				return plain, nil
			}
		}
	}
	return nil, format.Wrap(format.ErrEncrypted, "open CMS envelope: none of the %d keys given is a recipient's", len(keys))
}

func readEncrypted(in cryptobyte.String) (iv, ciphertext []byte, err error) {
	var oid asn1.ObjectIdentifier
	var octets, data cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&oid) {
		return nil, nil, format.Malformed("encrypted content is not DER")
	}
	alg, params, err := readAlgorithm(&in)
	if err != nil {
		return nil, nil, err
	}
	if !alg.Equal(oidAES256CBC) {
		return nil, nil, format.Wrap(format.ErrAlgorithm, "content encryption %v, want AES-256-CBC", alg)
	}
	if !params.ReadASN1(&octets, casn1.OCTET_STRING) || len(octets) != aes.BlockSize ||
		!in.ReadASN1(&data, casn1.Tag(0).ContextSpecific()) || !in.Empty() || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, nil, format.Malformed("encrypted content is not whole AES blocks")
	}
	return octets, data, nil
}

// openFor tries one recipient entry with one key.
func openFor(entry cryptobyte.String, key *rsa.PrivateKey, iv, ciphertext []byte) ([]byte, bool) {
	var ri, encrypted cryptobyte.String
	var version int
	if !entry.ReadASN1(&ri, casn1.SEQUENCE) || !ri.ReadASN1Integer(&version) || !ri.Skip(len(peek(ri))) {
		return nil, false
	}
	alg, params, err := readAlgorithm(&ri)
	if err != nil || !ri.ReadASN1(&encrypted, casn1.OCTET_STRING) {
		return nil, false
	}
	var options crypto.DecrypterOpts // nil is PKCS #1 v1.5
	switch {
	case alg.Equal(oidOAEP):
		hash := crypto.SHA1
		if bytes.Contains(params, sha256OID()) {
			hash = crypto.SHA256
		}
		options = &rsa.OAEPOptions{Hash: hash}
	case !alg.Equal(oidRSA):
		return nil, false
	}
	secret, err := key.Decrypt(rand.Reader, encrypted, options)
	if err != nil || len(secret) != 32 {
		return nil, false
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, false
	}
	plain := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, ciphertext)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, false
	}
	return plain[:len(plain)-pad], true
}

func sha256OID() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1ObjectIdentifier(digests[0].oid)
	return b.BytesOrPanic()
}

// Seal encrypts for the holders of RSA certificates, with OAEP and AES-256-CBC.
func Seal(plain []byte, recipients ...*x509.Certificate) ([]byte, error) {
	secret, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	if _, err := rand.Read(iv); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	var entries [][]byte
	for _, c := range recipients {
		public, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok {
			return nil, fmt.Errorf("seal for %s: its key is no RSA key", c.Subject)
		}
		encrypted, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, secret, nil)
		if err != nil {
			return nil, fmt.Errorf("seal for %s: %w", c.Subject, err)
		}
		entries = append(entries, recipientInfo(c.RawIssuer, c.SerialNumber, encrypted))
	}
	return envelope(entries, iv, data)
}

func recipientInfo(issuer []byte, serial *big.Int, encrypted []byte) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(issuer)
			b.AddASN1BigInt(serial)
		})
		// The defaults of RSAES-OAEP (RFC 8017 appendix A.2.1), which everybody reads.
		addAlgorithm(b, oidOAEP, func(b *cryptobyte.Builder) { b.AddASN1(casn1.SEQUENCE, func(*cryptobyte.Builder) {}) })
		b.AddASN1OctetString(encrypted)
	})
	return b.BytesOrPanic()
}

func envelope(entries [][]byte, iv, data []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidEnvelopedData)
		b.AddASN1(context(0), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
					for _, e := range entries {
						b.AddBytes(e)
					}
				})
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidData)
					addAlgorithm(b, oidAES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) })
					b.AddASN1(casn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(data) })
				})
			})
		})
	})
	return b.Bytes()
}
