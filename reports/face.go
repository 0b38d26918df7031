package reports

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"assay/profiles"
	"assay/reports/verdict"
)

// What faces share: words for people, names for machines. None of it judges.

// Worst lists the verdicts in the order in which a reader looks for them.
var Worst = []verdict.Verdict{verdict.Fail, verdict.Inconclusive, verdict.Pass, verdict.NotApplicable}

// Closed is a verdict of the closed vocabulary: whatever is none of its words settled nothing.
func Closed(v verdict.Verdict) verdict.Verdict {
	if slices.Contains(Worst, v) {
		return v
	}
	return verdict.Inconclusive
}

// Warnings are what a reader must know before the verdicts.
func (r *Report) Warnings() []string {
	var out []string
	if r.Note != "" {
		out = append(out, r.Note)
	}
	if r.Outcome == "" {
		out = append(out, "This run never came to its end: what was observed until then is judged, the rest is inconclusive.")
	} else if r.Outcome != "finished" {
		out = append(out, "This run was "+string(r.Outcome)+" before its end.")
	}
	if !r.Sealed {
		out = append(out, "This evidence is not sealed.")
	}
	if r.Key == "ephemeral" {
		out = append(out, "The evidence is signed with a key that was made for this run and kept nowhere: it shows that nothing was changed since, not who made it.")
	}
	if r.Dropped > 0 {
		out = append(out, fmt.Sprintf("The capture lost %d frames; nothing that rests on an absence in that time passes.", r.Dropped))
	}
	out = append(out, r.Otherwise()...)
	out = append(out, r.Redaction()...)
	out = append(out, r.Interruptions()...)
	out = append(out, r.Unproven()...)
	return append(out, r.Missing()...)
}

// Otherwise tells that the verdicts shown are not those on record, which another edition of the judge wrote.
func (r *Report) Otherwise() []string {
	if r.Judge == nil || len(r.Judge.Differs) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("The verdicts on record are of edition %d of the judge. Edition %d, whose verdicts these are, sees otherwise: %s.", r.Judge.Edition, r.Judge.Own, few(r.Judge.Differs))}
}

// Redaction tells of a redacted copy what is not in it.
func (r *Report) Redaction() []string {
	if len(r.Withheld) == 0 {
		return nil
	}
	return []string{"This was read from a redacted copy, which withholds " + strings.Join(r.Withheld, ", ") + ". The verdicts need nothing of it."}
}

// SignedWith tells in words what a run is sealed with.
func (r *Report) SignedWith() string {
	switch r.Key {
	case "":
		return "no key"
	case "keyless":
		return "a key of minutes, certified by the lab's Fulcio"
	}
	return r.Key + " key"
}

// Limits are what no verdict in any face shows.
func (r *Report) Limits() []string {
	out := []string{
		"The results relate only to the unit that was tested, in the state and with the firmware that are named here.",
		"The report does not show that the specimen stands for the product as it is sold, nor that a laboratory's clock and network were honest before the first record.",
		"What nobody could observe and nobody answered is inconclusive. It is not a pass.",
	}
	for _, p := range r.Profiles {
		if left := p.Omitted.String(); left != "" {
			out = append(out, "Profile "+p.ID+": "+left+"; "+PartOnly+".")
		}
		if slices.ContainsFunc(p.Requirements, func(q verdict.Requirement) bool { return q.Certainty == Recalled }) {
			out = append(out, "Requirements marked as recalled were not held against the standard's own text: hold id and level against it before they are relied on.")
		}
	}
	return append(out, "The sealed evidence is the record; this document is a rendering of it.")
}

// Item names what was tested in one line.
func (d Device) Item() string {
	return strings.TrimSpace(d.Manufacturer+" "+d.Model) + ", firmware " + d.Firmware
}

// Said is the moment of the last thing on record, the one time that every rendering of it may carry.
func (r *Report) Said() time.Time {
	t := r.Started
	if r.Ended != nil {
		return r.Ended.UTC()
	}
	for _, o := range r.Observations {
		if o.End.After(t) {
			t = o.End
		}
	}
	return t.UTC()
}

// Tested names the tool as it ran.
func (r *Report) Tested() string { return strings.TrimSpace("assay " + r.Tool.Version) }

// A Field is one entry of a JSON object as it is printed.
type Field struct{ Name, Value string }

// Fields lists a flat JSON object in its own order; nothing where it is none.
func Fields(raw json.RawMessage) []Field {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var out []Field
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			break
		}
		out = append(out, Field{fmt.Sprint(name), strings.Trim(string(value), `"`)})
	}
	return out
}

// namespace is the one of our names in version 5 UUIDs: that of "assay" in the namespace of DNS names.
var namespace = [16]byte{0x9d, 0x6f, 0x3c, 0x1e, 0x52, 0xb4, 0x5a, 0x0e, 0x8f, 0x21, 0x6a, 0x5d, 0x0b, 0x77, 0xc4, 0x93}

// Names makes the report's names for machines. Two reports of the same record by the same profile give
// the same ones; any other verdict gives others.
type Names struct{ seed string }

// Names are seeded by the record and by every verdict on it.
func (r *Report) Names() (Names, error) {
	b, err := json.Marshal(r.Profiles)
	if err != nil {
		return Names{}, fmt.Errorf("name report %s: %w", r.Run, err)
	}
	return Names{fmt.Sprintf("%s\x00%s\x00%x", r.Head, r.Run, sha256.Sum256(b))}, nil
}

// Digest is the hex SHA-256 of what the names are made from.
func (n Names) Digest() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(n.seed))) }

// UUID is a version 5 UUID (RFC 9562 section 5.5) of something in the report.
func (n Names) UUID(parts ...string) string {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte(n.seed + "\x00" + strings.Join(parts, "\x00")))
	u := h.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Plain takes from a string of the evidence what would break a line, move a cursor or turn the
// direction of writing.
func Plain(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t' || c == '\r':
			return ' '
		case unicode.Is(unicode.Other, c):
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Plainly writes a page of several lines and takes from it what Plain takes from a line: escaping alone lets an
// override of the direction of writing turn a verdict around.
func Plainly(w io.Writer, page func(io.Writer) error) error {
	to := transform.NewWriter(w, runes.Map(func(c rune) rune {
		if c != '\n' && c != '\t' && unicode.Is(unicode.Other, c) {
			return unicode.ReplacementChar
		}
		return c
	}))
	return errors.Join(page(to), to.Close())
}

// Clip is Plain of at most so many characters.
func Clip(s string, most int) string {
	s = Plain(s)
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// By names who gave an answer.
func By(v *verdict.Review) string {
	if v == nil || v.Said == nil {
		return ""
	}
	parts := []string{v.Said.By.Name, v.Said.By.Role}
	if v.Said.By.Organisation != "" {
		parts = append(parts, v.Said.By.Organisation)
	}
	return strings.Join(append(parts, v.Said.Date), ", ")
}

// Answered lists the evidence classes that a requirement's verdict rests on: of the checks that were
// asked and of the reviews that somebody gave.
func Answered(q verdict.Requirement) []profiles.Class {
	var out []profiles.Class
	for _, class := range profiles.Classes {
		checked := slices.ContainsFunc(q.Checks, func(c verdict.Check) bool {
			return c.Evidence == class && (c.Observation != "" || c.Step == "")
		})
		said := slices.ContainsFunc(Units(q), func(u verdict.Unit) bool {
			return u.Review != nil && u.Review.Said != nil && u.Review.Wants == class
		})
		if checked || said {
			out = append(out, class)
		}
	}
	return out
}

// Address is how a requirement is named across standards: standard/id.
func Address(q verdict.Requirement) string { return q.Standard + "/" + q.ID }
