package show

import (
	"fmt"
	"io"
	"strings"

	"assay/profiles"
	"assay/reports"
)

type printer struct{ strings.Builder }

// linef prints one line; whatever comes from the record is kept from steering the terminal.
func (p *printer) linef(format string, args ...any) {
	for i, a := range args {
		args[i] = reports.Plain(fmt.Sprint(a))
	}
	fmt.Fprintf(p, format+"\n", args...)
}

// Text prints an answer for people.
func (a *Answer) Text(w io.Writer) error {
	p := &printer{}
	if a.Observation != nil {
		p.observation(a.Observation)
	}
	for i, q := range a.Requirements {
		if i > 0 {
			p.linef("")
		}
		p.requirement(q)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

const moment = "2006-01-02 15:04:05.000Z"

func (p *printer) observation(o *Observation) {
	p.linef("%s  %s, version %s", o.ID, o.Probe, o.Version)
	if o.Asks != "" {
		p.linef("  asks      %s", o.Asks)
	}
	p.linef("  step      %s", o.Step)
	p.linef("  unit      %s", o.Unit)
	p.linef("  when      %s to %s, %s s", o.Start.UTC().Format(moment), o.End.UTC().Format(moment), fmt.Sprintf("%.3f", o.Seconds))
	for _, a := range o.Attempts {
		if len(o.Attempts) > 1 {
			p.linef("  attempt %s %s  %s  %s", a.Attempt, a.ID, a.Start.UTC().Format(moment), a.Came)
		}
	}
	p.linef("\nparameters")
	for _, f := range pairs(o.With) {
		p.linef("  %s = %s", f[0], f[1])
	}
	switch {
	case o.Error != "":
		p.linef("\nthe bench failed: %s", o.Error)
	case o.NotAsked != "":
		p.linef("\nnot asked: %s", o.NotAsked)
	default:
		p.linef("\nfacts")
		for _, f := range pairs(o.Facts) {
			p.linef("  %s = %s", f[0], f[1])
		}
	}
	if o.Alive != nil {
		p.linef("  the device answered afterwards: %s", *o.Alive)
	}
	p.linef("\nchecks that it decided: %s", len(o.Checks))
	for _, c := range o.Checks {
		p.check(c)
	}
	p.packets(o)
}

func (p *printer) packets(o *Observation) {
	if o.Frames == nil {
		p.linef("\nno frame of a capture belongs to it")
		return
	}
	p.linef("\n%s", o.Where)
	if o.Frames.Dropped == 0 {
		p.linef("  none was lost by the kernel")
	}
	if o.Trouble != "" {
		p.linef("  they cannot be shown: %s", o.Trouble)
	}
	for _, l := range o.Packets {
		p.linef("  %s  %s  %s > %s  %s  %s", fmt.Sprintf("%7d", l.Frame), l.At.UTC().Format("15:04:05.000000"), l.Source, l.Destination, l.Protocol, l.Info)
	}
	if n := uint64(len(o.Packets)); n < o.Of {
		p.linef("  %s of %s are shown; --packets shows more, --bytes all bytes of one", n, o.Of)
	}
}

func (p *printer) check(c Check) {
	p.linef("  %s %s: %s: %s", reports.Sign(c.Verdict), c.ID, c.Verdict, c.Reason)
	p.linef("      serves %s", strings.Join(c.Serves, ", "))
	p.linef("      rests on %s", c.Anchored)
	if len(c.Rows) > 0 {
		p.linef("      compares %s", strings.Join(c.Rows, ", "))
	}
	for _, part := range []struct {
		word string
		list []profiles.Clause
	}{{"given", c.Given}, {"expect", c.Expect}} {
		for _, clause := range part.list {
			p.linef("      %s  %s  [%s]", part.word, clause.Condition, clause.Outcome)
		}
	}
}

func (p *printer) requirement(q Requirement) {
	p.linef("%s  %s  [%s]", q.ID, q.Title, q.Level)
	p.linef("  %s %s: %s", reports.Sign(q.Verdict), q.Verdict, q.Reason)
	p.linef("\nunits: %s", len(q.Units))
	for _, u := range q.Units {
		p.linef("  %s %s  %s", reports.Sign(u.Verdict), u.Address, u.Asks)
		p.linef("      %s: %s", u.Verdict, u.Reason)
		if len(u.Checks) > 0 {
			p.linef("      answered by checks %s", strings.Join(u.Checks, ", "))
		}
		if u.Review != "" {
			p.linef("      review: %s", u.Review)
		}
	}
	p.linef("\nchecks: %s", len(q.Checks))
	for _, c := range q.Checks {
		p.check(c)
	}
}

// Hex prints a frame's bytes, sixteen a line, as offset, hexadecimal and text.
func Hex(w io.Writer, b []byte) error {
	var s strings.Builder
	for at := 0; at < len(b); at += 16 {
		row := b[at:min(at+16, len(b))]
		fmt.Fprintf(&s, "%04x ", at)
		for i := range 16 {
			if i < len(row) {
				fmt.Fprintf(&s, " %02x", row[i])
			} else {
				s.WriteString("   ")
			}
		}
		s.WriteString("  ")
		for _, c := range row {
			if c < ' ' || c > '~' {
				c = '.'
			}
			s.WriteByte(c)
		}
		s.WriteByte('\n')
	}
	_, err := io.WriteString(w, s.String())
	return err
}
