package esp32

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/big"
	"slices"

	"assay/firmware/format"
)

// The signature block of Secure Boot V2 (espsecure: generate_rsa_signature_block,
// generate_ecdsa_signature_block).
const (
	blockMagic = 0xe7
	blockRSA   = 2
	blockECDSA = 3
	blockSize  = 1216
	maxBlocks  = 3
	crcAt      = 1196

	digestAt = 4
	rsaSize  = 384 // bytes of modulus and signature
	rsaKeyAt = digestAt + 32
	rsaKey   = rsaSize + 4 + rsaSize + 4 // n, e, R, M'
	rsaSigAt = rsaKeyAt + rsaKey

	sha256ID = 0
	sha384ID = 1
)

// A curve is what an ECDSA block says about its key.
type curve struct {
	id     byte // in the block and in the eFuse digest
	hashID byte
	hash   crypto.Hash
	name   string
	size   int // bytes of a coordinate
	field  int // bytes that a point, or r and s, fill up to
}

func curves() []curve {
	return []curve{
		{1, sha256ID, crypto.SHA256, "ecdsa-p192", 24, 64},
		{2, sha256ID, crypto.SHA256, "ecdsa-p256", 32, 64},
		{3, sha384ID, crypto.SHA384, "ecdsa-p384", 48, 96},
	}
}

// The places of an ECDSA block follow from its hash: digest, curve id, point, r and s.
func (c curve) keyAt() int { return digestAt + c.hash.Size() }
func (c curve) sigAt() int { return c.keyAt() + 1 + c.field }

// A block is one signature block. A slot that does not hold a good one has err set and
// counts for nothing.
type block struct {
	slot   int // 0 to 2
	raw    []byte
	err    error
	public crypto.PublicKey // nil if err
	scheme string           // rsa-3072-pss-sha256
	hash   crypto.Hash
	key    []byte // the bytes that the eFuse digest is made of
	sig    []byte
	rest   bool // reserved bytes are not zero
}

// place names the block as espsecure counts.
func (b block) place() string { return fmt.Sprintf("signature block %d", b.slot) }

// digest is the image digest that the block claims.
func (b block) digest() []byte { return b.raw[digestAt : digestAt+b.hash.Size()] }

// keyDigest is what a device has in its eFuses.
func (b block) keyDigest() [hashSize]byte { return sha256.Sum256(b.key) }

func parseBlock(slot int, raw []byte) block {
	b := block{slot: slot, raw: raw}
	if raw[0] != blockMagic {
		b.err = format.Wrap(format.ErrUnsigned, "%s begins with 0x%02x, want 0x%02x", b.place(), raw[0], blockMagic)
		return b
	}
	if got, want := binary.LittleEndian.Uint32(raw[crcAt:]), crc32.ChecksumIEEE(raw[:crcAt]); got != want {
		b.err = format.Wrap(format.ErrBadHash, "crc-32 of %s is %08x, its bytes have %08x", b.place(), got, want)
		return b
	}
	switch raw[1] {
	case blockRSA:
		b.parseRSA()
	case blockECDSA:
		b.parseECDSA()
	default:
		b.err = format.Wrap(format.ErrAlgorithm, "%s is of version %d, want %d (rsa) or %d (ecdsa)", b.place(), raw[1], blockRSA, blockECDSA)
	}
	return b
}

func (b *block) parseRSA() {
	b.hash, b.scheme = crypto.SHA256, "rsa-3072-pss-sha256"
	b.key, b.sig = b.raw[rsaKeyAt:rsaSigAt], bigEndian(b.raw[rsaSigAt:crcAt])
	n := new(big.Int).SetBytes(bigEndian(b.key[:rsaSize]))
	e := binary.LittleEndian.Uint32(b.key[rsaSize:])
	if n.BitLen() != 8*rsaSize || n.Bit(0) == 0 || e < 3 || e%2 == 0 || e > 1<<31-1 {
		b.err = format.Malformed("rsa key of %s has %d bits and exponent %d, want 3072 bits", b.place(), n.BitLen(), e)
		return
	}
	b.public = &rsa.PublicKey{N: n, E: int(e)}
	b.rest = !zero(b.raw[2:4]) || !zero(b.raw[crcAt+4:])
}

func (b *block) parseECDSA() {
	// Hash and curve go together; a curve under the other hash would move the fields.
	i := slices.IndexFunc(curves(), func(c curve) bool {
		return c.hashID == b.raw[2] && c.id == b.raw[c.keyAt()]
	})
	if i < 0 {
		b.err = format.Wrap(format.ErrAlgorithm, "%s has hash id %d and curve ids %d or %d: no known pair", b.place(), b.raw[2],
			b.raw[curves()[0].keyAt()], b.raw[curves()[2].keyAt()])
		return
	}
	c := curves()[i]
	b.hash, b.scheme = c.hash, c.name+map[byte]string{sha256ID: "-sha256", sha384ID: "-sha384"}[c.hashID]
	b.key, b.sig = b.raw[c.keyAt():c.sigAt()], b.raw[c.sigAt():c.sigAt()+c.field]
	point := b.key[1:]
	public, err := c.parsePoint(bigEndian(point[:c.size]), bigEndian(point[c.size:2*c.size]))
	if err != nil || !zero(point[2*c.size:]) {
		b.err = format.Malformed("%s has no point of %s", b.place(), c.name)
		return
	}
	b.public = public
	b.rest = b.raw[3] != 0 || !zero(b.sig[2*c.size:]) || !zero(b.raw[c.sigAt()+c.field:crcAt]) || !zero(b.raw[crcAt+4:])
	b.sig = b.sig[:2*c.size]
}

// parsePoint makes a public key of big endian coordinates; a point off the curve is refused.
func (c curve) parsePoint(x, y []byte) (crypto.PublicKey, error) {
	if c.size == p192Size {
		return newP192(x, y)
	}
	ec := elliptic.P256()
	if c.size == 48 {
		ec = elliptic.P384()
	}
	return ecdsa.ParseUncompressedPublicKey(ec, slices.Concat([]byte{4}, x, y))
}

// fits checks the signature of the block over an image digest.
func (b block) fits(digest []byte) bool {
	switch p := b.public.(type) {
	case *rsa.PublicKey:
		// The ROM fixes the salt to 32 bytes; the standard library would else take any.
		return rsa.VerifyPSS(p, b.hash, digest, b.sig, &rsa.PSSOptions{SaltLength: hashSize, Hash: b.hash}) == nil
	case *ecdsa.PublicKey:
		return fitsECDSA(p, digest, bigEndian(b.sig[:len(b.sig)/2]), bigEndian(b.sig[len(b.sig)/2:]))
	case *P192PublicKey:
		return p.fits(digest, bigEndian(b.sig[:p192Size]), bigEndian(b.sig[p192Size:]))
	}
	return false
}

// efuseKey writes a public key as a block carries it and as the eFuse digest covers it.
func efuseKey(public crypto.PublicKey) ([]byte, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() != 8*rsaSize {
			return nil, format.Wrap(format.ErrAlgorithm, "rsa key of %d bits, secure boot v2 takes 3072", p.N.BitLen())
		}
		return efuseRSA(p), nil
	case *P192PublicKey:
		return efusePoint(curves()[0], p.bytes()), nil
	case *ecdsa.PublicKey:
		for _, c := range curves()[1:] {
			if p.Curve.Params().BitSize == 8*c.size {
				b, err := p.Bytes()
				return efusePoint(c, b), err
			}
		}
		return nil, format.Wrap(format.ErrAlgorithm, "%s is no curve of secure boot", p.Curve.Params().Name)
	}
	return nil, format.Wrap(format.ErrAlgorithm, "secure boot knows no signature by a %T", public)
}

// efuseRSA writes n, e, R = 2^6144 mod n and M' = -1/n mod 2^32.
func efuseRSA(p *rsa.PublicKey) []byte {
	r := new(big.Int).Lsh(big.NewInt(1), 2*8*rsaSize)
	word := new(big.Int).Lsh(big.NewInt(1), 32)
	m := new(big.Int).ModInverse(p.N, word)
	m.Sub(word, m)
	b := make([]byte, 0, rsaKey)
	b = append(b, littleEndian(p.N, rsaSize)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.E))
	b = append(b, littleEndian(r.Mod(r, p.N), rsaSize)...)
	return binary.LittleEndian.AppendUint32(b, uint32(m.Uint64()))
}

// efusePoint writes the curve id and the point, given uncompressed, in its field.
func efusePoint(c curve, uncompressed []byte) []byte {
	b := make([]byte, 1+c.field)
	b[0] = c.id
	copy(b[1:], bigEndian(uncompressed[1:1+c.size]))
	copy(b[1+c.size:], bigEndian(uncompressed[1+c.size:]))
	return b
}

func littleEndian(n *big.Int, size int) []byte { return bigEndian(n.FillBytes(make([]byte, size))) }

// bigEndian turns bytes round, either way.
func bigEndian(b []byte) []byte {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return b
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }
