// Package rauc tells whether a RAUC bundle (plain, verity, crypt) is what its maker
// signed: a strict reader of tail, signature and manifest, a verifier of the CMS signature,
// its chain and the dm-verity tree under it, a writer of bundles, and the rules by which a
// device refuses a genuine one. It never takes trust from the bundle and mounts nothing.
package rauc

import (
	"encoding/binary"
	"fmt"

	"assay/firmware/cms"
	"assay/firmware/format"
)

const name = "rauc"

// Numbers of the format: src/bundle.c and src/verity_hash.c of rauc/rauc. Integers of the
// bundle itself are big endian, those of squashfs little endian.
const (
	blockSize     = 4096 // payload and tree are multiples of it
	tailSize      = 8    // bytes behind the signature that say how long it is
	hashSize      = 32   // SHA-256
	hashesInBlock = blockSize / hashSize

	maxSignature = 64 << 10 // RAUC's own limit
)

// A Kind is one of the three bundle formats.
type Kind string

// The bundle formats.
const (
	Plain  Kind = "plain"  // the signature is over the whole payload
	Verity Kind = "verity" // over the manifest, which holds the root of a hash tree over the payload
	Crypt  Kind = "crypt"  // verity over an encrypted payload
)

// Format describes RAUC to the front door.
func Format() format.Format {
	return format.Format{
		Name:   name,
		Detect: detect,
		OpenUnverified: func(in format.Input) (format.Image, error) {
			b, err := OpenUnverified(in.Source)
			if err != nil {
				return nil, err // a nil *Bundle in an interface would not be nil
			}
			return b, nil
		},
		Compare:  compareVersions,
		Variants: variants(),
	}
}

// A Bundle is one parsed bundle. Nothing of it is verified.
type Bundle struct {
	source    format.Source
	payload   int64 // bytes before the signature: data, and the tree where there is one
	signature []byte
	message   *cms.Message // nil where there is no signature, or an enveloped one
	enveloped bool         // the signature is encrypted for recipients
	unwrapped bool         // it was, and has been decrypted
	manifest  *Manifest    // of verity and crypt; of plain as far as it can be read, else nil
	problem   error        // why the manifest of a plain bundle cannot be read
}

// detect knows a bundle by a CMS message that ends where the size field says, or by a
// squashfs with something behind it.
func detect(in format.Input) bool {
	size := in.Size()
	tail, err := in.Bytes(size-tailSize, tailSize)
	if err != nil {
		return false
	}
	if n := binary.BigEndian.Uint64(tail); n > 0 && n <= uint64(size-tailSize) {
		if head, err := in.Bytes(size-tailSize-int64(n), min(int64(n), 24)); err == nil && (cms.Looks(head) || cms.LooksEnveloped(head)) {
			return true
		}
	}
	head, err := in.Bytes(0, 96)
	if err != nil || string(head[:4]) != squashfsMagic {
		return false
	}
	used := binary.LittleEndian.Uint64(head[40:])
	return used < uint64(size) && uint64(size)-used >= tailSize && size%blockSize != 0
}

// OpenUnverified parses the bundle and believes nothing. It keeps the source.
func OpenUnverified(in format.Source) (*Bundle, error) {
	b, err := parse(in)
	if err != nil {
		return nil, fmt.Errorf("open rauc bundle: %w", err)
	}
	return b, nil
}

func parse(in format.Source) (*Bundle, error) {
	if in.Size() == 0 {
		return nil, format.Malformed("the file is empty")
	}
	tail, err := in.Bytes(in.Size()-tailSize, tailSize)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint64(tail)
	if size > uint64(in.Size()-tailSize) {
		return nil, format.Malformed("signature size %d, the file has %d bytes before the size field", size, in.Size()-tailSize)
	}
	if size > maxSignature {
		return nil, format.Malformed("signature size %d, at most %d are allowed", size, maxSignature)
	}
	b := &Bundle{source: in, payload: in.Size() - tailSize - int64(size)}
	if b.payload == 0 || b.payload%blockSize != 0 {
		return nil, format.Malformed("payload of %d bytes, want a multiple of %d", b.payload, blockSize)
	}
	if size == 0 {
		b.readInner()
		return b, nil
	}
	if b.signature, err = in.Bytes(b.payload, int64(size)); err != nil {
		return nil, err
	}
	if cms.LooksEnveloped(b.signature) {
		b.enveloped = true
		return b, nil
	}
	if b.message, err = cms.Parse(b.signature); err != nil {
		return nil, err
	}
	if b.message.Detached {
		b.readInner()
		return b, nil
	}
	return b, b.readOuter()
}

// readOuter reads the manifest that the signature carries.
func (b *Bundle) readOuter() error {
	m, err := ParseManifest(b.message.Content)
	if err != nil {
		return err
	}
	if m.Kind != Verity && m.Kind != Crypt {
		return format.Malformed("a manifest of format %q in the signature, which has verity and crypt only", m.Kind)
	}
	b.manifest = m
	return m.checkTree(b.payload)
}

// readInner reads the manifest of a plain bundle out of its squashfs. What is wrong with it
// is told when the signature has been found good: until then the payload is a stranger's.
func (b *Bundle) readInner() {
	text, err := readSquashfsFile(format.NewSource(b.source.Section(0, b.payload), b.payload), "manifest.raucm")
	if err != nil {
		b.problem = err
		return
	}
	m, err := ParseManifest(text)
	switch {
	case err != nil:
		b.problem = err
	case m.Kind != Plain || m.VerityHash != nil || m.VeritySalt != nil || m.VeritySize != 0 || m.CryptKey != "":
		b.problem = format.Malformed("a manifest of format %q inside the payload, which has plain only", m.Kind)
	default:
		b.manifest = m
	}
}

// Kind tells the bundle format by what the signature carries; an encrypted signature can only be crypt's.
func (b *Bundle) Kind() Kind {
	switch {
	case b.enveloped:
		return Crypt
	case b.message != nil && !b.message.Detached:
		return b.manifest.Kind
	}
	return Plain
}

// Manifest is what the bundle says about itself; nil where it cannot be read.
func (b *Bundle) Manifest() *Manifest { return b.manifest }

// dataSize is the payload without the hash tree.
func (b *Bundle) dataSize() int64 {
	if b.Kind() == Plain || b.manifest == nil {
		return b.payload
	}
	return b.payload - b.manifest.VeritySize
}
