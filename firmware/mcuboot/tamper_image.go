package mcuboot

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"

	"assay/firmware/format"
)

// The variants that are genuine but not for this device, and those of form.

// isMaker tells whether key is the one that the image names.
func (img *Image) isMaker(key crypto.Signer) error {
	if key == nil {
		return notApplicable("it needs the maker's key")
	}
	set, err := format.NewKeys(key.Public())
	if err != nil {
		return notApplicable("%v", err)
	}
	_, hash, ok := img.hashTLV()
	if !ok {
		return notApplicable("it has no hash")
	}
	if _, err := img.trustedKey(set, hash); err != nil {
		return notApplicable("the key given is not the one that the image names")
	}
	return nil
}

// resigned signs an edited copy with the maker's key; the other TLVs stay.
func (img *Image) resigned(b []byte, m *format.Manifest, key crypto.Signer) ([]byte, error) {
	if err := img.isMaker(key); err != nil {
		return nil, err
	}
	b, err := img.rehash(b, m)
	if err != nil {
		return nil, err
	}
	signed, err := sign(b[:img.covered], key, false, find(img.unprotected, TypePure) != nil)
	if err != nil {
		return nil, err
	}
	edited, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	tlvs := edited.Unprotected()
	for i, t := range tlvs {
		if isSignature(t.Type) {
			if tlvs[i].Value = find(signed, t.Type); tlvs[i].Value == nil {
				return nil, notApplicable("the key given makes no %v", t.Type)
			}
		}
	}
	m.Repaired = append(m.Repaired, "signature by the maker's key")
	return img.written(b[:img.covered], tlvs)
}

// other is an image of the maker's own as it is; it must name the key of this one.
func (img *Image) other(src *format.Source, what string) (*Image, error) {
	b, err := src.Whole(math.MaxInt32)
	if err != nil {
		return nil, notApplicable("the %s image: %v", what, err)
	}
	o, err := OpenUnverified(b)
	if err != nil {
		return nil, notApplicable("the %s image: %v", what, err)
	}
	for _, t := range []Type{TypeKeyHash, TypePublicKey} {
		if !bytes.Equal(find(o.unprotected, t), find(img.unprotected, t)) {
			return nil, notApplicable("the %s image does not name the key of this one", what)
		}
	}
	return o, nil
}

// lent tries an image that the maker lent, and leaves no trace if it does not serve. Where
// there is no key to sign another one, its refusal is final.
func lent(src *format.Source, m *format.Manifest, means format.Means, try func() ([]byte, error)) (b []byte, final bool, err error) {
	if src == nil {
		return nil, false, nil
	}
	before := *m
	if b, err = try(); err != nil {
		*m = before
	}
	return b, err == nil || means.Signer == nil, err
}

func (img *Image) older(m *format.Manifest, means format.Means) ([]byte, error) {
	counter, counted := img.SecurityCounter()
	if b, final, err := lent(means.Older, m, means, func() ([]byte, error) { return img.olderImage(m, means) }); final {
		return b, err
	}
	b := bytes.Clone(img.raw)
	if counted && counter > 0 {
		edited, err := OpenUnverified(b)
		if err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint32(find(edited.protected, TypeSecurityCount), counter-1)
		changed(m, "security counter from %d to %d", counter, counter-1)
		img.expectCounter(m, counter)
		return img.resigned(b, m, means.Signer)
	}
	before, ok := img.Version().before()
	if !ok {
		return nil, notApplicable("there is no version before %v", img.Version())
	}
	copy(b[20:28], before.append(nil))
	changed(m, "version at offset 20 from %v to %v", img.Version(), before)
	img.expectVersion(m)
	return img.resigned(b, m, means.Signer)
}

// olderImage is the maker's own.
func (img *Image) olderImage(m *format.Manifest, means format.Means) ([]byte, error) {
	counter, counted := img.SecurityCounter()
	o, err := img.other(means.Older, "older")
	if err != nil {
		return nil, err
	}
	changed(m, "all: the maker's own image %v", o.Version())
	if n, ok := o.SecurityCounter(); counted && (!ok || n < counter) {
		img.expectCounter(m, counter)
		return bytes.Clone(o.raw), nil
	}
	if o.Version().Compare(img.Version()) < 0 {
		img.expectVersion(m)
		return bytes.Clone(o.raw), nil
	}
	return nil, notApplicable("the image %v is not older", o.Version())
}

func (img *Image) expectCounter(m *format.Manifest, counter uint32) {
	m.Device = &format.Device{Counter: new(uint64(counter))}
	expect(m, format.LayerFreshness, format.ErrRollback, "the device has stored security counter %d", counter)
}

func (img *Image) expectVersion(m *format.Manifest) {
	m.Device = &format.Device{Version: img.Version().String()}
	expect(m, format.LayerFreshness, format.ErrRollback, "the device runs %v", img.Version())
}

// before is the next lower version.
func (v Version) before() (Version, bool) {
	switch {
	case v.Build > 0:
		v.Build--
	case v.Revision > 0:
		v.Revision--
	case v.Minor > 0:
		v.Minor--
	case v.Major > 0:
		v.Major--
	default:
		return v, false
	}
	return v, true
}

func (img *Image) otherClass(m *format.Manifest, means format.Means) ([]byte, error) {
	return img.foreign(m, means, TypeClassUUID, "class-id")
}

func (img *Image) otherVendor(m *format.Manifest, means format.Means) ([]byte, error) {
	return img.foreign(m, means, TypeVendorUUID, "vendor-id")
}

// foreign is a genuine image with another UUID.
func (img *Image) foreign(m *format.Manifest, means format.Means, t Type, key string) ([]byte, error) {
	id := find(img.protected, t)
	if id == nil {
		return nil, notApplicable("it has no %v", t)
	}
	m.Device = &format.Device{Is: map[string]string{key: hex.EncodeToString(id)}}
	expect(m, format.LayerIdentity, format.ErrWrongDevice, "the device has %v %x", t, id)
	sister, final, err := lent(means.Sister, m, means, func() ([]byte, error) {
		o, err := img.other(means.Sister, "other product's")
		if err != nil {
			return nil, err
		}
		if bytes.Equal(find(o.protected, t), id) {
			return nil, notApplicable("the other product's image has the same %v", t)
		}
		changed(m, "all: the maker's own image %v for another product", o.Version())
		return bytes.Clone(o.raw), nil
	})
	if final {
		return sister, err
	}
	b := bytes.Clone(img.raw)
	edited, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	find(edited.protected, t)[0] ^= 1
	changed(m, "lowest bit of the first byte of %v", t)
	return img.resigned(b, m, means.Signer)
}

func (img *Image) cut(m *format.Manifest, to int, sentence string) ([]byte, error) {
	changed(m, "cut off at offset %d", to)
	expect(m, format.LayerStructure, format.ErrMalformed, "%s", sentence)
	return bytes.Clone(img.raw[:to]), nil
}

func (img *Image) cutHeader(m *format.Manifest, _ format.Means) ([]byte, error) {
	return img.cut(m, headerSize/2, "the header is cut off")
}

func (img *Image) cutPayload(m *format.Manifest, _ format.Means) ([]byte, error) {
	return img.cut(m, int(img.header.size)+len(img.Payload())/2, "header and image size reach behind the end")
}

func (img *Image) cutSignature(m *format.Manifest, _ format.Means) ([]byte, error) {
	sig, _ := img.signature()
	return img.cut(m, img.place(sig.Type)+len(sig.Value)/2, "the unprotected TLV area reaches behind the end")
}

func (img *Image) empty(m *format.Manifest, _ format.Means) ([]byte, error) {
	changed(m, "all %d bytes removed", len(img.raw))
	expect(m, format.LayerStructure, format.ErrMalformed, "there is no image")
	return []byte{}, nil
}

// oversize is genuine, with more erased flash behind it than a microcontroller's slot holds.
func (img *Image) oversize(m *format.Manifest, _ format.Means) ([]byte, error) {
	const slot = 16 << 20
	b := bytes.Clone(img.raw[:img.end])
	size := max(slot, len(b)) + 4096
	changed(m, "erased flash from offset %d to %d", len(b), size)
	m.Device = &format.Device{Size: slot}
	expect(m, format.LayerResources, format.ErrTooLarge, "the slot is smaller than %d bytes", size)
	return append(b, bytes.Repeat([]byte{0xff}, size-len(b))...), nil
}

// trailing puts bytes where erased flash may be.
func (img *Image) trailing(m *format.Manifest, _ format.Means) ([]byte, error) {
	data := bytes.Repeat([]byte("trailing"), 8)
	b := bytes.Clone(img.raw)
	if room := len(b) - img.end; room >= 2*len(data) {
		copy(b[img.end:], data)
	} else {
		b = append(b, data...)
	}
	changed(m, "%d bytes behind the unprotected TLV area", len(data))
	expect(m, format.LayerStructure, format.ErrTrailing, "nothing covers bytes behind the TLV areas")
	return b, nil
}

// lengthLie has a size that takes the TLV areas back to the header where 32 bits wrap.
func (img *Image) lengthLie(m *format.Manifest, _ format.Means) ([]byte, error) {
	b := bytes.Clone(img.raw)
	lie := -uint32(img.header.size)
	binary.LittleEndian.PutUint32(b[12:], lie)
	changed(m, "image size at offset 12 to 0x%08x, which wraps to 0 with the header size", lie)
	expect(m, format.LayerStructure, format.ErrMalformed, "header and image size exceed 32 bits")
	return b, nil
}

// mix joins this image with hash and signature of another release.
func (img *Image) mix(m *format.Manifest, means format.Means) ([]byte, error) {
	if means.Older == nil {
		return nil, notApplicable("it needs the maker's older image")
	}
	o, err := img.other(means.Older, "older")
	if err != nil {
		return nil, err
	}
	if img.Encrypted() || o.Encrypted() {
		return nil, notApplicable("its hash is one of the plaintext")
	}
	if bytes.Equal(o.raw[:o.covered], img.raw[:img.covered]) {
		return nil, notApplicable("the older image is this one")
	}
	changed(m, "hash and signature are those of the older image %v", o.Version())
	m.Repaired = append(m.Repaired, "size of the unprotected TLV area")
	expect(m, format.LayerHash, format.ErrBadHash, "the hash TLV is of another image")
	return img.withUnprotected(slices.Clone(o.unprotected))
}

// swapped is a pair for devices that check what they fetch and fetch again what they use.
func (img *Image) swapped(m *format.Manifest, means format.Means) ([]byte, error) {
	b, err := img.flipAndRepair(m, means)
	if err == nil {
		expect(m, format.LayerSignature, format.ErrBadSignature, "the image is checked where it will run, not where it was fetched")
	}
	return b, err
}
