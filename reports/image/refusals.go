package image

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"assay/firmware"
)

// Refusals is a refusal set: variants of one genuine image that a good device refuses.
type Refusals struct {
	Image    string    `json:"image"`
	Format   string    `json:"format"`
	Version  string    `json:"version"`
	SHA256   string    `json:"sha256"`
	Variants []Refusal `json:"variants"`
	Missing  []Missing `json:"not_made,omitempty"`
}

// A Refusal is one variant of the set.
type Refusal struct {
	Files []File `json:"files"`
	firmware.Manifest
	Ours string `json:"ours,omitempty"` // how our own verifier refuses it; empty where no trust was given
}

// A File of a variant.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Missing is a variant that could not be made, and why.
type Missing struct {
	Variant string `json:"variant"`
	Why     string `json:"why"`
}

// Text writes the set for a reader.
func (s *Refusals) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s: %s %s, %d variants that a good device refuses\n", clean(s.Image), clean(s.Format), clean(s.Version), len(s.Variants))
	fmt.Fprintf(t, "VARIANT\tREFUSED AT\tCHANGED\tREPAIRED\tCLASSIC\n")
	for _, r := range s.Variants {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Variant, r.Layer, clean(strings.Join(r.Changed, "; ")), clean(strings.Join(r.Repaired, "; ")), clean(r.Classic))
	}
	for _, m := range s.Missing {
		fmt.Fprintf(t, "%s\tnot made\t%s\n", m.Variant, clean(m.Why))
	}
	return t.Flush()
}
