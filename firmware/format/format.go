// Package format is the contract between the front door of firmware and the
// folders below it, one per signed-image format: what an image tells about itself,
// who may vouch for it, why it was refused. It knows no format, opens no file by
// name and never takes trust from the image that the trust should vouch for.
package format

// A Format is one signed-image format, described in data.
type Format struct {
	Name string // "mcuboot"

	// Detect tells from the content whether OpenUnverified should try. It never sees a file name.
	Detect func(in Input) bool

	// OpenUnverified parses strictly and believes nothing: the image it returns has not
	// been checked against any trust. It keeps the input, which must not change afterwards.
	OpenUnverified func(in Input) (Image, error)

	// Compare orders two versions as this format writes them: -1, 0 or 1; nil where the format has no version.
	Compare func(a, b string) (int, error)

	// Anchor tells whether b is a trust anchor in a form that only this format reads (an
	// OpenPGP key ring, a control device tree); nil where PEM is all it knows.
	Anchor func(b []byte) bool

	// Variants names what Tamper makes of this format, in the order of Variants.
	Variants []string
}

// An Image is one parsed image.
type Image interface {
	// Describe tells what the image says about itself. Nothing of it is verified.
	Describe() Facts

	// Verify returns nil only if somebody whom trust names signed the image and everything
	// the signature covers is unchanged. The report is filled as far as it got.
	Verify(trust Trust) (Report, error)

	// Check applies a device's own rules (version, counter, identity, size) to an image
	// that Verify has found genuine; it says nothing about the signature.
	Check(d Device) error

	// Tamper makes a variant that a good device refuses; see Variants.
	Tamper(variant string, means Means) (Variant, error)
}

// Facts is what an image says about itself.
type Facts struct {
	Format          string   `json:"format"`                     // mcuboot
	Version         string   `json:"version"`                    // as the format writes it, e.g. 1.2.3+4
	SecurityCounter *uint64  `json:"security_counter,omitempty"` // covered by the signature; nil where the image carries none
	Targets         []string `json:"targets,omitempty"`          // for which devices, in the format's own words: compatible=IoT Board A
	Signature       string   `json:"signature,omitempty"`        // claimed algorithm, e.g. ecdsa-p256-sha256; empty when unsigned
	KeyHint         string   `json:"key_hint,omitempty"`         // the key that the image names; a claim, never a reason to trust
	Encrypted       string   `json:"encrypted,omitempty"`        // e.g. aes-128-ctr; empty when the payload lies in clear
	Size            int64    `json:"size"`                       // bytes of the whole file
	PayloadSize     int64    `json:"payload_size"`               // bytes
	Covered         []Region `json:"covered"`                    // what the signature covers, directly or by a hash that it covers
	Uncovered       []Region `json:"uncovered,omitempty"`        // what anybody may change without breaking it
	Fields          []Field  `json:"fields,omitempty"`           // the rest, in the format's own words
	Notes           []string `json:"notes,omitempty"`            // what a reader should know, one sentence each
}

// A Region is a part of the file, or of the member of it that is named.
type Region struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

// A Field is one entry of an image in its format's own words.
type Field struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Protected bool   `json:"protected"` // the signature covers it
}

// A Report is the outcome of a verification.
type Report struct {
	Image     Facts     `json:"image"`
	Verified  bool      `json:"verified"`
	Signature string    `json:"signature,omitempty"` // the algorithm that was checked
	Key       *Key      `json:"key,omitempty"`       // the trusted key that the image names; it signed it if Verified
	Digest    string    `json:"digest,omitempty"`    // of what the signature covers, "sha256:" and hex
	Chain     []Link    `json:"chain,omitempty"`     // from the trust anchor to the payload, as far as it was followed
	Findings  []Finding `json:"findings,omitempty"`  // weak algorithms and keys, whether or not it verified
}

// A Link is one step from the trust anchor to the payload: a key, a certificate, a signature, a hash, a log entry.
type Link struct {
	Kind      string `json:"kind"`                 // key, certificate, signature, hash, timestamp, log
	Name      string `json:"name"`                 // subject, fingerprint, member
	Algorithm string `json:"algorithm,omitempty"`  // ecdsa-p256-sha256
	Strength  int    `json:"strength,omitempty"`   // security bits by NIST SP 800-57 part 1; 0 where nothing is known
	Purpose   string `json:"purpose,omitempty"`    // code-signing
	NotBefore string `json:"not_before,omitempty"` // RFC 3339
	NotAfter  string `json:"not_after,omitempty"`  // RFC 3339
	From      string `json:"from"`                 // where it came from: the file of the anchor, "image", "hash above"
}
