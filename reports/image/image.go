// Package image is the face of a firmware image: what a verification saw, and what a
// refusal set holds. All text of an image is its maker's, or an attacker's: it is cleaned
// before it is shown.
package image

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"assay/firmware"
	"assay/lab/capture"
)

const (
	maxText   = 200 // characters of one value
	maxFields = 200 // entries of one list
)

// Verification is one image under one trust, and before one device.
type Verification struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	firmware.Report
	Refused string           `json:"refused,omitempty"` // why it is not genuine, or not for the device
	Device  *firmware.Device `json:"device,omitempty"`  // whose rules were asked too
	Accepts *bool            `json:"device_accepts,omitempty"`
}

// Text writes the verification for a reader.
func (v *Verification) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	say := func(name, s string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, clean(fmt.Sprintf(s, args...)))
	}
	fmt.Fprintf(t, "%s: %s\n", clean(v.File), v.headline())
	f := v.Image
	if f.Format != "" {
		say("format", "%s", f.Format)
	}
	say("sha256", "%s", v.SHA256)
	if f.Version != "" {
		say("version", "%s", f.Version)
	}
	if f.SecurityCounter != nil {
		say("rollback counter", "%d", *f.SecurityCounter)
	}
	for _, target := range f.Targets {
		say("made for", "%s", target)
	}
	if f.Encrypted != "" {
		say("encrypted", "%s", f.Encrypted)
	}
	if v.Digest != "" {
		say("signed digest", "%s", v.Digest)
	}
	v.chain(t)
	regions(t, "covered", f.Covered)
	regions(t, "NOT COVERED", f.Uncovered)
	for _, field := range head(f.Fields) {
		name := "field"
		if !field.Protected {
			name = "field, not covered"
		}
		say(name, "%s = %s", field.Name, field.Value)
	}
	for _, note := range head(f.Notes) {
		say("note", "%s", note)
	}
	for _, found := range v.Findings {
		say("WEAK", "%s (%s): %s [%s]", found.What, found.Level, found.Says, found.Source)
	}
	return t.Flush()
}

func (v *Verification) headline() string {
	switch {
	case v.Refused != "" && v.Verified:
		return "GENUINE, BUT REFUSED BY THE DEVICE: " + clean(v.Refused)
	case v.Refused != "":
		return "NOT VERIFIED: " + clean(v.Refused)
	case v.Accepts != nil:
		return "VERIFIED, and the device may take it"
	}
	return "VERIFIED"
}

func (v *Verification) chain(w io.Writer) {
	if len(v.Chain) == 0 && v.Key != nil {
		fmt.Fprintf(w, "key\t%s %s, from %s\n", clean(v.Key.Algorithm), v.Key.Fingerprint, clean(v.Key.From))
	}
	for i, l := range head(v.Chain) {
		parts := []string{l.Name, l.Algorithm}
		if l.Strength > 0 {
			parts = append(parts, fmt.Sprintf("%d bits of strength", l.Strength))
		}
		parts = append(parts, l.Purpose)
		if l.NotBefore != "" || l.NotAfter != "" {
			parts = append(parts, "valid "+l.NotBefore+" to "+l.NotAfter)
		}
		if l.From != "" {
			parts = append(parts, "from "+l.From)
		}
		parts = present(parts)
		fmt.Fprintf(w, "%d. %s\t%s\n", i+1, clean(l.Kind), clean(strings.Join(parts, ", ")))
	}
}

func present(parts []string) (kept []string) {
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

func regions(w io.Writer, name string, list []firmware.Region) {
	for _, r := range head(list) {
		fmt.Fprintf(w, "%s\t%s: %d bytes at %d\n", name, clean(r.Name), r.Size, r.Offset)
	}
}

// head is the start of a list that an image can make as long as it likes.
func head[T any](list []T) []T { return list[:min(len(list), maxFields)] }

func clean(s string) string { return capture.Printable(s, maxText) }
