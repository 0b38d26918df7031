// Package text prints a report for a person at a terminal: the statement, one table a
// standard, and for whatever did not pass what was seen and how to mend it. It never
// prints a secret, lets no string of the evidence steer the terminal, and colours only
// where it is told to.
package text

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"assay/reports"
)

// columns is the width that tables and running text keep to. A finding is one line however
// long it is: people look for findings with grep.
const columns = 100

// Write prints a report. Colour is for terminals.
func Write(w io.Writer, r *reports.Report, colour bool) error {
	p := &printer{colour: colour, told: map[string]string{}}
	p.linef("%s %s, firmware %s: unit %s", r.Device.Manufacturer, r.Device.Model, r.Device.Firmware, unit(r))
	if r.Note != "" {
		p.linef("%s", r.Note)
	}
	for _, profile := range r.Profiles {
		p.profile(r, profile)
	}
	if r.Outcome == "" {
		p.linef("\nThis run never came to its end: what was observed until then is judged, the rest is inconclusive.")
	}
	for _, gap := range slices.Concat(r.Otherwise(), r.Redaction(), r.Interruptions(), r.Unproven()) {
		p.linef("")
		p.wrap("", 0, gap)
	}
	if r.Dropped > 0 {
		p.linef("\nThe capture lost %d of %d frames; nothing that rests on an absence in that time passes.", r.Dropped, r.Dropped+r.Frames)
	}
	p.linef("")
	p.wrap("", 0, "The bench: "+r.Proven()+".")
	p.linef("Amended through: %s", r.Through.String())
	_, err := io.WriteString(w, p.String())
	return err
}

func unit(r *reports.Report) string {
	var said []string
	for _, u := range r.Specimens() {
		s := u.ID
		if u.Serial != "" {
			s += ", serial " + u.Serial
		}
		if u.MAC != "" {
			s += ", MAC " + u.MAC
		}
		said = append(said, s)
	}
	return strings.Join(said, "; and ")
}

type printer struct {
	strings.Builder
	colour   bool
	recalled bool              // something is marked as recalled: the footnote is due
	told     map[string]string // check -> requirement under which it was told
}

// painted is text that the printer made itself; whatever else is printed is cleaned first.
type painted string

func (p *printer) linef(format string, args ...any) {
	for i, a := range args {
		switch a.(type) {
		case painted, int, uint64:
		default:
			args[i] = reports.Plain(fmt.Sprint(a))
		}
	}
	fmt.Fprintf(p, format+"\n", args...)
}

// wrap prints running text behind a head, whose width the later lines are indented by.
func (p *printer) wrap(head painted, width int, text string) {
	line, used := string(head), width
	for i, word := range strings.Fields(reports.Plain(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > columns:
			p.linef("%s", painted(line))
			line, used = strings.Repeat(" ", width), width
		default:
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	p.linef("%s", painted(line))
}

// clip shortens a text to a width.
func clip(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return strings.TrimRight(string(r[:max(0, width-1)]), " ") + "…"
	}
	return s
}

// paint colours the words and signs of the verdict algebra.
func (p *printer) paint(word string) painted {
	if !p.colour || word == "" {
		return painted(reports.Plain(word))
	}
	colour := ""
	switch word {
	case "pass", "✓", "conformant", "conformant with waivers":
		colour = "32"
	case "fail", "✗", "non-conformant":
		colour = "31;1"
	case "inconclusive", "?", "incomplete":
		colour = "33"
	default:
		colour = "2"
	}
	return painted("\x1b[" + colour + "m" + reports.Plain(word) + "\x1b[0m")
}
