package nordic

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// Describe tells what the package says about itself.
func (img *Image) Describe() format.Facts {
	f := format.Facts{Format: name, Size: img.in.Size()}
	signed := true
	for _, p := range img.parts {
		c := p.packet.init
		signed = signed && p.packet.signed
		protected := p.packet.signed
		f.PayloadSize += int64(p.firmware.UncompressedSize64)
		if f.Version == "" || p.kind == "application" {
			f.Version = strconv.FormatUint(c.version, 10)
		}
		f.Targets = append(f.Targets, fmt.Sprintf("hw-version=%d", c.hardware))
		for _, s := range c.softdevices {
			f.Targets = append(f.Targets, fmt.Sprintf("sd-req=0x%x", s))
		}
		if offset, err := p.firmware.DataOffset(); err == nil {
			f.Covered = append(f.Covered, format.Region{Name: p.bin, Offset: offset, Size: int64(p.firmware.CompressedSize64)})
		}
		f.Fields = append(f.Fields,
			format.Field{Name: p.kind + " version", Value: fmt.Sprint(c.version), Protected: protected},
			format.Field{Name: p.kind + " type", Value: kindName(c.kind), Protected: protected},
			format.Field{Name: p.kind + " hash", Value: hashTypeName(c.hashType), Protected: protected})
		if c.debug {
			f.Notes = append(f.Notes, "The init packet of the "+p.kind+" says is_debug: bootloaders built for it skip the checks of version and hardware.")
		}
		if c.unknown > 0 {
			f.Notes = append(f.Notes, fmt.Sprintf("The init packet of the %s has %d fields that are not read.", p.kind, c.unknown))
		}
		if !protected {
			f.Notes = append(f.Notes, "The init packet of the "+p.kind+" is a plain command: nobody signed it.")
		}
	}
	f.Targets = slices.Compact(f.Targets)
	if signed {
		f.Signature = "ecdsa-p256-sha256"
	} else {
		f.Covered = nil
	}
	f.Uncovered = append(f.Uncovered, format.Region{Name: "zip headers, manifest and init packet framing", Size: f.Size})
	if len(img.extra) > 0 {
		f.Notes = append(f.Notes, "Members that the manifest does not name are covered by nothing: "+printable(strings.Join(img.extra, ", "))+".")
	}
	if img.legacy {
		f.Notes = append(f.Notes, "The manifest is one of the legacy DFU, whose init packet has a CRC only.")
	}
	return f
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Verify returns nil only if one of the trusted keys signed every init packet and each
// firmware has the size and hash that its packet says.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	r := format.Report{Image: img.Describe()}
	for _, p := range img.parts {
		if err := p.verify(trust, &r); err != nil {
			r.Signature = ""
			return r, fmt.Errorf("verify Nordic DFU package: %s: %w", p.kind, err)
		}
	}
	r.Verified = true
	return r, nil
}

func (p *part) verify(trust format.Trust, r *format.Report) error {
	if !p.packet.signed {
		return format.Wrap(format.ErrUnsigned, "the init packet is a plain command")
	}
	if trust.Keys.Len() == 0 {
		return format.Wrap(format.ErrNoTrustedKey, "no public key was given")
	}
	if p.packet.algorithm != signatureECDSA || len(p.packet.signature) != 64 {
		return format.Wrap(format.ErrAlgorithm, "signature of type %d and %d bytes is not ECDSA on P-256", p.packet.algorithm, len(p.packet.signature))
	}
	key, err := p.signer(trust.Keys.All())
	if err != nil {
		return err
	}
	r.Key, r.Findings = &key, format.WeakKey(key.Public)
	r.Chain = append(r.Chain,
		format.Link{Kind: "key", Name: key.Fingerprint, Algorithm: key.Algorithm, Strength: format.Strength(key.Public), From: key.From},
		format.Link{Kind: "signature", Name: p.dat, Algorithm: "ecdsa-p256-sha256", From: "image"})
	c := p.packet.init
	if c.hashType != hashSHA256 {
		return format.Wrap(format.ErrWeak, "the firmware's hash is %s", hashTypeName(c.hashType))
	}
	if len(c.hash) != sha256.Size {
		return format.Malformed("SHA-256 of %d bytes", len(c.hash))
	}
	sum, size, err := p.sum()
	if err != nil {
		return err
	}
	r.Digest = "sha256:" + hex.EncodeToString(sum)
	said := slices.Clone(c.hash)
	slices.Reverse(said)
	if !bytes.Equal(sum, said) {
		return format.Wrap(format.ErrBadHash, "the init packet says %x, %s has %x", said, p.bin, sum)
	}
	if want, ok := c.size(); ok && want != uint64(size) {
		return format.Wrap(format.ErrBadHash, "the init packet says %d bytes, %s has %d", want, p.bin, size)
	}
	if !fitsKind(p.kind, c.kind) {
		return format.Wrap(format.ErrNotBound, "the manifest calls it %s, the init packet %s", p.kind, kindName(c.kind))
	}
	r.Signature = "ecdsa-p256-sha256"
	r.Chain = append(r.Chain, format.Link{Kind: "hash", Name: r.Digest, Algorithm: "sha256", From: "hash above"})
	return nil
}

func fitsKind(manifest string, packet uint64) bool { return manifest == kindName(packet) }

// size is that of the firmware by its kind.
func (c *initCommand) size() (uint64, bool) {
	switch c.kind {
	case 0, 4:
		return c.appSize, true
	case 1:
		return c.sdSize, true
	case 2:
		return c.blSize, true
	case 3:
		return c.sdSize + c.blSize, true
	}
	return 0, false
}

// signer finds the key whose signature it is; the packet names none. r and s are written with
// their last byte first, as the crypto cell wants them.
func (p *part) signer(keys []format.Key) (format.Key, error) {
	half := func(b []byte) *big.Int {
		b = slices.Clone(b)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{half(p.packet.signature[:32]), half(p.packet.signature[32:])})
	if err != nil {
		return format.Key{}, format.Wrap(format.ErrBadSignature, "%v", err)
	}
	sum := sha256.Sum256(p.packet.command)
	usable := 0
	for _, k := range keys {
		public, ok := k.Public.(*ecdsa.PublicKey)
		if !ok || public.Curve != elliptic.P256() {
			continue
		}
		usable++
		if ecdsa.VerifyASN1(public, sum[:], der) {
			return k, nil
		}
	}
	if usable == 0 {
		return format.Key{}, format.Wrap(format.ErrAlgorithm, "none of the %d keys is one on P-256", len(keys))
	}
	return format.Key{}, format.Wrap(format.ErrBadSignature, "not one of the %d keys on P-256", usable)
}

// sum hashes the firmware, which is not kept.
func (p *part) sum() ([]byte, int64, error) {
	r, err := p.firmware.Open()
	if err != nil {
		return nil, 0, format.Malformed("%s: %v", p.bin, err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, maxFirmware+1))
	if err != nil {
		return nil, 0, format.Wrap(format.ErrBadHash, "%s: %v", p.bin, err)
	}
	if n > maxFirmware {
		return nil, 0, format.Malformed("%s is larger than %d bytes", p.bin, maxFirmware)
	}
	return h.Sum(nil), n, nil
}

// Check applies a device's rules: version not lower, the same hardware, a SoftDevice that is there.
func (img *Image) Check(d format.Device) error {
	if d.Counter != nil {
		return format.Wrap(format.ErrDevice, "the package carries no counter: its version is one")
	}
	if d.Version != "" {
		n, err := compareVersions(img.Describe().Version, d.Version)
		if err != nil {
			return format.Wrap(format.ErrDevice, "%v", err)
		}
		if n < 0 {
			return format.Wrap(format.ErrRollback, "version %s, the device runs %s", img.Describe().Version, d.Version)
		}
	}
	for _, p := range img.parts {
		if d.Size > 0 && int64(p.firmware.UncompressedSize64) > d.Size {
			return format.Wrap(format.ErrTooLarge, "%s has %d bytes, the slot %d", p.bin, p.firmware.UncompressedSize64, d.Size)
		}
		if err := p.packet.init.checkIdentity(d.Is); err != nil {
			return fmt.Errorf("%s: %w", p.kind, err)
		}
	}
	return nil
}

func (c *initCommand) checkIdentity(is map[string]string) error {
	for key, own := range is {
		n, err := strconv.ParseUint(own, 0, 64)
		if err != nil {
			return format.Wrap(format.ErrDevice, "%s %q is no number", key, own)
		}
		switch key {
		case "hw-version":
			if c.hardware != n || !c.seen[2] {
				return format.Wrap(format.ErrWrongDevice, "made for hardware version %d, the device is %d", c.hardware, n)
			}
		case "sd-req":
			if !slices.Contains(c.softdevices, n) {
				return format.Wrap(format.ErrDependency, "needs a SoftDevice of %x, the device has 0x%x", c.softdevices, n)
			}
		default:
			return format.Wrap(format.ErrDevice, "a DFU package does not say for which %s", key)
		}
	}
	return nil
}

func compareVersions(a, b string) (int, error) {
	x, err := strconv.ParseUint(a, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("version %q is no number", a)
	}
	y, err := strconv.ParseUint(b, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("version %q is no number", b)
	}
	switch {
	case x < y:
		return -1, nil
	case x > y:
		return 1, nil
	}
	return 0, nil
}
