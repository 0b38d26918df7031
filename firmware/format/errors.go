package format

import (
	"errors"
	"fmt"
	"slices"
)

// Why an image is not taken. Every error of Verify is one of these; ErrNotVerified
// is the family of those that say "well-formed, but nobody trusted vouches for it".
var (
	ErrUnknownFormat = errors.New("no known firmware format")
	ErrMalformed     = errors.New("malformed image")
	ErrTrailing      = fmt.Errorf("bytes behind the image that nothing covers: %w", ErrMalformed)

	ErrNotVerified  = errors.New("not verified")
	ErrUnsigned     = fmt.Errorf("no signature: %w", ErrNotVerified)
	ErrBadHash      = fmt.Errorf("hash does not fit: %w", ErrNotVerified)
	ErrBadSignature = fmt.Errorf("signature does not fit: %w", ErrNotVerified)
	ErrNoTrustedKey = fmt.Errorf("no trusted key: %w", ErrNotVerified)
	ErrAlgorithm    = fmt.Errorf("algorithm does not fit the trusted key: %w", ErrNotVerified)
	ErrEncrypted    = fmt.Errorf("payload is encrypted: %w", ErrNotVerified)
	ErrChain        = fmt.Errorf("certificate chain does not lead to a trusted root: %w", ErrNotVerified)
	ErrValidity     = fmt.Errorf("not valid at that time: %w", ErrNotVerified)
	ErrPurpose      = fmt.Errorf("certificate is for another purpose: %w", ErrNotVerified)
	ErrRevoked      = fmt.Errorf("revoked: %w", ErrNotVerified)
	ErrWeak         = fmt.Errorf("too weak to vouch for anything: %w", ErrNotVerified)
	ErrNotBound     = fmt.Errorf("something that will be used is not covered: %w", ErrNotVerified)
	ErrNotLogged    = fmt.Errorf("no trusted transparency log vouches for it: %w", ErrNotVerified)
	ErrStale        = fmt.Errorf("expired or rolled back metadata: %w", ErrNotVerified)
)

// Why a device refuses an image that its maker did sign.
var (
	ErrNotForDevice = errors.New("genuine, but not for this device")
	ErrRollback     = fmt.Errorf("older than the device allows: %w", ErrNotForDevice)
	ErrWrongDevice  = fmt.Errorf("made for another device: %w", ErrNotForDevice)
	ErrDependency   = fmt.Errorf("needs another image first: %w", ErrNotForDevice)
	ErrTooLarge     = fmt.Errorf("larger than the slot: %w", ErrNotForDevice)
)

// ErrDevice is the caller's: what was said of the device cannot be used with this format.
var ErrDevice = errors.New("unusable description of the device")

// Why an image cannot be tampered with as asked.
var (
	ErrUnknownVariant = errors.New("no such variant")
	ErrNotApplicable  = errors.New("variant does not apply to this image")
)

// Wrap says what went wrong and of which kind it is.
func Wrap(kind error, text string, args ...any) error {
	return fmt.Errorf(text+": %w", append(slices.Clip(args), kind)...)
}

// Malformed is Wrap of ErrMalformed.
func Malformed(text string, args ...any) error { return Wrap(ErrMalformed, text, args...) }
