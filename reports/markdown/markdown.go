// Package markdown writes a report for a merge request, a wiki or an issue: the statement, the matrix and
// what did not pass. Nothing in it is HTML, and no string of the evidence can become a link or a heading.
package markdown

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"assay/reports"
	"assay/reports/verdict"
)

const most = 1000 // characters of one text

// Write renders the report.
func Write(w io.Writer, r *reports.Report) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Test report %s\n\n", Escape(r.Run))
	for _, p := range r.Profiles {
		statement(&b, p)
	}
	if len(r.Profiles) == 0 {
		fmt.Fprint(&b, "**? no profile was judged**\n\n")
	}
	for _, words := range r.Warnings() {
		fmt.Fprintf(&b, "> %s\n\n", Escape(words))
	}
	Table(&b, []string{"", ""}, identity(r))
	if tests := r.ProvenWhen(); len(tests) > 0 {
		fmt.Fprint(&b, "## The bench, tested with a known-good device\n\n")
		var rows [][]string
		for _, f := range tests {
			rows = append(rows, []string{f.Name, f.Value})
		}
		Table(&b, []string{"When", "What came of it"}, rows)
	}
	for _, p := range r.Profiles {
		for _, g := range reports.ByStandard(p) {
			matrix(&b, g)
			for _, q := range g.Requirements {
				if v := reports.Closed(q.Verdict); v == verdict.Fail || v == verdict.Inconclusive {
					finding(&b, r, q)
				}
			}
			limits(&b, g)
		}
	}
	fmt.Fprint(&b, "## Limits of this report\n\n")
	for _, l := range r.Limits() {
		fmt.Fprintf(&b, "- %s\n", Escape(l))
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write report %s as Markdown: %w", r.Run, err)
	}
	return nil
}

func statement(b *bytes.Buffer, p verdict.Result) {
	sign := "?"
	switch p.Conformity {
	case verdict.Conformant, verdict.ConformantWithWaivers:
		sign = "✓"
	case verdict.NonConformant:
		sign = "✗"
	}
	fmt.Fprintf(b, "**%s %s** by %s (profile %s, version %s): %s. %s\n\n", sign, Escape(cmp.Or(string(p.Conformity), string(verdict.Incomplete))), Escape(p.Title), Escape(p.ID), Escape(p.Version), reports.Count(p), Escape(p.Reason))
	if left := p.Omitted.String(); left != "" {
		fmt.Fprintf(b, "_%s; %s._\n\n", Escape(left), reports.PartOnly)
	}
	for _, w := range p.Waivers {
		fmt.Fprintf(b, "- Waiver of %s: %s\n", Escape(w.Requirement), Escape(map[bool]string{true: "counts", false: "does not count"}[w.Counts]+", "+w.Reason))
	}
	if len(p.Waivers) > 0 {
		fmt.Fprintln(b)
	}
}

func identity(r *reports.Report) [][]string {
	ended := "not ended"
	if r.Ended != nil {
		ended = r.Ended.UTC().Format(time.RFC3339)
	}
	var units []string
	for _, u := range r.Specimens() {
		units = append(units, strings.TrimSpace(u.ID+" "+u.Serial+" "+u.MAC))
	}
	rows := [][]string{
		{"Item", r.Device.Item()}, {"Unit", strings.Join(units, "; ")}, {"Tested", r.Started.UTC().Format(time.RFC3339) + " to " + ended},
		{"Operator", cmp.Or(r.Operator, "not recorded")}, {"Tool", r.Tested()}, {"Capture", fmt.Sprintf("%d frames, %d lost", r.Frames, r.Dropped)}, {"Journal head", cmp.Or(r.Head, "not recorded")},
	}
	if r.Lab != nil {
		rows = append(rows, []string{"Laboratory", strings.TrimSpace(r.Lab.Name + " " + r.Lab.Address + " " + r.Lab.Accreditation)})
	}
	for _, f := range r.Since() {
		rows = append(rows, []string{f.Name, f.Value})
	}
	return rows
}

func matrix(b *bytes.Buffer, g reports.Group) {
	fmt.Fprintf(b, "## %s\n\n", Escape(strings.TrimSpace(cmp.Or(g.Title, g.ID)+" "+g.Edition)))
	var rows [][]string
	for _, q := range g.Requirements {
		level := q.Level
		if q.Waived {
			level += ", waived"
		}
		if q.Certainty == reports.Recalled {
			level += ", recalled"
		}
		v := reports.Closed(q.Verdict)
		rows = append(rows, []string{q.ID, q.Title, level, reports.Sign(v) + " " + string(v)})
	}
	Table(b, []string{"Requirement", "What it asks", "Level", "Verdict"}, rows)
}

func finding(b *bytes.Buffer, r *reports.Report, q verdict.Requirement) {
	v := reports.Closed(q.Verdict)
	fmt.Fprintf(b, "**%s %s %s** %s\n\n", reports.Sign(v), Escape(q.ID), string(v), Escape(q.Title))
	if !repeated(q) {
		fmt.Fprintf(b, "- %s\n", Escape(q.Reason))
	}
	for _, c := range q.Checks {
		if v := reports.Closed(c.Verdict); v != verdict.Fail && v != verdict.Inconclusive {
			continue
		}
		fmt.Fprintf(b, "- %s %s: %s", reports.Sign(reports.Closed(c.Verdict)), Escape(c.ID), Escape(c.Reason))
		if frames := r.Frame(c.Observation); frames != "" {
			fmt.Fprintf(b, " Seen in %s, %s.", Escape(c.Observation), Escape(frames))
		}
		if c.Verdict == verdict.Fail && c.Remedy != "" {
			fmt.Fprintf(b, " To mend: %s", Escape(c.Remedy))
		}
		fmt.Fprintln(b)
	}
	for _, open := range [][]string{reports.NoReview(q), reports.NoAnswer(q)} {
		if len(open) > 0 {
			fmt.Fprintf(b, "- ? open: %s\n", Escape(strings.Join(open, ", ")))
		}
	}
	fmt.Fprintln(b)
}

// repeated tells whether a requirement's reason is nothing but its checks', each of which has a line of its own.
func repeated(q verdict.Requirement) bool {
	rest := q.Reason
	for _, c := range q.Checks {
		if v := reports.Closed(c.Verdict); v == verdict.Fail || v == verdict.Inconclusive {
			rest = strings.Replace(rest, c.ID+": "+c.Reason, "", 1)
		}
	}
	return strings.Trim(rest, "; ") == ""
}

func limits(b *bytes.Buffer, g reports.Group) {
	for _, l := range g.Limits() {
		fmt.Fprintf(b, "- %s, touching %s: %s\n", Escape(l.ID), Escape(l.Touches()), Escape(l.Words()))
	}
	for _, f := range g.Register {
		fmt.Fprintf(b, "- %s, as of %s: %s\n", Escape(f.Kind), Escape(f.AsOf), Escape(f.Says))
	}
	if len(g.Limits())+len(g.Register) > 0 {
		fmt.Fprintln(b)
	}
}

// Table writes a table; its cells are escaped.
func Table(b *bytes.Buffer, heads []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = Escape(c)
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprintln(b)
}

// Escape makes running text of a string, on one line: whatever Markdown or HTML would read as more is escaped,
// and so is what would become a link or call a person by itself.
func Escape(s string) string {
	s = strings.TrimSpace(reports.Clip(s, most))
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_[]#!|~$@", c), c == ':' && strings.HasPrefix(s[i:], "://"), c == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"),
			i == 0 && strings.ContainsRune("-+=", c):
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
