package esp32

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"assay/firmware/format"
)

// tamperLimit is more than the flash of any chip of the family.
const tamperLimit = 256 << 20

// Tamper makes a variant of the image that a good device refuses.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	d := &draft{img: img, means: means}
	d.Manifest.Format, d.Manifest.Variant = name, variant
	if err := d.make(variant); err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of %s: %w", variant, img.label(), err)
	}
	return d.Variant, nil
}

// A draft is a variant in the making. Bytes begins as a copy of the image.
type draft struct {
	format.Variant
	img   *Image
	means format.Means
}

func recipes() map[string]func(*draft) error {
	return map[string]func(*draft) error{
		format.Tampered: (*draft).tampered, format.TamperedPlain: (*draft).plain,
		format.HeaderFlip: (*draft).headerFlip, format.SignatureFlip: (*draft).signatureFlip, format.TrailerFlip: (*draft).trailerFlip,
		format.Unsigned: (*draft).unsigned, format.DuplicateSignature: (*draft).duplicate,
		format.WrongKey: (*draft).wrongKey, format.WrongKeyForged: (*draft).forged,
		format.AlgorithmConfusion: (*draft).otherAlgorithm, format.FormatDowngrade: (*draft).downgrade,
		format.ZeroSignature: (*draft).zero, format.SaltLength: (*draft).salt,
		format.Older: (*draft).older, format.OtherProduct: (*draft).otherProduct, format.OtherHardware: (*draft).otherHardware,
		format.TruncatedHeader: (*draft).cutHeader, format.TruncatedPayload: (*draft).cutPayload, format.TruncatedSignature: (*draft).cutSignature,
		format.Empty: (*draft).empty, format.Oversize: (*draft).oversize, format.TrailingData: (*draft).trailing,
		format.LengthLie: (*draft).lengthLie, format.MixAndMatch: (*draft).mix, format.Swapped: (*draft).swapped,
	}
}

func variants() []string {
	known := recipes()
	return format.InOrder(slices.Collect(maps.Keys(known))...)
}

func (d *draft) make(variant string) error {
	recipe := recipes()[variant]
	if recipe == nil {
		return format.ErrUnknownVariant
	}
	if d.img.claimedSignature() == "" {
		return format.Wrap(format.ErrNotApplicable, "it is not signed")
	}
	var err error
	if d.Bytes, err = d.img.src.Whole(tamperLimit); err != nil {
		return format.Wrap(format.ErrNotApplicable, "%v", err)
	}
	return recipe(d)
}

func (d *draft) changed(what string, args ...any) {
	d.Manifest.Changed = append(d.Manifest.Changed, fmt.Sprintf(what, args...))
}

func (d *draft) repaired(what string, args ...any) {
	d.Manifest.Repaired = append(d.Manifest.Repaired, fmt.Sprintf(what, args...))
}

// expect fills in how a good device answers.
func (d *draft) expect(layer format.Layer, reason error, sentence string, args ...any) {
	d.Manifest.Layer, d.Manifest.Reason, d.Manifest.Expected = layer, reason, fmt.Sprintf(sentence, args...)
}

func notApplicable(why string, args ...any) error {
	return format.Wrap(format.ErrNotApplicable, why, args...)
}

// flip changes one bit of a segment, where it is least likely to stop a device that runs it
// after all: amid the longest run of filling, else in the middle of the last segment.
func (d *draft) flip() error {
	best, length := int64(-1), 7
	for i, s := range d.img.segments {
		from, to := s.at, s.at+s.length
		if i == 0 && d.img.desc != nil {
			from += appDescSize
		}
		if from >= to {
			continue
		}
		if best < 0 || length <= 7 {
			best = from + (to-from)/2
		}
		if at, n := filling(d.Bytes[from:to]); n > length {
			best, length = from+at, n
		}
	}
	if best < 0 {
		return notApplicable("it has no payload but its description")
	}
	d.Bytes[best] ^= 1
	d.changed("lowest bit of the payload byte at offset %d", best)
	return nil
}

// filling is the middle of the longest run of 0x00 or 0xff, and how long that is.
func filling(b []byte) (at int64, length int) {
	for i := 0; i < len(b); {
		j := i + 1
		for j < len(b) && b[j] == b[i] {
			j++
		}
		if n := j - i; n > length && (b[i] == 0 || b[i] == 0xff) {
			at, length = int64(i+n/2), n
		}
		i = j
	}
	return at, length
}

// repairImage makes checksum and appended hash consistent.
func (d *draft) repairImage() {
	sum := byte(checksumSeed)
	for _, s := range d.img.segments {
		for _, c := range d.Bytes[s.at : s.at+s.length] {
			sum ^= c
		}
	}
	if d.Bytes[d.img.sumAt] != sum {
		d.Bytes[d.img.sumAt] = sum
		d.repaired("checksum byte at offset %d", d.img.sumAt)
	}
	if d.img.header.hashAppended {
		hash := sha256.Sum256(d.Bytes[:d.img.sumAt+1])
		copy(d.Bytes[d.img.sumAt+1:], hash[:])
		d.repaired("appended sha-256 at offset %d", d.img.sumAt+1)
	}
}

// repairBlocks makes image digest and CRC of the good blocks consistent.
func (d *draft) repairBlocks() {
	d.eachBlock(func(b block, raw []byte) {
		h := b.hash.New()
		h.Write(d.Bytes[:d.img.covered])
		copy(raw[digestAt:], h.Sum(nil))
		d.repaired("image digest of %s", b.place())
	})
}

// eachBlock edits the good blocks and makes their CRC consistent.
func (d *draft) eachBlock(edit func(b block, raw []byte)) {
	for _, b := range d.img.blocks {
		if b.err != nil {
			continue
		}
		at := d.img.covered + int64(b.slot)*blockSize
		raw := d.Bytes[at : at+blockSize]
		edit(b, raw)
		sealed(raw)
		d.repaired("crc-32 of %s", b.place())
	}
}

// offset is where a place of a block lies in the file.
func (d *draft) offset(b block, at int) int64 {
	return d.img.covered + int64(b.slot)*blockSize + int64(at)
}

// first is the first good block.
func (d *draft) first() (block, bool) {
	i := slices.IndexFunc(d.img.blocks, func(b block) bool { return b.err == nil })
	if i < 0 {
		return block{}, false
	}
	return d.img.blocks[i], true
}

// sign puts the signature of key in the place of all others.
func (d *draft) sign(key crypto.Signer) error {
	var err error
	if d.img.v1 != nil {
		d.Bytes, err = signV1(d.Bytes[:d.img.covered], key)
	} else {
		d.Bytes, err = signV2(d.Bytes[:d.img.covered], key)
	}
	return err
}

// maker is the maker's key, if it was given and is one of those that signed the image.
func (d *draft) maker() (crypto.Signer, error) {
	key := d.means.Signer
	if key == nil {
		return nil, notApplicable("it needs the maker's key")
	}
	if d.img.v1 != nil {
		// What recipes change before they sign must not count here.
		whole, err := d.img.src.Whole(tamperLimit)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(whole[:d.img.covered])
		p, ok := key.Public().(*ecdsa.PublicKey)
		if !ok || !fitsECDSA(p, sum[:], d.img.v1[4:36], d.img.v1[36:]) {
			return nil, notApplicable("the key given did not sign the image")
		}
		return key, nil
	}
	efuse, err := efuseKey(key.Public())
	if err != nil {
		return nil, notApplicable("%v", err)
	}
	if !slices.ContainsFunc(d.img.blocks, func(b block) bool { return b.err == nil && bytes.Equal(b.key, efuse) }) {
		return nil, notApplicable("the key given is none of those that signed the image")
	}
	return key, nil
}
