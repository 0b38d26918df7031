package text

import (
	"strings"
	"unicode/utf8"

	"assay/reports"
	"assay/reports/verdict"
)

// findings prints what kept requirements from passing: the failed ones first and in full, then the
// inconclusive ones, and in a line each those that only wait for a person and those that do not apply.
func (p *printer) findings(r *reports.Report, groups []reports.Group) {
	var open []verdict.Requirement
	waiting, outside := make([][]verdict.Requirement, len(groups)), make([][]verdict.Requirement, len(groups))
	for i, g := range groups {
		for _, req := range g.Requirements {
			switch {
			case req.Verdict == verdict.Fail:
				p.requirement(r, req)
			case req.Verdict == verdict.NotApplicable:
				outside[i] = append(outside[i], req)
			case req.Verdict == verdict.Inconclusive && len(seen(req)) == 0 && reports.Explained(req):
				waiting[i] = append(waiting[i], req)
			case req.Verdict != verdict.Pass:
				open = append(open, req)
			}
		}
	}
	for _, req := range open {
		p.requirement(r, req)
	}
	for i, g := range groups {
		p.lines(verdict.Inconclusive, "because nobody has answered yet", g.ID, waiting[i], missing)
	}
	for i, g := range groups {
		p.lines(verdict.NotApplicable, "", g.ID, outside[i], func(req verdict.Requirement) string { return req.Reason })
	}
}

// lines prints requirements of which one sentence is all there is to say.
func (p *printer) lines(v verdict.Verdict, because, standard string, list []verdict.Requirement, say func(verdict.Requirement) string) {
	if len(list) == 0 {
		return
	}
	width := 0
	for _, req := range list {
		width = max(width, utf8.RuneCountInString(req.ID))
	}
	if because != "" {
		because = ", " + because
	}
	p.linef("\n%s in %s%s:", p.paint(string(v)), standard, because)
	for _, req := range list {
		p.wrap("  "+p.paint(reports.Sign(v))+" "+p.name(req.ID, width)+"  ", 2+1+1+width+2, say(req))
	}
}

// name pads an id without painting it.
func (p *printer) name(id string, width int) painted {
	return painted(reports.Plain(id) + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(id))))
}

// missing joins the units of a requirement that nobody answered into one sentence.
func missing(req verdict.Requirement) string {
	var parts []string
	if units := reports.NoReview(req); len(units) > 0 {
		parts = append(parts, "no review is on record of "+strings.Join(units, ", "))
	}
	if units := reports.NoAnswer(req); len(units) > 0 {
		parts = append(parts, "nothing answers "+strings.Join(units, ", ")+" yet")
	}
	return strings.Join(parts, "; ")
}

// A sight is one answer that did not let a requirement pass.
type sight struct {
	verdict verdict.Verdict
	about   string
	reason  string
	check   *verdict.Check
}

// seen lists the checks and the reviews that did not let a requirement pass, without those that nobody gave.
func seen(req verdict.Requirement) []sight {
	stood := func(v verdict.Verdict) bool { return v == verdict.Fail || v == verdict.Inconclusive }
	var out []sight
	for i, c := range req.Checks {
		if stood(c.Verdict) {
			out = append(out, sight{c.Verdict, c.ID, c.Reason, &req.Checks[i]})
		}
	}
	for _, c := range req.Cases {
		for _, u := range c.Units {
			switch {
			case u.Review != nil && u.Review.Said != nil && stood(u.Review.Verdict):
				out = append(out, sight{u.Review.Verdict, "review of " + c.ID + "." + u.ID, u.Review.Reason, nil})
			case stood(u.Verdict) && reports.Apart(req, u):
				out = append(out, sight{u.Verdict, c.ID + "." + u.ID, u.Reason, nil})
			}
		}
	}
	return out
}

// requirement prints what kept one requirement from passing. A check that several
// requirements name is told once.
func (p *printer) requirement(r *reports.Report, req verdict.Requirement) {
	p.linef("\n%s %s %s: %s", p.paint(string(req.Verdict)), req.Standard, req.ID, req.Title)
	explained := reports.Explained(req)
	if !explained {
		p.wrap("    ", 4, req.Reason)
	}
	for _, s := range seen(req) {
		first, told := p.told[s.about]
		switch {
		case s.check == nil:
			p.linef("  %s %s: %s", p.paint(reports.Sign(s.verdict)), s.about, s.reason)
		case told:
			p.linef("  %s %s: as told under %s", p.paint(reports.Sign(s.verdict)), s.about, first)
		default:
			p.told[s.about] = req.ID
			p.check(r, *s.check)
		}
	}
	// What the dossier itself gives up is not waiting for anybody.
	if text := missing(req); text != "" && explained {
		p.wrap("  "+p.paint("?")+" ", 4, text)
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
