package detached

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgpecdsa "github.com/ProtonMail/go-crypto/openpgp/ecdsa"
	pgped25519 "github.com/ProtonMail/go-crypto/openpgp/ed25519"
	pgpeddsa "github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// standardKey is the key as the standard library knows it.
func standardKey(k *packet.PublicKey) (crypto.PublicKey, bool) {
	switch p := k.PublicKey.(type) {
	case *rsa.PublicKey:
		return p, true
	case *pgpecdsa.PublicKey:
		point := p.MarshalPoint()
		for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
			if own, err := ecdsa.ParseUncompressedPublicKey(curve, point); err == nil {
				return own, true
			}
		}
	case *pgpeddsa.PublicKey:
		return ed25519.PublicKey(p.X), len(p.X) == ed25519.PublicKeySize
	case *pgped25519.PublicKey:
		return ed25519.PublicKey(p.Point), len(p.Point) == ed25519.PublicKeySize
	}
	return nil, false
}

// maxRing is the largest key ring.
const maxRing = 4 << 20

var errPrivate = errors.New("it holds private keys: give their public halves")

// readKeyRing reads public keys, armored or binary.
func readKeyRing(b []byte) (openpgp.EntityList, error) {
	if len(b) > maxRing || len(b) < 8 {
		return nil, lineError("no key ring")
	}
	var list openpgp.EntityList
	var err error
	switch text := bytes.TrimSpace(b); {
	case bytes.HasPrefix(text, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")):
		list, err = openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	case bytes.HasPrefix(text, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")):
		return nil, errPrivate
	case b[0]&0xc0 == 0xc0 && b[0]&0x3f == 6, b[0]&0xc0 == 0x80 && b[0]>>2&0xf == 6:
		list, err = openpgp.ReadKeyRing(bytes.NewReader(b))
	default:
		return nil, lineError("no key ring")
	}
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.PrivateKey != nil {
			return nil, errPrivate
		}
	}
	return list, nil
}
