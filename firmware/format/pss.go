package format

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math/big"
)

// SignOtherSalt signs a digest by RSA-PSS with another salt than the length of the digest,
// for devices that take any: none at all, which the standard library does not make; 20
// bytes where the key does not lie open. It returns the length.
func SignOtherSalt(key crypto.Signer, hash crypto.Hash, digest []byte) (signature []byte, salt int, err error) {
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		const other = 20
		signature, err = key.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: other, Hash: hash})
		return signature, other, err
	}
	// EMSA-PSS of RFC 8017 section 9.1.1 with an empty salt.
	bits := private.N.BitLen() - 1
	size := (bits + 7) / 8
	if len(digest) != hash.Size() || size < 2*hash.Size()+2 {
		return nil, 0, fmt.Errorf("digest of %d bytes under a modulus of %d bits", len(digest), bits+1)
	}
	h := hash.New()
	h.Write(make([]byte, 8))
	h.Write(digest)
	sum := h.Sum(nil)
	encoded := make([]byte, size)
	block := encoded[:size-len(sum)-1]
	block[len(block)-1] = 1
	mask(block, hash, sum)
	block[0] &= 0xff >> (8*size - bits)
	copy(encoded[len(block):], sum)
	encoded[size-1] = 0xbc
	s := new(big.Int).Exp(new(big.Int).SetBytes(encoded), private.D, private.N)
	return s.FillBytes(make([]byte, private.Size())), 0, nil
}

// mask applies MGF1 of RFC 8017 appendix B.2.1.
func mask(block []byte, hash crypto.Hash, seed []byte) {
	var counter uint32
	for len(block) > 0 {
		h := hash.New()
		h.Write(binary.BigEndian.AppendUint32(bytes.Clone(seed), counter))
		for _, c := range h.Sum(nil)[:min(len(block), hash.Size())] {
			block[0] ^= c
			block = block[1:]
		}
		counter++
	}
}

// FitsPSS is EMSA-PSS verification (RFC 8017 sections 8.1.2 and 9.1.2) with exactly that salt length,
// none at all as well, and with a mask of its own hash; the standard library takes neither. What
// is verified is public, so no care is taken to be constant in time.
func FitsPSS(key *rsa.PublicKey, hash, maskHash crypto.Hash, salt int, digest, signature []byte) bool {
	bits := key.N.BitLen() - 1
	size := (bits + 7) / 8
	s := new(big.Int).SetBytes(signature)
	if len(signature) != key.Size() || s.Cmp(key.N) >= 0 || key.E < 3 || key.E%2 == 0 ||
		len(digest) != hash.Size() || salt < 0 || size < hash.Size()+salt+2 {
		return false
	}
	m := new(big.Int).Exp(s, big.NewInt(int64(key.E)), key.N)
	if m.BitLen() > 8*size {
		return false
	}
	encoded := m.FillBytes(make([]byte, size))
	block, sum := encoded[:size-hash.Size()-1], encoded[size-hash.Size()-1:size-1]
	unused := byte(0xff) << (8 - (8*size - bits))
	if 8*size == bits {
		unused = 0
	}
	if encoded[size-1] != 0xbc || block[0]&unused != 0 {
		return false
	}
	mask(block, maskHash, sum)
	block[0] &^= unused
	filling := len(block) - salt - 1
	if !bytes.Equal(block[:filling], make([]byte, filling)) || block[filling] != 1 {
		return false
	}
	h := hash.New()
	h.Write(make([]byte, 8))
	h.Write(digest)
	h.Write(block[filling+1:])
	return bytes.Equal(h.Sum(nil), sum)
}
