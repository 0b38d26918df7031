package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"

	"assay/firmware/format"
)

// decrypted is what hash and signature cover, with the payload in clear: of an encrypted
// image they are of the plaintext (docs/encrypted_images.md of mcu-tools/mcuboot). The image
// stays as it is.
func (img *Image) decrypted(recipients []format.Anchor) ([]byte, error) {
	key, err := img.imageKey(recipients)
	if err != nil {
		return nil, err
	}
	b := bytes.Clone(img.raw[:img.covered])
	payload := b[img.header.size:img.protectedAt]
	return b, countUp(key, payload)
}

// countUp is AES-CTR from a counter of zero, either way.
func countUp(key, b []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(b, b)
	return nil
}

// imageKey unwraps the key that the payload is encrypted with, by the first recipient's key
// that opens one of the ENC TLVs.
func (img *Image) imageKey(recipients []format.Anchor) ([]byte, error) {
	size := 16
	if img.header.flags&FlagAES256 != 0 {
		size = 32
	}
	wrapped := 0
	for _, t := range img.unprotected {
		if !isEncryption(t.Type) {
			continue
		}
		wrapped++
		for _, a := range recipients {
			private, err := parseRecipient(a)
			if err != nil {
				return nil, err
			}
			if key := unwrap(t, private, size); len(key) == size {
				return key, nil
			}
		}
	}
	if wrapped == 0 {
		return nil, format.Wrap(format.ErrEncrypted, "the header says so, but there is no TLV with the image key")
	}
	return nil, format.Wrap(format.ErrEncrypted, "none of the %d recipients' keys opens the image key of %d bits", len(recipients), 8*size)
}

// parseRecipient reads a private key (PEM or DER), or the bytes of an AES key (raw or base64,
// as the key-wrap keys of mcu-tools/mcuboot are kept).
func parseRecipient(a format.Anchor) (any, error) {
	der := a.Bytes
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	} else if raw, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(der)); err == nil {
		der = raw
	}
	if n := len(der); n == 16 || n == 32 {
		return der, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if p, ok := key.(*ecdsa.PrivateKey); ok {
			return p.ECDH()
		}
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key.ECDH()
	}
	return nil, format.Wrap(format.ErrEncrypted, "recipient's key %s is no private key in PEM or DER, and no AES key of 16 or 32 bytes", a.From)
}

// unwrap returns the image key; nil where the TLV is not for this key.
func unwrap(t TLV, private any, size int) []byte {
	switch key := private.(type) {
	case *rsa.PrivateKey:
		if t.Type == TypeEncRSA {
			plain, _ := key.Decrypt(nil, t.Value, &rsa.OAEPOptions{Hash: crypto.SHA256})
			return plain
		}
	case []byte:
		if t.Type == TypeEncKW && len(key) == size {
			if plain, ok := format.UnwrapKey(key, t.Value); ok {
				return plain
			}
		}
	case *ecdh.PrivateKey:
		switch {
		case t.Type == TypeEncEC256 && key.Curve() == ecdh.P256():
			return unwrapECIES(key, t.Value, size, crypto.SHA256)
		case t.Type == TypeEncX25519 && key.Curve() == ecdh.X25519():
			return unwrapECIES(key, t.Value, size, crypto.SHA256)
		case t.Type == TypeEncX25519SHA && key.Curve() == ecdh.X25519():
			return unwrapECIES(key, t.Value, size, crypto.SHA512)
		}
	}
	return nil
}

// unwrapECIES takes ephemeral public key, MAC, wrapped key (boot/bootutil/src/encrypted.c).
func unwrapECIES(key *ecdh.PrivateKey, b []byte, size int, hash crypto.Hash) []byte {
	point := len(key.PublicKey().Bytes())
	if len(b) != point+hash.Size()+size {
		return nil
	}
	ephemeral, err := key.Curve().NewPublicKey(b[:point])
	if err != nil {
		return nil
	}
	shared, err := key.ECDH(ephemeral)
	if err != nil {
		return nil
	}
	derived, err := hkdf.Key(hash.New, shared, nil, "MCUBoot_ECIES_v1", size+hash.Size())
	if err != nil {
		return nil
	}
	mac, wrapped := b[point:point+hash.Size()], bytes.Clone(b[point+hash.Size():])
	want := hmac.New(hash.New, derived[size:])
	want.Write(wrapped)
	if !hmac.Equal(mac, want.Sum(nil)) || countUp(derived[:size], wrapped) != nil {
		return nil
	}
	return wrapped
}
