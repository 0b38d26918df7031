// Package firmware tells whether a firmware image is what its maker signed, what the
// signature covers and what not, and makes the variants that a device must refuse.
// The short path is the verified one: Open and Verify take the trusted keys. It never
// takes a key from an image, never goes by file names and imports nothing of assay.
package firmware

import (
	"fmt"
	"slices"
	"sync"

	"assay/firmware/authenticode"
	"assay/firmware/capsule"
	"assay/firmware/carrier"
	"assay/firmware/detached"
	"assay/firmware/esp32"
	"assay/firmware/fit"
	"assay/firmware/format"
	"assay/firmware/mcuboot"
	"assay/firmware/mender"
	"assay/firmware/nordic"
	"assay/firmware/rauc"
	"assay/firmware/sigstore"
	"assay/firmware/suit"
	"assay/firmware/swupdate"
	"assay/firmware/tuf"
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
	Input    = format.Input
	Source   = format.Source
	Trust    = format.Trust
	Anchor   = format.Anchor
	Device   = format.Device
	Means    = format.Means
	Variant  = format.Variant
	Link     = format.Link
	Finding  = format.Finding
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
	ErrChain          = format.ErrChain
	ErrValidity       = format.ErrValidity
	ErrPurpose        = format.ErrPurpose
	ErrRevoked        = format.ErrRevoked
	ErrWeak           = format.ErrWeak
	ErrNotBound       = format.ErrNotBound
	ErrStale          = format.ErrStale
	ErrDevice         = format.ErrDevice
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

// Formats lists the known formats in the order in which they are tried.
func Formats() []format.Format { return slices.Clone(formats()) }

// formats is made once: each format puts its variants in order, for which else every image that
// is opened and every anchor that is read would pay. A new format is its folder and one line here.
var formats = sync.OnceValue(func() []format.Format {
	images := []format.Format{
		mcuboot.Format(),
		authenticode.Format(),
		capsule.Format(),
		nordic.Format(),
		esp32.Format(),
		rauc.Format(),
		fit.Format(),
		suit.Format(),
		mender.Format(),
		swupdate.Format(),
		sigstore.Format(),
		tuf.Format(),
	}
	// Behind them what carries one of them, then the signatures in a file of their own: a raw one has no mark.
	return slices.Concat(images, carrier.Formats(images), detached.Formats())
})

// Variants lists what Tamper can make, each of some formats.
func Variants() []string { return format.Variants() }

// FromBytes is the input of an image that is held in memory and must not change afterwards.
func FromBytes(b []byte) Input { return Input{Source: format.FromBytes(b)} }

// Open returns the image if somebody whom trust names signed it, else an error that says
// which check failed. It keeps the input.
func Open(in Input, trust Trust) (Image, error) {
	img, err := OpenUnverified(in)
	if err != nil {
		return nil, err
	}
	if _, err := img.Verify(trust); err != nil {
		return nil, err
	}
	return img, nil
}

// Verify tells whether somebody whom trust names signed the image. The report is filled as
// far as the check got, the error is nil only if the image is genuine.
func Verify(in Input, trust Trust) (Report, error) {
	img, err := OpenUnverified(in)
	if err != nil {
		return Report{}, err
	}
	return img.Verify(trust)
}

// OpenUnverified parses the image and checks no signature. It keeps the input.
func OpenUnverified(in Input) (Image, error) {
	f, err := Detect(in)
	if err != nil {
		return nil, err
	}
	return f.OpenUnverified(in)
}

// Tamper returns a variant of a genuine image that a good device refuses, and how it was made.
func Tamper(in Input, variant string, means Means) (Variant, error) {
	img, err := OpenUnverified(in)
	if err != nil {
		return Variant{}, fmt.Errorf("make variant %q: %w", variant, err)
	}
	return img.Tamper(variant, means)
}

// Compare orders two images of one format by version: -1 if a is older than b. The v that some write
// before a number is no part of it where only one of the two has it.
func Compare(a, b Facts) (int, error) {
	if bareA, bareB := bare(a.Version), bare(b.Version); (bareA == a.Version) != (bareB == b.Version) {
		a.Version, b.Version = bareA, bareB
	}
	known := formats()
	i := slices.IndexFunc(known, func(f format.Format) bool { return f.Name == a.Format })
	if i >= 0 && a.Format == b.Format && known[i].Compare == nil {
		return format.CompareVersions(a.Version, b.Version)
	}
	if i < 0 || a.Format != b.Format {
		return 0, fmt.Errorf("compare versions of %q and %q: %w", a.Format, b.Format, ErrUnknownFormat)
	}
	return known[i].Compare(a.Version, b.Version)
}

// bare is a version without the v before its number.
func bare(version string) string {
	if len(version) > 1 && (version[0] == 'v' || version[0] == 'V') && version[1] >= '0' && version[1] <= '9' {
		return version[1:]
	}
	return version
}

// Detect finds the format by content.
func Detect(in Input) (format.Format, error) {
	for _, f := range formats() {
		if f.Detect(in) {
			return f, nil
		}
	}
	return format.Format{}, fmt.Errorf("open image of %d bytes: %w", in.Size(), ErrUnknownFormat)
}
