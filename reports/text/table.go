package text

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"assay/profiles"
	"assay/reports"
	"assay/reports/verdict"
)

// signsMost is up to how many checks each has a sign of its own; more are counted.
const signsMost = 6

// profile prints one statement with what limits it, a table a standard, and what is to be mended.
func (p *printer) profile(r *reports.Report, v verdict.Result) {
	p.linef("profile %s version %s: %s (%s)", v.ID, v.Version, p.paint(string(v.Conformity)), reports.Count(v))
	p.wrap("  ", 2, clip(v.Reason, 2*(columns-2))) // of fifty ids the table tells more
	if left := v.Omitted.String(); left != "" {
		p.wrap("  ", 2, left+"; "+reports.PartOnly)
	}
	for _, w := range v.Waivers {
		p.wrap("  ", 2, fmt.Sprintf("waiver of %s: %s (%s; risk: %s)", w.Requirement, w.Reason, w.Waiver.Reason, w.Risk))
	}
	groups := reports.ByStandard(v)
	for _, g := range groups {
		p.standard(g)
		p.table(g)
	}
	p.linef("\n  LEVEL: M mandatory, R recommended. CHECKS: one sign each, or how many have which sign.")
	if reports.Reviews(v.Requirements...).Wanted > 0 {
		p.linef("  REVIEWS: answers of named persons that count, of those wanted.")
	}
	if p.recalled {
		p.wrap("  * ", 4, "recalled: from memory; hold it against the standard's own text before you rely on it")
	}
	p.findings(r, groups)
}

// standard prints what a reader must know before the verdicts by one standard.
func (p *printer) standard(g reports.Group) {
	head := g.ID
	if g.Edition != "" {
		head += ", edition " + g.Edition
	}
	if g.Tests != "" {
		head += ", tested by " + g.Tests
	}
	if g.Title != "" {
		head += ": " + g.Title
	}
	p.linef("")
	p.wrap("", 0, head)
	for _, f := range g.Presumption() {
		p.wrap("  ", 2, fmt.Sprintf("presumption, as of %s: %s%s", f.AsOf, f.Says, p.star(f.Certainty)))
	}
	for _, l := range g.Limits() {
		p.wrap("  ", 2, fmt.Sprintf("restriction %s, %s: %s%s", l.ID, l.Touches(), l.Words(), p.star(l.Certainty)))
	}
}

// star marks what is recalled, and sees to the footnote.
func (p *printer) star(certainty string) string {
	if certainty != reports.Recalled {
		return ""
	}
	p.recalled = true
	return "*"
}

// The table's columns; one that would be empty is left out.
const (
	colID = iota
	colLevel
	colVerdict
	colChecks
	colReviews
	colTitle
)

// table prints one line a requirement; a title that does not fit is cut, so that the lines can be scanned.
func (p *printer) table(g reports.Group) {
	rows := [][colTitle + 1]string{{"ID", "LEVEL", "VERDICT", "CHECKS", "REVIEWS", "REQUIREMENT"}}
	for _, r := range g.Requirements {
		one := [colTitle + 1]string{reports.Plain(r.ID) + p.star(r.Certainty), level(r.Level), string(r.Verdict), signs(r.Checks), "", r.Title}
		if r.Waived {
			one[colVerdict] += ", waived"
		}
		if a := reports.Reviews(r); a.Wanted > 0 {
			one[colReviews] = fmt.Sprintf("%d/%d", a.Given(), a.Wanted)
		}
		for _, x := range r.Restrictions {
			one[colTitle] = "[" + x.ID + "] " + one[colTitle]
		}
		rows = append(rows, one)
	}
	var widths [colTitle]int
	for c := range widths {
		for i, r := range rows {
			if n := utf8.RuneCountInString(r[c]); i > 0 && n > 0 {
				widths[c] = max(widths[c], n, len(rows[0][c]))
			}
		}
	}
	p.linef("")
	for i, r := range rows {
		line, used := painted(""), 0
		for c, width := range widths {
			switch {
			case width == 0:
				continue
			case i > 0 && c == colVerdict:
				line += "  " + p.verdict(r[c], width)
			case c == colChecks:
				line += "  " + p.signed(r[c], width)
			default:
				line += "  " + painted(fmt.Sprintf("%-*s", width, reports.Plain(r[c])))
			}
			used += 2 + width
		}
		p.linef("%s  %s", line, clip(reports.Plain(r[colTitle]), columns-used-2))
	}
}

// verdict pads a column of verdicts; painting comes after counting, so that invisible characters shift nothing.
func (p *printer) verdict(text string, width int) painted {
	word, waived, _ := strings.Cut(text, ", ")
	if waived != "" {
		waived = ", " + waived
	}
	return p.paint(word) + painted(waived+strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))))
}

// level is a requirement's level as EN 303 645 codes it, so that there is room for its title.
func level(of string) string {
	switch of {
	case profiles.Mandatory:
		return "M"
	case profiles.Recommended:
		return "R"
	}
	return of
}

// signs gives each check its sign, worst verdicts counted first where there are many.
func signs(checks []verdict.Check) string {
	var b strings.Builder
	if len(checks) <= signsMost {
		for _, c := range checks {
			b.WriteString(reports.Sign(c.Verdict))
		}
		return b.String()
	}
	n := map[verdict.Verdict]int{}
	for _, c := range checks {
		n[c.Verdict]++
	}
	for _, v := range []verdict.Verdict{verdict.Fail, verdict.Inconclusive, verdict.Pass, verdict.NotApplicable} {
		if n[v] > 0 {
			fmt.Fprintf(&b, "%d%s", n[v], reports.Sign(v))
		}
	}
	return b.String()
}

// signed pads a column of signs and paints each of them.
func (p *printer) signed(signs string, width int) painted {
	var b strings.Builder
	for _, c := range signs {
		if strings.ContainsRune("✓✗?–", c) {
			b.WriteString(string(p.paint(string(c))))
			continue
		}
		b.WriteRune(c)
	}
	return painted(b.String() + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(signs))))
}
