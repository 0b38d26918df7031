// Package esp32 tells whether an application image of the ESP32 family is what its maker
// signed: a strict reader of header, segments and app description, a verifier of Secure
// Boot V1 and V2 (RSA-3072-PSS, ECDSA on P-192, P-256 and P-384), a writer of signed
// images, and the rules by which a device refuses older or foreign ones. It looks for
// the signature where the boot ROM does, takes a key of the image only if a trusted eFuse
// digest names it, and never decrypts flash.
package esp32

import (
	"fmt"
	"strconv"
	"strings"

	"assay/firmware/format"
)

const name = "esp32"

// Numbers of the format: components/bootloader_support of espressif/esp-idf
// (esp_app_format.h, esp_image_format.c) and espsecure of espressif/esptool. All integers
// are little endian unless said otherwise.
const (
	imageMagic    = 0xe9
	checksumSeed  = 0xef
	headerSize    = 24
	segmentHead   = 8
	maxSegments   = 16
	hashSize      = 32
	checksumAlign = 16

	appDescMagic = 0xabcd5432
	appDescSize  = 256
	appDescAt    = headerSize + segmentHead // ESP-IDF reads it there and nowhere else

	sectorSize = 4096
	v1Size     = 4 + 64 // u32 version, r and s big endian
)

// A Chip is the chip id of an image header.
type Chip uint16

// Chips with rules of their own.
const (
	ChipESP32 Chip = 0
	ChipS2    Chip = 2
	ChipC3    Chip = 5
	ChipS3    Chip = 9
	ChipC6    Chip = 13
	ChipH2    Chip = 16
	ChipP4    Chip = 18
	ChipC61   Chip = 20
	ChipC5    Chip = 23
)

// chipNames are esp_chip_id_t of esp-idf.
func chipNames() map[Chip]string {
	return map[Chip]string{
		ChipESP32: "ESP32", ChipS2: "ESP32-S2", ChipC3: "ESP32-C3", ChipS3: "ESP32-S3", 12: "ESP32-C2", ChipC6: "ESP32-C6",
		ChipH2: "ESP32-H2", ChipP4: "ESP32-P4", ChipC61: "ESP32-C61", ChipC5: "ESP32-C5", 25: "ESP32-H21", 28: "ESP32-H4",
		31: "ESP32-E22", 32: "ESP32-S31",
	}
}

func (c Chip) String() string {
	if n, ok := chipNames()[c]; ok {
		return n
	}
	return fmt.Sprintf("chip id %d", uint16(c))
}

// parseChip reads a chip id or the name that goes with it.
func parseChip(s string) (Chip, error) {
	if n, err := strconv.ParseUint(s, 0, 16); err == nil {
		return Chip(n), nil
	}
	for c, n := range chipNames() {
		if strings.EqualFold(n, s) {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%.40q is neither a chip id nor the name of a chip", s)
}

// A Revision is a chip revision times 100: 101 is v1.1.
type Revision uint16

func (r Revision) String() string { return fmt.Sprintf("v%d.%d", r/100, r%100) }

// set tells whether a maximum is one: both extremes mean none (esp-idf: IS_FIELD_SET).
func (r Revision) set() bool { return r != 0 && r != 0xffff }

// parseRevision reads "1.1" or "v1.1".
func parseRevision(s string) (Revision, error) {
	major, minor, ok := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	a, errA := strconv.ParseUint(major, 10, 9)
	b, errB := strconv.ParseUint(minor, 10, 9)
	if !ok || errA != nil || errB != nil || b > 99 {
		return 0, fmt.Errorf("%.40q is no chip revision like 1.1", s)
	}
	return Revision(a*100 + b), nil
}

// Format describes the ESP32 application image to the front door.
func Format() format.Format {
	return format.Format{
		Name:   name,
		Detect: detect,
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := OpenUnverified(in.Source)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Compare:  compareVersions,
		Anchor:   isAnchor,
		Variants: variants(),
	}
}
