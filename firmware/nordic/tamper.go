package nordic

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"
)

func variants() []string {
	own := []string{
		format.Tampered, format.TamperedPlain, format.HeaderFlip, format.SignatureFlip, format.Unsigned, format.WrongKey, format.WeakAlgorithm,
		format.Older, format.OtherHardware, format.TruncatedHeader, format.TruncatedPayload, format.TruncatedSignature, format.Empty,
		format.Oversize, format.TrailingData, format.LengthLie, format.DuplicateEntry, format.DecompressionBomb, format.PathEscape,
		format.MixAndMatch, format.Swapped,
	}
	return format.InOrder(own...)
}

// Tamper makes a variant of a package with one firmware.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v := format.Variant{Manifest: format.Manifest{Format: name, Variant: variant}}
	if err := img.tamper(variant, means, &v); err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of Nordic DFU package: %w", variant, err)
	}
	return v, nil
}

// A change is a package in the making.
type change struct {
	bin, dat, manifest []byte
	more               []member
	names              part // of the files
	m                  *format.Manifest
}

func (c *change) pack() ([]byte, error) {
	return pack(append([]member{{c.names.bin, c.bin}, {c.names.dat, c.dat}, {manifestName, c.manifest}}, c.more...))
}

func (img *Image) tamper(variant string, means format.Means, v *format.Variant) error {
	if err := format.Made(variant, variants()); err != nil {
		return err
	}
	if len(img.parts) != 1 || !img.parts[0].packet.signed {
		return format.Wrap(format.ErrNotApplicable, "the package is not signed, or has more than one firmware")
	}
	c, err := img.change(&v.Manifest)
	if err != nil {
		return err
	}
	genuine, err := img.in.Whole(2 * maxFirmware)
	if err != nil {
		return err
	}
	if b, ok := c.bytewise(variant, slices.Clone(genuine)); ok {
		v.Bytes = b
		return nil
	}
	if err := img.memberwise(variant, means, c); err != nil {
		return err
	}
	c.m.Repaired = append(c.m.Repaired, "CRC-32 of the zip's members")
	if variant == format.DecompressionBomb {
		v.Bytes, err = packWith([]member{{c.names.bin, c.bin}, {c.names.dat, c.dat}, {manifestName, c.manifest}}, zip.Deflate)
		return err
	}
	if v.Bytes, err = c.pack(); err == nil && variant == format.Swapped {
		v.Files = map[string][]byte{format.FileFirst: genuine, format.FileSecond: v.Bytes}
		v.Bytes = nil
	}
	return err
}

func (img *Image) change(m *format.Manifest) (*change, error) {
	p := img.parts[0]
	c := &change{names: p, dat: slices.Clone(p.raw), m: m}
	z, err := zip.NewReader(img.in.Section(0, img.in.Size()), img.in.Size())
	if err != nil {
		return nil, format.Malformed("%v", err)
	}
	for _, f := range z.File {
		switch f.Name {
		case p.bin:
			c.bin, err = read(f, maxFirmware)
		case manifestName:
			c.manifest, err = read(f, maxManifest)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(c.bin) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "the firmware is empty")
	}
	return c, nil
}

// bytewise makes the variants of the file as it is.
func (c *change) bytewise(variant string, b []byte) ([]byte, bool) {
	cut := func(at int, expected string) ([]byte, bool) {
		c.m.Say(format.LayerStructure, format.ErrMalformed, expected, fmt.Sprintf("cut at offset %d", at))
		return b[:at], true
	}
	switch variant {
	case format.TamperedPlain:
		at := bytes.Index(b, c.bin)
		if at < 0 {
			return nil, false // deflated: repaired it is
		}
		at += len(c.bin) / 2
		b[at] ^= 1
		c.m.Say(format.LayerHash, format.ErrBadHash, "the zip's CRC-32 is another", fmt.Sprintf("lowest bit at offset %d, in %s", at, c.names.bin))
		return b, true
	case format.TruncatedHeader:
		return cut(16, "there is no whole member")
	case format.TruncatedPayload:
		return cut(len(b)/2, "the zip has no directory")
	case format.TruncatedSignature:
		return cut(len(b)-8, "the zip's directory is not at the end")
	case format.Empty:
		return cut(0, "there is no package")
	case format.TrailingData:
		c.m.Say(format.LayerStructure, format.ErrMalformed, "the zip's directory must end the file", fmt.Sprintf("16 zeros appended at offset %d", len(b)))
		return append(b, make([]byte, 16)...), true
	}
	return nil, false
}

// memberwise makes the variants of firmware, init packet and manifest; the zip is written anew.
func (img *Image) memberwise(variant string, means format.Means, c *change) error {
	switch variant {
	case format.Tampered, format.TamperedPlain, format.Swapped:
		at := len(c.bin) / 2
		c.bin[at] ^= 1
		c.m.Say(format.LayerPayload, format.ErrBadHash, "the firmware has not the hash of its init packet", fmt.Sprintf("lowest bit at offset %d of %s", at, c.names.bin))
	case format.HeaderFlip:
		at := bytes.Index(c.dat, c.names.packet.command) + 7 // the value of fw_version
		c.dat[at] ^= 1
		c.m.Say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the changed command", fmt.Sprintf("lowest bit at offset %d of %s", at, c.names.dat))
	case format.SignatureFlip:
		at := len(c.dat) - 33
		c.dat[at] ^= 1
		c.m.Say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d of %s", at, c.names.dat))
	case format.Unsigned:
		c.dat = nested(nil, 1, c.names.packet.command)
		c.m.Say(format.LayerSignature, format.ErrUnsigned, "the init packet must be a signed command", "signed command replaced by the plain one in "+c.names.dat)
	case format.Oversize:
		c.bin = append(c.bin, make([]byte, 4096)...)
		c.m.Say(format.LayerPayload, format.ErrBadHash, "the firmware is longer than its init packet says", "4096 zeros appended to "+c.names.bin)
	case format.DuplicateEntry:
		c.more = []member{{c.names.bin, append(bytes.Clone(c.bin), 0)}}
		c.m.Say(format.LayerStructure, format.ErrMalformed, "no member may be there twice", "another "+c.names.bin+" put behind the genuine one")
	case format.DecompressionBomb:
		c.bin = make([]byte, maxFirmware+1)
		c.m.Say(format.LayerResources, format.ErrMalformed, "the firmware is larger than any chip", fmt.Sprintf("%s replaced by %d zeros, deflated", c.names.bin, len(c.bin)))
	case format.PathEscape:
		escaped := "../" + c.names.bin
		c.manifest = []byte(strings.Replace(string(c.manifest), `"`+c.names.bin+`"`, `"`+escaped+`"`, 1))
		c.names.bin = escaped
		c.m.Say(format.LayerStructure, format.ErrMalformed, "a member's name must not leave the folder", "member and manifest name "+escaped)
	case format.MixAndMatch:
		return c.mix(means)
	default:
		return img.resign(variant, means, c)
	}
	return nil
}

func (c *change) mix(means format.Means) error {
	if means.Older == nil {
		return format.Wrap(format.ErrNotApplicable, "it needs an older package of the maker")
	}
	older, err := open(format.Input{Source: *means.Older})
	if err != nil || len(older.parts) != 1 {
		return format.Wrap(format.ErrNotApplicable, "the older package cannot be read, or has more than one firmware: %v", err)
	}
	bin, err := read(older.parts[0].firmware, maxFirmware)
	if err != nil || bytes.Equal(bin, c.bin) {
		return format.Wrap(format.ErrNotApplicable, "the older firmware is the same, or cannot be read: %v", err)
	}
	c.bin = bin
	c.m.Say(format.LayerPayload, format.ErrBadHash, "the firmware has not the hash of its init packet", c.names.bin+" replaced by that of an older package")
	return nil
}

// resign makes what needs a key: a fresh one, or the maker's over another command.
func (img *Image) resign(variant string, means format.Means, c *change) error {
	i := c.names.packet.init
	spec := Spec{Version: i.version, Hardware: i.hardware, SoftDevices: i.softdevices, Firmware: c.bin, Debug: i.debug}
	key := means.Signer
	if variant == format.WrongKey {
		fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		key = fresh
		c.m.Say(format.LayerSignature, format.ErrBadSignature, "the signature is not one of the maker's key", "command signed by a fresh key")
		return c.sign(c.names.packet.command, key)
	}
	if key == nil || i.kind != 0 {
		return format.Wrap(format.ErrNotApplicable, "it needs the maker's key and an application")
	}
	switch variant {
	case format.Older:
		if spec.Version == 0 {
			return format.Wrap(format.ErrNotApplicable, "the version is 0 already")
		}
		c.m.Device = &format.Device{Version: fmt.Sprint(spec.Version)}
		spec.Version--
		c.m.Say(format.LayerFreshness, format.ErrRollback, "the version is lower than the device's", fmt.Sprintf("version %d became %d, signed again", i.version, spec.Version))
	case format.OtherHardware:
		c.m.Device = &format.Device{Is: map[string]string{"hw-version": fmt.Sprint(spec.Hardware)}}
		spec.Hardware++
		c.m.Say(format.LayerIdentity, format.ErrWrongDevice, "the hardware version is not the device's", fmt.Sprintf("hardware version %d became %d, signed again", i.hardware, spec.Hardware))
	case format.WeakAlgorithm:
		spec.CRC = true
		c.m.Say(format.LayerTrust, format.ErrWeak, "a CRC vouches for no firmware", "hash replaced by a CRC-32, signed again")
	case format.LengthLie:
		spec.Firmware = append(bytes.Clone(c.bin), 0) // size and hash are of one byte more
		c.m.Say(format.LayerPayload, format.ErrBadHash, "the firmware is shorter than its init packet says", "size and hash of one byte more, signed again")
	default:
		return format.Wrap(format.ErrNotApplicable, "the format has no such thing")
	}
	return c.sign(spec.command(), key)
}

func (c *change) sign(command []byte, key crypto.Signer) error {
	dat, err := sign(command, key)
	if err != nil {
		return format.Wrap(format.ErrNotApplicable, "%v", err)
	}
	c.dat = dat
	return nil
}
