package capsule

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"assay/firmware/cms"
	"assay/firmware/format"
)

func variants() []string {
	own := append([]string{
		format.Tampered, format.TamperedPlain, format.HeaderFlip, format.SignatureFlip, format.Older, format.TruncatedHeader,
		format.TruncatedPayload, format.TruncatedSignature, format.Empty, format.TrailingData, format.LengthLie, format.DuplicateEntry,
		format.MixAndMatch, format.Swapped,
	}, cms.ForgedVariants()...)
	return format.InOrder(own...)
}

// maxTamper is the largest capsule of which variants are made.
const maxTamper = 1 << 30

// Tamper makes a variant of the capsule.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v := format.Variant{Manifest: format.Manifest{Format: name, Variant: variant}}
	if err := img.tamper(variant, means, &v); err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of UEFI capsule: %w", variant, err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means, v *format.Variant) error {
	if err := format.Made(variant, variants()); err != nil {
		return err
	}
	if !img.signed {
		return format.Wrap(format.ErrNotApplicable, "the capsule is not signed")
	}
	b, err := img.in.Whole(maxTamper)
	if err != nil {
		return err
	}
	genuine := slices.Clone(b)
	if v.Bytes, err = img.change(variant, means, b, &v.Manifest); err != nil {
		return err
	}
	if variant == format.Swapped {
		v.Files = map[string][]byte{format.FileFirst: genuine, format.FileSecond: v.Bytes}
		v.Bytes = nil
	}
	return nil
}

// dataReason is what refuses other content: a digest among signed attributes, else the signature itself.
func (img *Image) dataReason() (format.Layer, error) {
	if len(img.message.Signers) > 0 && img.message.Signers[0].Attributes {
		return format.LayerPayload, format.ErrBadHash
	}
	return format.LayerSignature, format.ErrBadSignature
}

func (img *Image) change(variant string, means format.Means, b []byte, m *format.Manifest) ([]byte, error) {
	layer, reason := img.dataReason()
	cut := func(at int64, what string) ([]byte, error) {
		m.Say(format.LayerStructure, format.ErrMalformed, what, fmt.Sprintf("cut at offset %d", at))
		return b[:at], nil
	}
	switch variant {
	case format.Tampered, format.TamperedPlain, format.Swapped: // no unkeyed checksum is there to repair
		at := img.image + img.size/2
		b[at] ^= 1
		m.Say(layer, reason, "the image is another", fmt.Sprintf("lowest bit at offset %d, amid the image", at))
		return b, nil
	case format.HeaderFlip:
		b[img.body] ^= 1
		m.Say(layer, reason, "the monotonic count is another", fmt.Sprintf("lowest bit of the monotonic count at offset %d", img.body))
		return b, nil
	case format.SignatureFlip:
		der, at, err := img.message.FlipSignature()
		if err != nil {
			return nil, err
		}
		at += img.cert + certHead
		copy(b[img.cert+certHead:], der)
		m.Say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d", at))
		return b, nil
	case format.TruncatedHeader:
		return cut(img.item+8, "the headers end too early")
	case format.TruncatedPayload:
		return cut(img.image+img.size/2, "the image runs over the file")
	case format.TruncatedSignature:
		return cut(img.cert+certHead+8, "the certificate runs over the file")
	case format.Empty:
		return cut(0, "there is no capsule")
	case format.TrailingData:
		m.Say(format.LayerStructure, format.ErrTrailing, "bytes behind the capsule", fmt.Sprintf("16 zeros appended at offset %d", len(b)))
		return append(b, make([]byte, 16)...), nil
	case format.LengthLie:
		binary.LittleEndian.PutUint32(b[img.cert:], 0x7fffffff)
		m.Say(format.LayerStructure, format.ErrMalformed, "the certificate is longer than the image", fmt.Sprintf("length of the certificate at offset %d", img.cert))
		return b, nil
	case format.DuplicateEntry:
		binary.LittleEndian.PutUint16(b[capsuleHead+6:], 2)
		m.Say(format.LayerStructure, format.ErrMalformed, "there must be one image", fmt.Sprintf("number of images at offset %d", capsuleHead+6))
		return b, nil
	}
	return img.rebuild(variant, means, m)
}

// rebuild makes what needs another certificate or image, all lengths repaired.
func (img *Image) rebuild(variant string, means format.Means, m *format.Manifest) ([]byte, error) {
	spec, err := img.spec()
	if err != nil {
		return nil, err
	}
	m.Repaired = append(m.Repaired, "size of the image and of the capsule")
	switch variant {
	case format.Unsigned:
		m.Say(format.LayerSignature, format.ErrUnsigned, "there is no authentication header", "authentication header removed", "flag of the item header cleared")
		return spec.write(spec.Image, false)
	case format.Older:
		return img.older(spec, means, m)
	case format.MixAndMatch:
		return img.mix(spec, means, m)
	}
	f, err := img.message.Forge(variant, means, img.content())
	if errors.Is(err, format.ErrUnknownVariant) {
		return nil, format.Wrap(format.ErrNotApplicable, "the format has no such thing")
	}
	if err != nil {
		return nil, err
	}
	m.Classic = f.Classic
	m.Say(f.Layer, f.Reason, f.Expected, f.Changed)
	return spec.write(append(authentication(img.count, f.DER), spec.Image...), true)
}

// older signs the same image with the maker's key under a lower count.
func (img *Image) older(spec Spec, means format.Means, m *format.Manifest) ([]byte, error) {
	if means.Signer == nil || len(means.Chain) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs the maker's key and chain")
	}
	if spec.Count == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "the monotonic count is 0 already")
	}
	counter := spec.Count
	spec.Count--
	m.Device = &format.Device{Counter: &counter}
	m.Say(format.LayerFreshness, format.ErrRollback, "the monotonic count is below the device's", fmt.Sprintf("monotonic count %d became %d, signed again", counter, spec.Count))
	return Build(spec, &cms.Identity{Key: means.Signer, Certificate: means.Chain[0]}, means.Chain[1:])
}

// mix puts the maker's older image behind the signature of the newer.
func (img *Image) mix(spec Spec, means format.Means, m *format.Manifest) ([]byte, error) {
	if means.Older == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs an older capsule of the maker")
	}
	older, err := open(format.Input{Source: *means.Older})
	if err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the older capsule cannot be read: %v", err)
	}
	image, err := older.in.Bytes(older.image, older.size)
	if err != nil {
		return nil, err
	}
	if slices.Equal(image, spec.Image) {
		return nil, format.Wrap(format.ErrNotApplicable, "the older image is the same")
	}
	head, err := img.in.Bytes(img.body, img.image-img.body)
	if err != nil {
		return nil, err
	}
	layer, reason := img.dataReason()
	m.Say(layer, reason, "the signature is one of another image", "image replaced by that of an older capsule")
	return spec.write(append(head, image...), true)
}
