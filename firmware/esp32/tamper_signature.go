package esp32

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"slices"

	"assay/firmware/format"
)

// The variants of contents and signature.

func (d *draft) tampered() error {
	if err := d.flip(); err != nil {
		return err
	}
	d.repairImage()
	d.repairBlocks()
	d.expect(format.LayerSignature, format.ErrBadSignature, "every checksum fits, the signature is of another image")
	return nil
}

func (d *draft) plain() error {
	d.expect(format.LayerHash, format.ErrBadHash, "the XOR checksum of the segments is wrong, and so is all behind it")
	return d.flip()
}

// headerFlip changes the drive strength of a flash pin, which devices read from eFuses.
func (d *draft) headerFlip() error {
	const at = 9
	d.Bytes[at] ^= 1
	d.changed("lowest bit of the header byte at offset %d (drive of the SPI pins)", at)
	d.repairImage()
	d.repairBlocks()
	d.expect(format.LayerSignature, format.ErrBadSignature, "the header is part of what is signed")
	return nil
}

func (d *draft) signatureFlip() error {
	d.expect(format.LayerSignature, format.ErrBadSignature, "the signature does not fit")
	if d.img.v1 != nil {
		at := len(d.Bytes) - 1
		d.Bytes[at] ^= 1
		d.changed("lowest bit of s at offset %d", at)
		return nil
	}
	d.eachBlock(func(b block, raw []byte) {
		at := rsaSigAt
		if b.raw[1] == blockECDSA {
			at = 2 + len(b.key) + b.hash.Size() + 2
		}
		raw[at] ^= 1
		d.changed("lowest bit of the signature of %s at offset %d", b.place(), d.offset(b, at))
	})
	return nil
}

// trailerFlip changes what stands beside the signature: the numbers that the hardware
// computes with, or the image digest.
func (d *draft) trailerFlip() error {
	if d.img.v1 != nil {
		d.Bytes[d.img.covered] ^= 1
		d.changed("lowest bit of the signature version at offset %d", d.img.covered)
		d.expect(format.LayerStructure, format.ErrMalformed, "the signature has another version than 0")
		return nil
	}
	ecdsaToo := slices.ContainsFunc(d.img.blocks, func(b block) bool { return b.err == nil && b.raw[1] == blockECDSA })
	d.eachBlock(func(b block, raw []byte) {
		at, what := rsaKeyAt+rsaSize+4, "precomputed R"
		if ecdsaToo {
			at, what = digestAt, "image digest"
		}
		raw[at] ^= 1
		d.changed("lowest bit of the %s of %s at offset %d", what, b.place(), d.offset(b, at))
	})
	if ecdsaToo {
		d.expect(format.LayerHash, format.ErrBadHash, "the block is of an image with another digest")
		return nil
	}
	d.expect(format.LayerTrust, format.ErrNoTrustedKey,
		"the eFuse digest covers n, e, R and M': the key is another; espsecure, which does not look at R, takes it")
	return nil
}

func (d *draft) unsigned() error {
	d.expect(format.LayerSignature, format.ErrUnsigned, "there is no signature")
	if d.img.v1 != nil {
		d.Bytes = d.Bytes[:d.img.covered]
		d.changed("signature of secure boot v1 at offset %d removed", d.img.covered)
		return nil
	}
	d.Bytes = append(d.Bytes[:d.img.covered], fill([]byte{0xff}, sectorSize)...)
	d.changed("signature sector at offset %d erased", d.img.covered)
	return nil
}

// duplicate puts a stranger's signature of a changed image before the maker's of the
// genuine one, for devices that check the key of one and the signature of another.
func (d *draft) duplicate() error {
	if len(d.img.blocks) == maxBlocks {
		return notApplicable("all slots of the signature sector are taken")
	}
	stranger, err := d.stranger()
	if err != nil {
		return err
	}
	if err := d.flip(); err != nil {
		return err
	}
	d.repairImage()
	genuine := slices.Clone(d.Bytes[d.img.covered:])
	if err := d.sign(stranger); err != nil {
		return err
	}
	if d.img.v1 != nil {
		d.Bytes = append(d.Bytes, genuine...)
		d.changed("a stranger's signature at offset %d, the maker's behind it", d.img.covered)
		d.expect(format.LayerStructure, format.ErrTrailing, "two signatures of secure boot v1 behind one image")
		return nil
	}
	to := d.Bytes[d.img.covered+blockSize:]
	for _, b := range d.img.blocks {
		if b.err == nil {
			to = to[copy(to, b.raw):]
		}
	}
	d.changed("a stranger's block over the changed image in slot 0, the maker's of the genuine image behind it")
	d.expect(format.LayerPayload, format.ErrBadHash, "the trusted block is of an image with another digest, the other block is of an unknown key")
	return nil
}

func (d *draft) wrongKey() error {
	stranger, err := d.stranger()
	if err != nil {
		return err
	}
	d.changed("signature made by a fresh key of the same kind")
	d.expect(format.LayerTrust, format.ErrNoTrustedKey, "the eFuses hold no digest of that key")
	if d.img.v1 != nil {
		d.expect(format.LayerSignature, format.ErrBadSignature, "the signature is not of the key in the bootloader")
	} else {
		d.changed("the block carries the fresh key")
	}
	return d.sign(stranger)
}

func (d *draft) forged() error {
	if d.img.v1 != nil {
		return notApplicable("a signature of secure boot v1 names no key")
	}
	for _, b := range d.img.blocks {
		if b.err != nil {
			continue
		}
		stranger, err := strangerTo(b.public)
		if err != nil {
			return err
		}
		raw, err := signBlock(d.Bytes[:d.img.covered], stranger)
		if err != nil {
			return err
		}
		at := digestAt + b.hash.Size()
		copy(raw[at:], b.key)
		copy(d.Bytes[d.offset(b, 0):], sealed(raw))
		d.changed("%s signed by a fresh key of the same kind, key fields at offset %d still the maker's", b.place(), d.offset(b, at))
		d.repaired("crc-32 of %s", b.place())
	}
	d.expect(format.LayerSignature, format.ErrBadSignature, "the signature is not of the key beside it")
	return nil
}

// otherAlgorithm calls the blocks what they are not, in the words of the format.
func (d *draft) otherAlgorithm() error {
	if d.img.v1 != nil {
		stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		d.Bytes, err = signV2(fill(d.Bytes[:d.img.covered], sectorSize), stranger)
		d.changed("a signature sector of secure boot v2 by a fresh key in the place of the signature of v1")
		d.expect(format.LayerTrust, format.ErrNoTrustedKey, "the key is unknown, by whatever scheme")
		return err
	}
	d.eachBlock(func(b block, raw []byte) {
		if b.raw[1] == blockECDSA {
			raw[1] = blockRSA
			d.changed("%s called one of rsa at offset %d", b.place(), d.offset(b, 1))
			return
		}
		const p256 = 2
		raw[1], raw[rsaKeyAt] = blockECDSA, p256
		d.changed("%s called one of ecdsa on P-256 at offsets %d and %d", b.place(), d.offset(b, 1), d.offset(b, rsaKeyAt))
	})
	d.expect(format.LayerStructure, format.ErrMalformed, "the key fields hold no key of that algorithm")
	return nil
}

// downgrade signs the genuine image by the scheme of older chips, with a fresh key.
func (d *draft) downgrade() error {
	b, ok := d.first()
	if !ok {
		return notApplicable("secure boot v1 is the oldest scheme")
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	d.Bytes, err = signV1(d.Bytes[:d.img.end], stranger)
	d.changed("a signature of secure boot v1 by a fresh key at offset %d in the place of the signature sector", d.img.end)
	d.expect(format.LayerSignature, format.ErrAlgorithm, "a device with secure boot v2 does not know the older scheme")
	if _, also := b.public.(*ecdsa.PublicKey); also && b.hash == crypto.SHA256 && d.img.header.chip == ChipESP32 {
		d.expect(format.LayerSignature, format.ErrBadSignature, "neither the older scheme nor the key is the device's")
	}
	return err
}

func (d *draft) zero() error {
	if b, ok := d.first(); ok && b.raw[1] == blockRSA {
		return notApplicable("it is signed by RSA")
	}
	if err := d.tampered(); err != nil {
		return err
	}
	d.changed("r and s set to 0")
	d.Manifest.Classic = "Espressif AR2026-006, CVE-2022-21449"
	d.expect(format.LayerSignature, format.ErrBadSignature, "r and s must be from 1 to n-1")
	if d.img.v1 != nil {
		clear(d.Bytes[d.img.covered+4:])
		return nil
	}
	d.eachBlock(func(b block, raw []byte) { clear(raw[2+len(b.key)+b.hash.Size()+2 : crcAt]) })
	return nil
}

// salt signs with the maker's key and another salt length, for devices that take any.
func (d *draft) salt() error {
	key, err := d.maker()
	if err != nil {
		return err
	}
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		return notApplicable("it is not signed by RSA")
	}
	if err := d.sign(key); err != nil {
		return err
	}
	digest := sha256.Sum256(d.Bytes[:d.img.covered])
	sig, length, err := format.SignOtherSalt(key, crypto.SHA256, digest[:])
	if err != nil {
		return err
	}
	raw := d.Bytes[d.img.covered : d.img.covered+blockSize]
	copy(raw[rsaSigAt:], bigEndian(sig))
	sealed(raw)
	d.changed("signature by the maker's key, RSA-PSS with a salt of %d bytes", length)
	d.repaired("crc-32 of signature block 0")
	d.expect(format.LayerSignature, format.ErrBadSignature, "the salt must have 32 bytes")
	return nil
}

// stranger makes a key of the kind that signed the image.
func (d *draft) stranger() (crypto.Signer, error) {
	if b, ok := d.first(); ok {
		return strangerTo(b.public)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func strangerTo(public crypto.PublicKey) (crypto.Signer, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return rsa.GenerateKey(rand.Reader, 8*rsaSize)
	case *ecdsa.PublicKey:
		return ecdsa.GenerateKey(p.Curve, rand.Reader)
	}
	return GenerateP192()
}
