// Package mender tells whether a Mender artifact (format versions 2 and 3) is what its
// maker signed: a strict reader of the outer archive, the manifest and the header, a
// verifier that follows every line of the manifest into the compressed payloads, a
// writer of signed artifacts, and the variants that a device must refuse. It unpacks
// nothing to disk, never takes a key from the artifact, and stops at whatever
// decompresses to more than an artifact can be worth.
package mender

import (
	"bytes"

	"assay/firmware/format"
)

// Name of the format.
const name = "mender"

// Sizes at which reading stops; mender-artifact itself writes far less.
const (
	maxSmall    = 1 << 20  // bytes of version, manifest, signature, and of one JSON member of the header
	maxHeader   = 64 << 20 // decompressed header with its state scripts
	maxPayloads = 1000     // of one artifact; the format counts in four digits
	maxMembers  = 10_000   // of one inner archive
	blockSize   = 512      // of tar, POSIX.1-2017 pax
	hashBuffer  = 1024 * 1024
)

// Format describes Mender artifacts to the front door.
func Format() format.Format {
	return format.Format{
		Name:   name,
		Detect: detect,
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := OpenUnverified(in)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Variants: variants(),
	}
}

// detect asks for a tar archive whose first member is the file version of the format.
func detect(in format.Input) bool {
	head := in.Head(2 * blockSize)
	return len(head) > 262 && bytes.HasPrefix(head, []byte("version\x00")) && bytes.Equal(head[257:262], []byte("ustar")) &&
		(len(head) < 2*blockSize || bytes.Contains(head[blockSize:], []byte(`"mender"`)))
}
