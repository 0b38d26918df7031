// Package firmware tells whether a firmware image is what its maker signed, what the
// signature covers and what not, and makes the variants that a device must refuse.
// The short path is the verified one: Open and Verify take the trusted keys. It never
// takes a key from an image, never goes by file names and imports nothing of assay.
package firmware

import (
	"fmt"
	"slices"

	"assay/firmware/format"
	"assay/firmware/mcuboot"
)

// The contract that every format fulfils; see package format.
type (
	Image    = format.Image
	Facts    = format.Facts
	Region   = format.Region
	Field    = format.Field
	Report   = format.Report
	Key      = format.Key
	Keys     = format.Keys
	Manifest = format.Manifest
	Layer    = format.Layer
)

// Why an image is refused; see package format.
var (
	ErrUnknownFormat  = format.ErrUnknownFormat
	ErrMalformed      = format.ErrMalformed
	ErrTrailing       = format.ErrTrailing
	ErrNotVerified    = format.ErrNotVerified
	ErrUnsigned       = format.ErrUnsigned
	ErrBadHash        = format.ErrBadHash
	ErrBadSignature   = format.ErrBadSignature
	ErrNoTrustedKey   = format.ErrNoTrustedKey
	ErrAlgorithm      = format.ErrAlgorithm
	ErrEncrypted      = format.ErrEncrypted
	ErrNotForDevice   = format.ErrNotForDevice
	ErrRollback       = format.ErrRollback
	ErrWrongDevice    = format.ErrWrongDevice
	ErrDependency     = format.ErrDependency
	ErrTooLarge       = format.ErrTooLarge
	ErrUnknownVariant = format.ErrUnknownVariant
	ErrNotApplicable  = format.ErrNotApplicable
)

// The variants that Tamper makes; see package format.
const (
	Tampered       = format.Tampered
	TamperedPlain  = format.TamperedPlain
	Unsigned       = format.Unsigned
	WrongKey       = format.WrongKey
	WrongKeyForged = format.WrongKeyForged
)

// Formats lists the known formats in the order in which they are tried. A new
// format is its folder and one line here.
func Formats() []format.Format {
	return []format.Format{
		mcuboot.Format(),
	}
}

// Variants lists what Tamper can make.
func Variants() []string { return format.Variants() }

// ParseKeys reads a set of public keys from PEM.
func ParseKeys(pem []byte) (Keys, error) { return format.ParseKeys(pem) }

// Open returns the image in b if one of keys signed it, else an error that says
// which check failed. It keeps b.
func Open(b []byte, keys Keys) (Image, error) {
	img, err := OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	if _, err := img.Verify(keys); err != nil {
		return nil, err
	}
	return img, nil
}

// Verify tells whether one of keys signed the image in b. The report is filled as
// far as the check got, the error is nil only if the image is genuine.
func Verify(b []byte, keys Keys) (Report, error) {
	img, err := OpenUnverified(b)
	if err != nil {
		return Report{}, err
	}
	return img.Verify(keys)
}

// OpenUnverified parses the image in b and checks no signature. It keeps b.
func OpenUnverified(b []byte) (Image, error) {
	f, err := detect(b)
	if err != nil {
		return nil, err
	}
	return f.OpenUnverified(b)
}

// Tamper returns a variant of a genuine image that a good device refuses, and how
// it was made.
func Tamper(image []byte, variant string) ([]byte, Manifest, error) {
	img, err := OpenUnverified(image)
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("make variant %q: %w", variant, err)
	}
	return img.Tamper(variant)
}

// Compare orders two images of one format by version: -1 if a is older than b.
func Compare(a, b Facts) (int, error) {
	formats := Formats()
	i := slices.IndexFunc(formats, func(f format.Format) bool { return f.Name == a.Format })
	if i < 0 || a.Format != b.Format {
		return 0, fmt.Errorf("compare versions of %q and %q: %w", a.Format, b.Format, ErrUnknownFormat)
	}
	return formats[i].Compare(a.Version, b.Version)
}

func detect(b []byte) (format.Format, error) {
	for _, f := range Formats() {
		if f.Detect(b) {
			return f, nil
		}
	}
	return format.Format{}, fmt.Errorf("open image of %d bytes: %w", len(b), ErrUnknownFormat)
}
