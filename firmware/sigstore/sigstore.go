// Package sigstore tells whether an artifact is what its maker signed with Sigstore's
// tools: bundles v0.1 to v0.3 (a message signature, or a DSSE envelope with an in-toto
// statement) by a managed key or keyless, and cosign's plain blob signatures. It works
// offline: the trusted root, the identity asked for and the keys come from the caller. It
// never asks a log, an authority or a TUF repository, and decides by no hint of a bundle.
package sigstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"
	"unicode"

	"github.com/sigstore/sigstore-go/pkg/bundle"

	"assay/firmware/format"
)

// Name of the format, also in format.Trust.Own.
const Name = "sigstore"

const (
	mediaTypePrefix = "application/vnd.dev.sigstore.bundle"
	trustedRootType = "application/vnd.dev.sigstore.trustedroot"
	payloadType     = "application/vnd.in-toto+json"

	maxBundle    = 16 << 20 // bytes; attestations carry whole SBOMs
	maxSignature = 4 << 10  // bytes of a plain signature in base64
	maxDepth     = 64       // of the JSON of a bundle or a statement
)

// mediaTypes are those that sigstore/protobuf-specs gives to bundles; a later version is not guessed at.
var mediaTypes = map[string]string{
	mediaTypePrefix + "+json;version=0.1": "0.1",
	mediaTypePrefix + "+json;version=0.2": "0.2",
	mediaTypePrefix + "+json;version=0.3": "0.3",
	mediaTypePrefix + ".v0.3+json":        "0.3",
}

// An Image is a signature and the artifact that it is of.
type Image struct {
	raw      []byte         // the signature file
	artifact *format.Source // nil where none was given

	version string         // of the bundle; empty for a plain signature
	bundle  *bundle.Bundle // nil for a plain signature
	sig     []byte
	leaf    *x509.Certificate // of a keyless signature
	hint    string            // of a managed key

	hash   crypto.Hash // of a message signature: a claim
	digest []byte      // of a message signature: a claim

	envelope *envelope // of a DSSE bundle
}

// An envelope is a DSSE envelope (github.com/secure-systems-lab/dsse) with one signature.
type envelope struct {
	payloadType string
	payload     []byte
	statement   statement
}

// Format describes Sigstore to the front door.
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
		Anchor:   isTrustedRoot,
		Variants: variants(),
	}
}

// detect takes a JSON object that speaks of a bundle's media type, and a plain signature in base64.
func detect(in format.Input) bool {
	if in.Dir != nil {
		return false
	}
	b := bytes.TrimLeft(in.Head(maxBundle), " \t\r\n")
	if bytes.HasPrefix(b, []byte("{")) {
		return bytes.Contains(b, []byte(`"`+mediaTypePrefix))
	}
	_, err := decodePlain(in.Head(maxSignature + 1))
	return err == nil
}

func isTrustedRoot(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && bytes.Contains(b, []byte(`"`+trustedRootType))
}

func malformed(s string, args ...any) error {
	return wrap(format.ErrMalformed, s, args...)
}

func wrap(err error, s string, args ...any) error {
	return fmt.Errorf("%s: %w", oneLine(fmt.Sprintf(s, args...)), err)
}

// oneLine keeps what a hostile bundle put into a library's error from becoming lines of a report.
func oneLine(s string) string {
	const most = 500
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
