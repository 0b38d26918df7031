// Package text prints a report for a person at a terminal: the statement, the verdict
// table, and for whatever did not pass what was seen and how to mend it. It never
// prints a secret, and colours only where it is told to.
package text

import (
	"fmt"
	"io"
	"strings"

	"assay/lab"
	"assay/reports"
	"assay/reports/verdict"
)

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
	if r.Dropped > 0 {
		p.linef("\nThe capture lost %d of %d frames; nothing that rests on an absence in that time passes.", r.Dropped, r.Dropped+r.Frames)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func unit(r *reports.Report) string {
	all := r.Units
	if len(all) == 0 {
		all = []lab.Unit{r.Unit}
	}
	var said []string
	for _, u := range all {
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
	colour bool
	told   map[string]string // check -> requirement under which it was told
}

func (p *printer) linef(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

// profile prints one statement, its table and what is to be mended.
func (p *printer) profile(r *reports.Report, v verdict.Result) {
	p.linef("profile %s version %s: %s (%s)\n", v.ID, v.Version, p.paint(string(v.Conformity)), reports.Count(v))
	p.linef("  %-10s %-12s %-15s %s", "ID", "LEVEL", "VERDICT", "CHECKS")
	for _, req := range v.Requirements {
		p.linef("  %-10s %-12s %s %-12s %s", req.ID, req.Level, p.pad(string(req.Verdict), 15), p.signs(req.Checks), req.Title)
	}
	for _, req := range v.Requirements {
		if req.Verdict == verdict.Pass {
			continue
		}
		p.requirement(r, req)
	}
}

// requirement prints what kept one requirement from passing. A check that several
// requirements name is told once.
func (p *printer) requirement(r *reports.Report, req verdict.Requirement) {
	p.linef("\n%s %s %s: %s", p.paint(string(req.Verdict)), req.Standard, req.ID, req.Title)
	if len(req.Checks) == 0 || req.Verdict == verdict.NotApplicable {
		p.linef("    %s", req.Reason)
		return
	}
	for _, c := range req.Checks {
		switch first, told := p.told[c.ID]; {
		case c.Verdict == verdict.Pass:
		case told:
			p.linef("  %s %s: as told under %s", p.paint(reports.Sign(c.Verdict)), c.ID, first)
		default:
			p.told[c.ID] = req.ID
			p.check(r, c)
		}
	}
}

// check prints one check that did not pass.
func (p *printer) check(r *reports.Report, c verdict.Check) {
	p.linef("  %s %s: %s", p.paint(reports.Sign(c.Verdict)), c.ID, c.Reason)
	if c.Verdict == verdict.Fail && c.Remedy != "" {
		p.linef("      mend: %s", c.Remedy)
	}
	if frames := r.Frame(c.Observation); frames != "" {
		p.linef("      seen: %s, %s", c.Observation, frames)
	}
}

func (p *printer) signs(checks []verdict.Check) string {
	var b strings.Builder
	for _, c := range checks {
		b.WriteString(reports.Sign(c.Verdict))
	}
	return b.String()
}

// pad paints after padding, so that invisible characters do not shift a column.
func (p *printer) pad(word string, width int) string {
	return p.paint(word) + strings.Repeat(" ", max(0, width-len(word)))
}

// paint colours the words and signs of the verdict algebra.
func (p *printer) paint(word string) string {
	if !p.colour {
		return word
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
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}
