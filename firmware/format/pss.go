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
