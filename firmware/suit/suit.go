// Package suit tells whether a SUIT envelope (draft-ietf-suit-manifest) is what its
// author signed: a strict reader of envelope and manifest, a verifier of its COSE
// blocks, a reader of its command sequences that finds out which payload is checked
// against which digest, and a writer of signed envelopes. It reads as the strictest
// device would: what two devices might take in two ways is refused. It never takes a
// key from the envelope, never decrypts and never fetches.
package suit

import (
	"errors"
	"fmt"

	"assay/firmware/format"
)

// Name of the format, also in format.Trust.Own, where HSS/LMS keys are.
const Name = "suit"

// CBOR tags of the draft and of RFC 9052.
const (
	tagEnvelope = 107
	tagManifest = 1070
	tagMac0     = 17
	tagSign1    = 18
	tagMac      = 97
	tagSign     = 98
)

// Members of the envelope and of the manifest; what can be severed has one key in both.
const (
	keyWrapper  = 2
	keyManifest = 3

	keyVersion      = 1
	keySequence     = 2
	keyCommon       = 3
	keyReference    = 4
	keyComponentID  = 5
	keySetVersion   = 6
	keyValidate     = 7
	keyLoad         = 8
	keyInvoke       = 9
	keySoftwareID   = 14
	keyDependencies = 15
	keyFetch        = 16
	keyCandidate    = 18
	keyInstall      = 20
	keyText         = 23
	keyUninstall    = 24

	keyCommonDependencies = 1
	keyCommonComponents   = 2
	keyCommonShared       = 4
)

// Parameters.
const (
	paramVendor     = 1
	paramClass      = 2
	paramDigest     = 3
	paramSlot       = 5
	paramSoft       = 13
	paramSize       = 14
	paramContent    = 18
	paramEncryption = 19
	paramURI        = 21
	paramSource     = 22
	paramDevice     = 24
)

// Commands: conditions first.
const (
	condVendor       = 1
	condClass        = 2
	condImage        = 3
	condSlot         = 5
	condContent      = 6
	condDependency   = 7
	condIsDependency = 8
	condAbort        = 14
	condDevice       = 24

	dirProcess        = 11
	dirIndex          = 12
	dirTryEach        = 15
	dirWrite          = 18
	dirOverride       = 20
	dirFetch          = 21
	dirCopy           = 22
	dirInvoke         = 23
	dirWait           = 29
	dirSwap           = 31
	dirRun            = 32
	dirUnlink         = 33
	dirOverrideMany   = 34
	dirCopyParameters = 35
)

// Bounds; a manifest is meant for devices with some kilobytes of memory.
const (
	maxMembers    = 64
	maxMember     = 1 << 20 // bytes of what is not a payload
	maxName       = 1024
	maxComponents = 64
	maxDepth      = 4 // of dependencies within dependencies
)

// Format describes SUIT to the front door.
func Format() format.Format {
	return format.Format{
		Name:   Name,
		Detect: detect,
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := OpenUnverified(in)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Compare:  compare,
		Anchor:   isHSSKey,
		Variants: variants(),
	}
}

// detect goes by the tag, or, without one, by how the first member begins.
func detect(in format.Input) bool {
	b := in.Head(32)
	major, arg, n, err := head(b)
	if err == nil && major == majorTag {
		return arg == tagEnvelope || arg == tagManifest
	}
	if err != nil || major != majorMap {
		return false
	}
	b = b[n:]
	key, name, n, err := head(b)
	if err != nil || key != majorUint || name != keyWrapper && name != keyManifest {
		return false
	}
	b = b[n:]
	wrapped, size, n, err := head(b)
	if err != nil || wrapped != majorBytes || size > uint64(in.Size()) || len(b) <= n {
		return false
	}
	inner := b[n] >> 5
	return name == keyWrapper && inner == majorArray || name == keyManifest && inner == majorMap
}

// inside adds where; what is malformed stays so.
func inside(where string, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, format.ErrMalformed) && !errors.Is(err, format.ErrNotVerified) {
		err = format.Malformed("%v", err)
	}
	return fmt.Errorf("%s: %w", where, err)
}
