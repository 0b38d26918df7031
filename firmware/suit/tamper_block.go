package suit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"

	"github.com/fxamacker/cbor/v2"

	"assay/firmware/format"
)

type rawItem = cbor.RawMessage

const labelX5Chain int64 = 33 // RFC 9360

// editBlock changes the parts of a COSE_Sign1 or COSE_Mac0 in their encoding.
func (w *work) editBlock(edit func(parts []rawItem) error) error {
	b := w.d.blocks[0]
	_, tag, n, err := head(b)
	if err != nil {
		return err
	}
	if tag != tagSign1 && tag != tagMac0 {
		return format.Wrap(format.ErrNotApplicable, "the first block is a %s", w.img.blocks[0].name())
	}
	parts, err := asList(b[n:])
	if err != nil {
		return err
	}
	if err := edit(parts); err != nil {
		return err
	}
	w.d.blocks = [][]byte{encode(cbor.RawTag{Number: tag, Content: encode(parts)})}
	return nil
}

func (w *work) editSignature(edit func([]byte) []byte) error {
	return w.editBlock(func(parts []rawItem) error {
		sig, err := asBytes(parts[3])
		if err == nil && len(sig) == 0 {
			err = format.Wrap(format.ErrNotApplicable, "the signature is empty")
		}
		if err != nil {
			return err
		}
		parts[3] = encode(edit(sig))
		return nil
	})
}

func (w *work) signatureFlip() error {
	_ = w.say("lowest bit of the signature's last byte")
	return w.editSignature(func(sig []byte) []byte {
		sig[len(sig)-1] ^= 1
		return sig
	})
}

func (w *work) truncatedSignature() error {
	_ = w.say("last byte of the signature removed")
	w.repaired("lengths")
	return w.editSignature(func(sig []byte) []byte { return sig[:len(sig)-1] })
}

func (w *work) unsigned() error {
	w.d.blocks = nil
	w.repaired("lengths")
	return w.say("authentication blocks removed")
}

func (w *work) unsignedBare() error {
	w.d.noWrap = true
	w.repaired("number of members")
	return w.say("authentication wrapper removed")
}

// wrongKey signs with a fresh key of the same kind: under the maker's key id, or under
// its own with a certificate, for devices that believe what the image brings along.
func (w *work) wrongKey(forged bool) error {
	_ = w.say("block made by a fresh key of the same kind")
	w.repaired("lengths")
	if w.img.blocks[0].tag == tagMac0 {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // does not fail
		w.d.blocks = [][]byte{macBlock(w.d.digest, secret)}
		return nil
	}
	stranger, err := freshKey(w.algorithm())
	if err != nil {
		return err
	}
	if forged {
		blk, err := signBlock(w.d.digest, stranger, w.keyID(), w.specific())
		w.d.blocks = [][]byte{blk}
		return err
	}
	alg, err := algorithmFor(stranger.Public(), w.specific())
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "firmware signing"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, stranger.Public(), stranger)
	if err != nil {
		return err
	}
	id := sha256.Sum256(cert)
	blk, err := coseBlock(tagSign1, map[int64]any{labelAlgorithm: alg}, map[int64]any{labelKeyID: id[:], labelX5Chain: cert},
		func(m []byte) ([]byte, error) { return signMessage(m, alg, stranger) }, w.d.digest)
	w.d.blocks = [][]byte{blk}
	_ = w.say("kid and x5chain are those of the fresh key")
	return err
}

func freshKey(alg int64) (crypto.Signer, error) {
	s, ok := schemeOf(alg)
	switch {
	case ok && s.curve == 256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ok && s.curve == 384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ok && s.curve == 521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case alg == algEdDSA, alg == algEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case ok && s.hash != 0 && s.curve == 0:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, format.Wrap(format.ErrNotApplicable, "no key is made for algorithm %d", alg)
}

// confused keys a MAC with the maker's public key: a device that chooses the check by the
// image's word takes it.
func (w *work) confused() error {
	if w.means.Signer == nil {
		return format.Wrap(format.ErrNotApplicable, "needs the maker's key, for its public half")
	}
	if w.img.blocks[0].tag == tagMac0 {
		return format.Wrap(format.ErrNotApplicable, "it is a MAC already")
	}
	spki, err := x509.MarshalPKIXPublicKey(w.means.Signer.Public())
	if err != nil {
		return err
	}
	w.d.blocks = [][]byte{macBlock(w.d.digest, spki)}
	w.repaired("lengths")
	return w.say("block is a COSE_Mac0 keyed with the SubjectPublicKeyInfo")
}

func (w *work) algorithmNone() error {
	blk, err := coseBlock(tagSign1, map[int64]any{labelAlgorithm: 0}, nil, func([]byte) ([]byte, error) { return []byte{}, nil }, w.d.digest)
	w.d.blocks = [][]byte{blk}
	w.repaired("lengths")
	_ = w.say("algorithm 0, empty signature")
	return err
}

// signer is the maker's key, or a fresh one where the variant must be refused before any signature is looked at.
func (w *work) signer() (crypto.Signer, error) {
	if w.means.Signer != nil {
		return w.means.Signer, nil
	}
	return freshKey(w.algorithm())
}

func (w *work) algorithmUnprotected() error {
	key, err := w.signer()
	if err != nil {
		return err
	}
	alg, err := algorithmFor(key.Public(), w.specific())
	if err != nil {
		return err
	}
	w.repaired("lengths", "signature")
	_ = w.say("algorithm moved to the unprotected headers")
	blk := block{tag: tagSign1}
	sig, err := signMessage(blk.toBeSigned(signer{}, w.d.digest), alg, key)
	w.d.blocks = [][]byte{encode(cbor.Tag{Number: tagSign1, Content: []any{[]byte{}, map[int64]any{labelAlgorithm: alg}, nil, sig}})}
	return err
}

func (w *work) unknownCritical() error {
	if w.means.Signer == nil {
		return format.Wrap(format.ErrNotApplicable, "needs the maker's signing key")
	}
	alg, err := algorithmFor(w.means.Signer.Public(), w.specific())
	if err != nil {
		return err
	}
	const private = -70001
	protected := map[int64]any{labelAlgorithm: alg, labelCritical: []int64{private}, private: "not before tomorrow"}
	blk, err := coseBlock(tagSign1, protected, nil, func(m []byte) ([]byte, error) { return signMessage(m, alg, w.means.Signer) }, w.d.digest)
	w.d.blocks = [][]byte{blk}
	w.repaired("signature, by the maker's key")
	_ = w.say("crit names the private header %d", private)
	return err
}

// attachedPayload changes the manifest and its digest, and lets the genuine block bring
// along the digest that it signs.
func (w *work) attachedPayload() error {
	genuine := bytes.Clone(w.d.digest)
	n := w.img.manifest.sequence + 1
	if err := w.setSequence(n); err != nil {
		return err
	}
	_ = w.say("sequence number is %d; the block carries the genuine digest", n)
	if err := w.redigest(); err != nil {
		return err
	}
	return w.editBlock(func(parts []rawItem) error {
		parts[2] = encode(genuine)
		return nil
	})
}

func (w *work) weakDigest() error {
	if w.img.blocks[0].tag == tagMac0 || w.means.Signer == nil {
		return w.resign() // which says what is missing
	}
	w.repaired("lengths")
	sum := sha256.Sum256(encode(w.d.manifest))
	w.d.digest = Digest{-15, sum[:8]}.encode()
	_ = w.say("SUIT_Digest is SHA-256/64")
	return w.sign()
}
