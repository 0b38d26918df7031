// Package format is the contract between the front door of firmware and the
// folders below it, one per signed-image format: what an image tells about itself,
// which keys may vouch for it, why it was refused. It knows no format, reads no
// file and never takes a key from the image that the key should vouch for.
package format

// A Format is one signed-image format, described in data.
type Format struct {
	Name string // "mcuboot"

	// Detect tells from the first bytes whether Open should try. It never reads
	// a file name.
	Detect func(b []byte) bool

	// OpenUnverified parses strictly and believes nothing: the image it returns
	// has not been checked against any key. It keeps b, which the caller must not
	// change afterwards.
	OpenUnverified func(b []byte) (Image, error)

	// Compare orders two versions as this format writes them: -1, 0 or 1.
	Compare func(a, b string) (int, error)
}

// An Image is one parsed image.
type Image interface {
	// Describe tells what the image says about itself. Nothing of it is verified.
	Describe() Facts

	// Verify returns nil only if one of keys signed the image and everything the
	// signature covers is unchanged. The report is filled as far as it got.
	Verify(keys Keys) (Report, error)

	// Tamper returns a changed copy that a good device refuses; see Variants.
	Tamper(variant string) ([]byte, Manifest, error)
}

// Facts is what an image says about itself.
type Facts struct {
	Format          string   `json:"format"`                     // mcuboot
	Version         string   `json:"version"`                    // as the format writes it, e.g. 1.2.3+4
	SecurityCounter *uint64  `json:"security_counter,omitempty"` // covered by the signature; nil where the image carries none
	Signature       string   `json:"signature,omitempty"`        // claimed algorithm, e.g. ecdsa-p256-sha256; empty when unsigned
	KeyHint         string   `json:"key_hint,omitempty"`         // the key that the image names, in hex; a claim, never a reason to trust
	Encrypted       string   `json:"encrypted,omitempty"`        // e.g. aes-128-ctr; empty when the payload lies in clear
	Size            int64    `json:"size"`                       // bytes of the whole file
	PayloadSize     int64    `json:"payload_size"`               // bytes
	Covered         []Region `json:"covered"`                    // what the signature covers
	Uncovered       []Region `json:"uncovered,omitempty"`        // what anybody may change without breaking it
	Fields          []Field  `json:"fields,omitempty"`           // the rest, in the format's own words
	Notes           []string `json:"notes,omitempty"`            // what a reader should know, one sentence each
}

// A Region is a part of the file.
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
	Image     Facts  `json:"image"`
	Verified  bool   `json:"verified"`
	Signature string `json:"signature,omitempty"` // the algorithm that was checked
	Key       *Key   `json:"key,omitempty"`       // the trusted key that the image names; it signed it if Verified
	Digest    string `json:"digest,omitempty"`    // of what the signature covers, "sha256:" and hex
}
