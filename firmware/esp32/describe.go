package esp32

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"
)

// Describe tells what the image says about itself; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	f := format.Facts{
		Format:    name,
		Version:   img.Version(),
		Targets:   img.targets(),
		Signature: img.claimedSignature(),
		Size:      img.src.Size(),
		Fields:    img.fields(),
		Notes:     img.notes(),
	}
	for _, s := range img.segments {
		f.PayloadSize += s.length
	}
	if img.desc != nil {
		f.SecurityCounter = new(uint64(img.desc.secureVersion))
	}
	if i := slices.IndexFunc(img.blocks, func(b block) bool { return b.err == nil }); i >= 0 {
		digest := img.blocks[i].keyDigest()
		f.KeyHint = hex.EncodeToString(digest[:])
	}
	if f.Signature == "" {
		f.Uncovered = img.regions()
	} else {
		f.Covered = img.regions()
	}
	f.Uncovered = append(f.Uncovered, img.tail()...)
	return f
}

func (img *Image) targets() []string {
	t := []string{"chip=" + img.header.chip.String()}
	if img.header.min != 0 || img.header.minOld != 0 {
		t = append(t, "chip-revision>="+img.minRevision().String())
	}
	if img.header.max.set() {
		t = append(t, "chip-revision<="+img.header.max.String())
	}
	if img.desc != nil && img.desc.project != "" {
		t = append(t, "project="+img.desc.project)
	}
	return t
}

// minRevision is the full one; before it was there, whole numbers stood beside it.
func (img *Image) minRevision() Revision {
	if img.header.min == 0 {
		return Revision(img.header.minOld) * 100
	}
	return img.header.min
}

func (img *Image) claimedSignature() string {
	if img.v1 != nil {
		return "ecdsa-p256-sha256"
	}
	var schemes []string
	for _, b := range img.blocks {
		if b.err == nil && !slices.Contains(schemes, b.scheme) {
			schemes = append(schemes, b.scheme)
		}
	}
	return strings.Join(schemes, ", ")
}

// regions are what a signature covers, in order and without a gap.
func (img *Image) regions() []format.Region {
	all := []format.Region{region("header", 0, headerSize)}
	for i, s := range img.segments {
		all = append(all, region(fmt.Sprintf("segment %d", i), s.at-segmentHead, s.at+s.length))
	}
	last := img.segments[len(img.segments)-1]
	all = append(all, region("padding and checksum", last.at+last.length, img.sumAt+1))
	if img.header.hashAppended {
		all = append(all, region("appended sha-256", img.sumAt+1, img.end))
	}
	if img.covered > img.end {
		all = append(all, region("padding to a sector", img.end, img.covered))
	}
	return all
}

func (img *Image) tail() []format.Region {
	switch {
	case img.v1 != nil:
		return []format.Region{region("secure boot v1 signature", img.covered, img.src.Size())}
	case img.sector != nil:
		return []format.Region{region("signature sector", img.covered, img.src.Size())}
	}
	return nil
}

func region(name string, from, to int64) format.Region {
	return format.Region{Name: name, Offset: from, Size: to - from}
}

func (img *Image) fields() []format.Field {
	covered := img.claimedSignature() != ""
	var all []format.Field
	add := func(name, value string, args ...any) {
		all = append(all, format.Field{Name: name, Value: fmt.Sprintf(value, args...), Protected: covered})
	}
	add("entry", "0x%08x", img.header.entry)
	add("chip id", "%d", img.header.chip)
	add("min chip revision", "%v", img.minRevision())
	if img.header.max.set() {
		add("max chip revision", "%v", img.header.max)
	}
	for i, s := range img.segments {
		add(fmt.Sprintf("segment %d", i), "%d bytes at offset %d to 0x%08x", s.length, s.at, s.load)
	}
	if d := img.desc; d != nil {
		add("secure version", "%d", d.secureVersion)
		add("project name", "%s", d.project)
		add("compile time", "%s %s", d.date, d.time)
		add("esp-idf", "%s", d.idf)
		add("elf sha-256", "%x", d.elf)
	}
	for _, b := range img.blocks {
		f := format.Field{Name: b.place()}
		if f.Value = fmt.Sprintf("does not count: %v", b.err); b.err == nil {
			f.Value = fmt.Sprintf("%s, eFuse digest %x", b.scheme, b.keyDigest())
		}
		all = append(all, f)
	}
	return all
}

// notes are what a lab should know: what no signature keeps a device from.
func (img *Image) notes() []string {
	var notes []string
	say := func(s string, args ...any) { notes = append(notes, fmt.Sprintf(s, args...)) }
	switch d := img.desc; {
	case d == nil:
		say("no app description: neither a version nor a secure version, so nothing in it resists an older image")
	case d.secureVersion == 0:
		say("secure version 0: nothing in it resists an older image, the version is not compared")
	default:
		say("the secure version is the only field that resists an older image: an older version with the same secure version is taken")
	}
	if img.desc != nil {
		say("ESP-IDF compares chip id and revision only: an image of another project for the same chip and key is taken")
	}
	if _, known := chipNames()[img.header.chip]; !known {
		say("unknown chip id %d", img.header.chip)
	}
	if !img.header.hashAppended {
		say("no appended sha-256: damage is found by an 8-bit checksum, or by the signature")
	}
	img.signatureNotes(say)
	return notes
}

func (img *Image) signatureNotes(say func(string, ...any)) {
	if img.v1 != nil {
		say("secure boot v1, of the ESP32 before revision 3; its signature names no key and its key cannot be revoked")
	}
	good := 0
	for _, b := range img.blocks {
		if b.err != nil {
			say("a slot of the signature sector does not count: %v", b.err)
			continue
		}
		good++
		if b.rest {
			say("%s has reserved bytes that are not zero; nothing covers them", b.place())
		}
		if b.raw[1] == blockECDSA {
			img.ecdsaNotes(say)
		}
	}
	if good > 1 {
		say("%d signature blocks: any of their keys is enough", good)
	}
	if img.sector != nil && !erased(img.sector[maxBlocks*blockSize:]) {
		say("bytes behind the last slot of the signature sector are not erased flash; nothing covers them")
	}
}

// ecdsaNotes name chips whose ROM judges ECDSA in another way than Verify.
func (img *Image) ecdsaNotes(say func(string, ...any)) {
	switch img.header.chip {
	case ChipH2, ChipC5, ChipC61, ChipP4:
		say("the ROM of %v takes r and s of an ECDSA signature out of range (Espressif AR2026-006)", img.header.chip)
	case ChipESP32, ChipS2, ChipS3, ChipC3:
		say("the ROM of %v knows RSA only: it does not take this ECDSA block", img.header.chip)
	}
}
