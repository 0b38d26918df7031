package pdf

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/probes"
	"assay/profiles/review"
	"assay/reports"
	"assay/reports/verdict"
)

// details tells for every requirement what its verdict rests on. What only waits for a person, and what does
// not apply, is a line each.
func (d *document) details(p verdict.Result) {
	d.AddPage()
	d.Bookmark(property("Results: "+p.ID), 0, -1)
	d.told = map[string]string{}
	for i, g := range reports.ByStandard(p) {
		if i > 0 {
			d.Ln(4)
		}
		d.heading("Results: " + join(cmp.Or(g.Title, g.ID), g.Edition))
		var waiting, outside []verdict.Requirement
		for _, q := range g.Requirements {
			switch {
			case q.Verdict == verdict.NotApplicable:
				outside = append(outside, q)
			case q.Verdict == verdict.Inconclusive && onlyWaits(q):
				waiting = append(waiting, q)
			default:
				d.requirement(p, q)
			}
		}
		d.brief(p, waiting, "Inconclusive because nobody has answered yet", missing)
		d.brief(p, outside, "Not applicable", func(q verdict.Requirement) string { return q.Reason })
		d.standardLimits(g)
	}
}

// onlyWaits tells whether nothing was seen and nothing was said: the units that are open are all there is to tell.
func onlyWaits(q verdict.Requirement) bool {
	said := slices.ContainsFunc(reports.Units(q), func(u verdict.Unit) bool {
		return u.Review != nil && u.Review.Said != nil || u.Verdict == verdict.Inconclusive && reports.Apart(q, u) && len(u.Checks) > 0
	})
	return !said && len(q.Checks) == 0 && missing(q) != "" && reports.Explained(q)
}

// missing joins the units that nobody answered into one sentence.
func missing(q verdict.Requirement) string {
	var parts []string
	if units := reports.NoReview(q); len(units) > 0 {
		parts = append(parts, "no review is on record of "+strings.Join(units, ", "))
	}
	if units := reports.NoAnswer(q); len(units) > 0 {
		parts = append(parts, "nothing answers "+strings.Join(units, ", ")+" yet")
	}
	return strings.Join(parts, "; ")
}

// brief lists requirements of which one sentence is all there is to say.
func (d *document) brief(p verdict.Result, list []verdict.Requirement, title string, say func(verdict.Requirement) string) {
	if len(list) == 0 {
		return
	}
	d.subheading(fmt.Sprintf("%s (%d)", title, len(list)))
	for _, q := range list {
		d.font("", 8.5, ink)
		lines := d.lines(d.encode(reports.Clip(sentence(say(q)), textMost)), width-38)
		id := d.lines(d.encode(reports.Clip(q.ID, 60)), 30)
		h := 1.2 + 4.1*float64(max(len(lines), len(id)))
		d.need(min(h, 60))
		d.SetLink(d.link(p, q), d.GetY(), -1)
		y := d.GetY()
		d.square(left, y+.7, 3.8, q.Verdict)
		d.font("B", 8.5, ink)
		for i, l := range id {
			d.SetXY(left+5.5, y+.6+4.1*float64(i))
			d.CellFormat(30, 4.1, l, "", 0, "L", false, 0, "")
		}
		d.font("", 8.5, ink)
		for i, l := range lines {
			d.SetXY(left+38, y+.6+4.1*float64(i))
			d.CellFormat(width-38, 4.1, l, "", 0, "L", false, 0, "")
		}
		d.rule(y+h+.4, line)
		d.SetXY(left, y+h+.4)
	}
}

// requirement is one provision: verdict, reason, units, reviews and checks.
func (d *document) requirement(p verdict.Result, q verdict.Requirement) {
	s := styleOf(string(q.Verdict))
	d.need(34)
	d.Ln(3.5)
	d.SetLink(d.link(p, q), d.GetY()-2, -1)
	d.font("B", 10, ink)
	heads := d.lines(d.encode(reports.Clip(q.ID+"  "+q.Title, 240)), width-36)
	h := 2.8 + 4.8*float64(len(heads))
	y := d.GetY()
	d.fill(soft)
	d.Rect(left, y, width, h, "F")
	d.fill(s.strong)
	d.Rect(left, y, 1.2, h, "F")
	for i, l := range heads {
		d.SetXY(left+3.5, y+1.4+4.8*float64(i))
		d.CellFormat(width-36, 4.8, l, "", 0, "LM", false, 0, "")
	}
	d.chip(left+width-28, y+1.3, 26.5, 5, q.Verdict)
	d.SetXY(left, y+h+1.4)
	d.font("", 8, dim)
	d.text(left, width, 4, fine(q))
	for _, x := range q.Restrictions {
		d.font("I", 8, styleOf("").text)
		d.text(left, width, 4, "Restriction "+x.ID+": "+reports.Limit{Restriction: x}.Words()+recalled(x.Certainty))
	}
	if q.Verdict != verdict.Fail || !reports.Explained(q) {
		d.font("", 9, ink)
		d.text(left, width, 4.4, sentence(q.Reason))
	}
	d.cases(q)
	d.reviews(q)
	d.checks(q)
}

func recalled(certainty string) string {
	if certainty == reports.Recalled {
		return " (recalled: not seen in the source)"
	}
	return ""
}

// fine is the fine print of a requirement.
func fine(q verdict.Requirement) string {
	parts := []string{sentence(q.Level)}
	if q.Status != "" {
		parts = append(parts, "In the standard: "+strings.TrimSpace(q.Status)+".")
	}
	if q.Condition != "" {
		parts = append(parts, "Applies where: "+strings.TrimSpace(q.Condition)+".")
	}
	if q.Waived {
		parts = append(parts, "Waived by the profile; the verdict stays what it is.")
	}
	if q.Certainty == reports.Recalled {
		parts = append(parts, "Recalled: hold it against the standard's own text.")
	}
	return strings.Join(parts, " ")
}

// cases lists the units: what each asks and who answered.
func (d *document) cases(q verdict.Requirement) {
	for _, c := range q.Cases {
		for _, u := range c.Units {
			d.font("", 8.5, ink)
			lines := d.lines(d.encode(reports.Clip(u.Asks, 400)), 92)
			by := d.lines(d.encode(reports.Clip(answeredBy(q, u), 300)), width-7-26-94)
			h := 1 + 4*float64(max(len(lines), len(by), 1))
			d.need(min(h, 60))
			y := d.GetY()
			d.square(left+1, y+.6, 3.4, u.Verdict)
			d.font("", 8, dim)
			d.SetXY(left+6, y+.4)
			d.CellFormat(26, 4, d.encode(reports.Clip(c.ID+"."+u.ID, 24)), "", 0, "L", false, 0, "")
			d.font("", 8.5, ink)
			for i, l := range lines {
				d.SetXY(left+33, y+.4+4*float64(i))
				d.CellFormat(92, 4, l, "", 0, "L", false, 0, "")
			}
			d.font("", 8, dim)
			for i, l := range by {
				d.SetXY(left+127, y+.4+4*float64(i))
				d.CellFormat(width-127, 4, l, "", 0, "L", false, 0, "")
			}
			d.SetXY(left, y+h)
		}
	}
}

// answeredBy names who or what answered a unit.
func answeredBy(q verdict.Requirement, u verdict.Unit) string {
	var parts []string
	switch n := len(u.Checks); {
	case n > 4:
		parts = append(parts, fmt.Sprintf("%d checks, below", n))
	case n > 0:
		parts = append(parts, strings.Join(u.Checks, ", "))
	}
	switch {
	case u.Review != nil && u.Review.Said != nil:
		parts = append(parts, "review by "+u.Review.Said.By.Name)
	case u.Review != nil && u.Verdict != verdict.NotApplicable:
		parts = append(parts, "no review on record")
	}
	if len(parts) == 0 {
		if u.Verdict == verdict.NotApplicable {
			return "not applicable"
		}
		return cmp.Or(u.Reason, "nothing answers it yet")
	}
	return strings.Join(parts, "; ")
}

// reviews quotes each named person's answer once.
func (d *document) reviews(q verdict.Requirement) {
	quoted := map[string]bool{}
	for _, u := range reports.Units(q) {
		if u.Review == nil || u.Review.Said == nil {
			continue
		}
		said := u.Review.Said
		key, _ := json.Marshal(said) // plain text and lists: JSON has a form for each
		if quoted[string(key)] {
			continue
		}
		quoted[string(key)] = true
		d.need(16)
		d.Ln(1)
		y := d.GetY()
		d.square(left+1, y+.4, 3.4, u.Review.Verdict)
		d.font("B", 8.5, ink)
		d.text(left+6, width-6, 4.2, fmt.Sprintf("Review: %s, says %s; valid until %s", answer(said.Answer), reports.By(u.Review), said.Expires))
		if u.Review.Verdict == verdict.Inconclusive {
			d.font("", 8.5, styleOf("").text)
			d.text(left+6, width-6, 4.2, sentence(u.Review.Reason))
		}
		d.font("I", 8.5, ink)
		d.text(left+6, width-6, 4.2, said.Statement)
		d.font("", 8, dim)
		if len(said.Rows) > 0 {
			d.text(left+6, width-6, 4, "Rests on "+strings.Join(said.Rows, ", "))
		}
		for _, e := range said.Evidence {
			d.text(left+6, width-6, 4, cmp.Or(e.Title, e.Document, e.File)+", SHA-256 "+e.SHA256)
		}
		for _, i := range said.Items {
			d.text(left+6, width-6, 4, i.Name+": "+strings.Join(i.Path, ", ")+". "+i.Because)
		}
	}
}

func answer(a review.Answer) string {
	switch a {
	case review.NotMet:
		return "not met"
	case review.NotApplicable:
		return "not applicable"
	}
	return string(a)
}

// checks tells each check once in the report, the failed ones first.
func (d *document) checks(q verdict.Requirement) {
	list := slices.Clone(q.Checks)
	slices.SortStableFunc(list, func(a, b verdict.Check) int {
		return cmp.Compare(slices.Index(reports.Worst, a.Verdict), slices.Index(reports.Worst, b.Verdict))
	})
	var elsewhere []string
	for _, c := range list {
		if first, told := d.told[c.ID]; told && c.Verdict == verdict.Pass && first != q.Standard+"\x00"+q.ID {
			_, id, _ := strings.Cut(first, "\x00")
			elsewhere = append(elsewhere, c.ID+" ("+id+")")
			continue
		}
		d.need(14)
		d.Ln(1.2)
		y := d.GetY()
		d.square(left+1, y+.4, 3.8, c.Verdict)
		d.font("B", 8.5, ink)
		d.SetXY(left+6, y)
		d.text(left+6, width-6, 4.4, c.ID+": "+string(reports.Closed(c.Verdict)))
		where := q.Standard + "\x00" + q.ID
		if first, told := d.told[c.ID]; told && first != where {
			d.font("", 8.5, dim)
			_, id, _ := strings.Cut(first, "\x00")
			d.text(left+6, width-6, 4.2, sentence(c.Reason)+" Told in full under "+id+".")
			continue
		}
		d.told[c.ID] = where
		d.check(c)
	}
	if len(elsewhere) > 0 {
		d.need(9)
		d.Ln(1.2)
		d.square(left+1, d.GetY()+.4, 3.8, verdict.Pass)
		d.font("", 8.5, dim)
		d.text(left+6, width-6, 4.2, "Passed, told in full under the requirement in brackets: "+strings.Join(elsewhere, ", ")+".")
	}
}

func (d *document) check(c verdict.Check) {
	const x, name = left + 6, 24.0
	d.font("", 8.5, ink)
	d.text(x, width-6, 4.2, sentence(c.Reason))
	var o *probes.Observation
	if i := slices.IndexFunc(d.r.Observations, func(o probes.Observation) bool { return o.ID == c.Observation }); i >= 0 {
		o = &d.r.Observations[i]
		if asks := d.r.Asks(o.Probe); asks != "" {
			d.named(x, name, "Asked", asks, false)
		}
	}
	if c.Verdict != verdict.NotApplicable {
		if c.Given != "" && c.Verdict == verdict.Inconclusive {
			d.named(x, name, "Fair test if", c.Given, true)
		}
		if c.Expect != "" {
			d.named(x, name, "Expected", c.Expect, true)
		}
	}
	if facts := reports.Fields(c.Facts); len(facts) > 0 {
		var parts []string
		for _, f := range facts {
			parts = append(parts, f.Name+" = "+f.Value)
		}
		d.named(x, name, "Seen", strings.Join(parts, ", "), true)
	}
	if len(c.Rows) > 0 {
		d.named(x, name, "Declared in", strings.Join(c.Rows, ", "), false)
	}
	if o != nil {
		d.named(x, name, "Evidence", join("observation "+o.ID, o.Start.UTC().Format(time.DateTime)+" to "+o.End.UTC().Format(time.TimeOnly)+" UTC", d.r.Frame(o.ID)), false)
	}
	if c.Verdict == verdict.Fail && c.Remedy != "" {
		d.named(x, name, "To mend", c.Remedy, false)
	}
}
