package esp32

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"assay/firmware/format"
)

// The variants that are genuine but not for this device, and those of form.

// resign makes checksums consistent and signs with the maker's key.
func (d *draft) resign(device format.Device, layer format.Layer, reason error, sentence string, args ...any) error {
	key, err := d.maker()
	if err != nil {
		return err
	}
	d.repairImage()
	if err := d.sign(key); err != nil {
		return err
	}
	d.repaired("signature by the maker's key")
	d.Manifest.Device = &device
	d.expect(layer, reason, sentence, args...)
	return nil
}

// other takes an image of the maker as it is; it must be signed by a key of this image.
func (d *draft) other(src *format.Source, what string) (*Image, error) {
	img, err := OpenUnverified(*src)
	if err != nil {
		return nil, notApplicable("the %s image: %v", what, err)
	}
	b, err := src.Whole(tamperLimit)
	if err != nil {
		return nil, notApplicable("the %s image: %v", what, err)
	}
	same := d.img.v1 != nil && img.v1 != nil
	for _, x := range img.blocks {
		for _, y := range d.img.blocks {
			same = same || x.err == nil && y.err == nil && bytes.Equal(x.key, y.key)
		}
	}
	if !same {
		return nil, notApplicable("the %s image is not signed by a key of this one", what)
	}
	d.Bytes = b
	d.changed("all: the maker's own %s image %s", what, img.Version())
	return img, nil
}

// lent tries an image that the maker lent, and leaves no trace if it does not serve.
func (d *draft) lent(src *format.Source, try func(*draft) error) error {
	if src == nil {
		return notApplicable("no such image was given")
	}
	before := d.Variant
	err := try(d)
	if err != nil {
		d.Variant = before
	}
	return err
}

func (d *draft) older() error {
	if d.img.desc == nil {
		return notApplicable("it has no secure version")
	}
	if err := d.lent(d.means.Older, (*draft).olderImage); err == nil || d.means.Signer == nil && d.means.Older != nil {
		return err
	}
	now := d.img.desc.secureVersion
	if now == 0 {
		return notApplicable("secure version 0 has no older one")
	}
	binary.LittleEndian.PutUint32(d.Bytes[appDescAt+4:], now-1)
	d.changed("secure version at offset %d from %d to %d", appDescAt+4, now, now-1)
	return d.resign(format.Device{Counter: new(uint64(now))}, format.LayerFreshness, format.ErrRollback, "the eFuses hold secure version %d", now)
}

// olderImage is the maker's own.
func (d *draft) olderImage() error {
	img, err := d.other(d.means.Older, "older")
	if err != nil {
		return err
	}
	now := d.img.desc.secureVersion
	d.expect(format.LayerFreshness, format.ErrRollback, "the eFuses hold secure version %d", now)
	if img.desc == nil || img.desc.secureVersion < now {
		d.Manifest.Device = &format.Device{Counter: new(uint64(now))}
		return nil
	}
	if order, err := compareVersions(img.Version(), d.img.Version()); err != nil || order >= 0 {
		return notApplicable("the image %s with secure version %d is not older", img.Version(), img.desc.secureVersion)
	}
	d.Manifest.Device = &format.Device{Version: d.img.Version()}
	d.expect(format.LayerFreshness, format.ErrRollback,
		"version %s is older than %s; its secure version is the same, so only a device that compares versions refuses it", img.Version(), d.img.Version())
	return nil
}

func (d *draft) otherProduct() error {
	if d.img.desc == nil {
		return notApplicable("it has no project name")
	}
	project := d.img.desc.project
	device := format.Device{Is: map[string]string{"project-name": project}}
	const sentence = "the device runs project %q; ESP-IDF itself does not compare it"
	err := d.lent(d.means.Sister, func(d *draft) error {
		img, err := d.other(d.means.Sister, "other product's")
		if err == nil && img.desc != nil && img.desc.project == project {
			err = notApplicable("the other product's image is of the same project %q", project)
		}
		d.Manifest.Device = &device
		d.expect(format.LayerIdentity, format.ErrWrongDevice, sentence, project)
		return err
	})
	if err == nil || d.means.Signer == nil && d.means.Sister != nil {
		return err
	}
	const at = appDescAt + 48
	clear(d.Bytes[at : at+32])
	copy(d.Bytes[at:at+31], "other-product")
	if project == "other-product" {
		copy(d.Bytes[at:at+31], "another-product")
	}
	d.changed("project name at offset %d", at)
	return d.resign(device, format.LayerIdentity, format.ErrWrongDevice, sentence, project)
}

func (d *draft) otherHardware() error {
	chip := d.img.header.chip
	device := format.Device{Is: map[string]string{"chip-id": fmt.Sprint(uint16(chip))}}
	err := d.lent(d.means.Sister, func(d *draft) error {
		img, err := d.other(d.means.Sister, "other product's")
		if err == nil && img.header.chip == chip {
			err = notApplicable("the other product's image is for the same chip")
		}
		d.Manifest.Device = &device
		d.expect(format.LayerIdentity, format.ErrWrongDevice, "the device is %v", chip)
		return err
	})
	if err == nil || d.means.Signer == nil && d.means.Sister != nil {
		return err
	}
	if d.img.v1 != nil {
		return notApplicable("secure boot v1 is one of the ESP32 alone")
	}
	foreign := ChipS3
	if chip == ChipS3 {
		foreign = ChipC3
	}
	binary.LittleEndian.PutUint16(d.Bytes[12:], uint16(foreign))
	d.changed("chip id at offset 12 from %d to %d", chip, foreign)
	return d.resign(device, format.LayerIdentity, format.ErrWrongDevice, "the device is %v", chip)
}

func (d *draft) cut(to int64, sentence string) error {
	d.Bytes = d.Bytes[:to]
	d.changed("cut off at offset %d", to)
	d.expect(format.LayerStructure, format.ErrMalformed, "%s", sentence)
	return nil
}

func (d *draft) cutHeader() error {
	return d.cut(headerSize+4, "the head of the first segment is cut off")
}

func (d *draft) cutPayload() error {
	last := d.img.segments[len(d.img.segments)-1]
	return d.cut(last.at+last.length/2, "the last segment reaches behind the end")
}

func (d *draft) cutSignature() error {
	if d.img.v1 != nil {
		return d.cut(d.img.covered+v1Size/2, "the signature is cut off")
	}
	return d.cut(d.img.covered+blockSize/2, "the signature sector is cut off")
}

func (d *draft) empty() error {
	d.Bytes = []byte{}
	d.changed("all %d bytes removed", d.img.src.Size())
	d.expect(format.LayerStructure, format.ErrMalformed, "there is no image")
	return nil
}

// oversize is larger than ESP-IDF lets a partition be, with erased flash that costs nothing to write.
func (d *draft) oversize() error {
	const most = 16 << 20
	size := max(most, len(d.Bytes)) + sectorSize
	d.changed("erased flash from offset %d to %d", len(d.Bytes), size)
	d.Bytes = append(d.Bytes, bytes.Repeat([]byte{0xff}, size-len(d.Bytes))...)
	d.expect(format.LayerResources, format.ErrTrailing, "an OTA partition has at most 16 MiB")
	return nil
}

func (d *draft) trailing() error {
	at := len(d.Bytes)
	d.Bytes = append(d.Bytes, bytes.Repeat([]byte("trailing"), 8)...)
	d.changed("64 bytes behind the signature at offset %d", at)
	d.expect(format.LayerStructure, format.ErrTrailing, "nothing covers bytes behind the signature")
	return nil
}

// lengthLie has a segment whose end wraps round 32 bits to just before its own data.
func (d *draft) lengthLie() error {
	const at = headerSize + 4
	binary.LittleEndian.PutUint32(d.Bytes[at:], 0xfffffff0)
	d.changed("length of the first segment at offset %d to 0xfffffff0", at)
	d.repairBlocks()
	d.expect(format.LayerStructure, format.ErrMalformed, "the first segment reaches behind the end")
	return nil
}

// mix joins this image with the signature of another release.
func (d *draft) mix() error {
	if d.means.Older == nil {
		return notApplicable("it needs the maker's older image")
	}
	own := bytes.Clone(d.Bytes[:d.img.covered])
	img, err := d.other(d.means.Older, "older")
	if err != nil {
		return err
	}
	if bytes.Equal(own, d.Bytes[:img.covered]) {
		return notApplicable("the older image is this one")
	}
	d.Manifest.Changed = []string{fmt.Sprintf("signature at offset %d is that of the older image %s", d.img.covered, img.Version())}
	d.Bytes = append(own, d.Bytes[img.covered:]...)
	d.expect(format.LayerPayload, format.ErrBadHash, "the signature block is of an image with another digest")
	if d.img.v1 != nil {
		d.expect(format.LayerSignature, format.ErrBadSignature, "the signature is of another image")
	}
	return nil
}

// swapped is a pair for devices that check what they fetch and fetch again what they use.
func (d *draft) swapped() error {
	genuine := bytes.Clone(d.Bytes)
	if err := d.tampered(); err != nil {
		return err
	}
	d.Files = map[string][]byte{format.FileFirst: genuine, format.FileSecond: d.Bytes}
	d.Bytes = nil
	d.Manifest.Classic = "CVE-2024-28183"
	d.expect(format.LayerSignature, format.ErrBadSignature, "the image is checked where it will run, not where it was fetched")
	return nil
}
