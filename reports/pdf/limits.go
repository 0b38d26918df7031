package pdf

import (
	"fmt"
	"slices"
	"strings"

	"assay/reports"
)

// standardLimits are what limits the use of the verdicts by one standard.
func (d *document) standardLimits(g reports.Group) {
	limits := g.Limits()
	if len(limits) == 0 && len(g.Register) == 0 {
		return
	}
	d.subheading("What limits the use of these verdicts")
	for _, l := range limits {
		d.font("", 8.5, ink)
		d.text(left, width, 4.2, fmt.Sprintf("%s, touching %s: %s%s", l.ID, l.Touches(), l.Words(), recalled(l.Certainty)))
		d.Ln(1)
	}
	for _, f := range g.Register {
		d.font("", 8.5, ink)
		d.text(left, width, 4.2, fmt.Sprintf("%s, as of %s: %s%s", strings.ToUpper(f.Kind[:min(1, len(f.Kind))])+f.Kind[min(1, len(f.Kind)):], f.AsOf, f.Says, recalled(f.Certainty)))
		d.Ln(1)
	}
}

// limits is what the whole report does not show, and what was left out or waived.
func (d *document) limits() {
	d.need(70)
	d.Bookmark("Limits", 0, -1)
	d.heading("Limits of this report")
	list := d.r.Limits()
	for _, p := range d.r.Profiles {
		for _, x := range p.Omitted.Exclusions {
			list = append(list, "Left out of profile "+p.ID+": "+x.Requirement+x.Check+", because "+x.Because)
		}
		for _, w := range p.Waivers {
			word := "counts"
			if !w.Counts {
				word = "does not count"
			}
			list = append(list, fmt.Sprintf("Waiver of %s (%s): %s. Reason: %s. Risk: %s.", w.Requirement, word, w.Reason, w.Waiver.Reason, w.Risk))
		}
	}
	if d.approximated {
		list = append(list, "Letters that this document's fonts do not hold are written as their base letters or as [U+ code]; the HTML and JSON faces of the same record have them.")
	}
	seen := []string{}
	for _, l := range list {
		if slices.Contains(seen, l) {
			continue
		}
		seen = append(seen, l)
		d.need(8)
		d.fill(dim)
		d.Circle(left+1.2, d.GetY()+2.2, .5, "F")
		d.font("", 9, ink)
		d.text(left+4, width-4, 4.5, l)
		d.Ln(.8)
	}
}

// signatures is where people write. The tool fills in nobody: who authorises is no finding of a run.
func (d *document) signatures() {
	d.need(62)
	d.Bookmark("Signatures", 0, -1)
	d.heading("Signatures")
	y := d.GetY() + 2
	w := (width - 8) / 2
	for i, role := range []string{"Tested by", "Reviewed and authorised by"} {
		x := left + float64(i)*(w+8)
		d.pen(line, .2)
		d.RoundedRect(x, y, w, 40, 1, "1234", "D")
		d.font("B", 8.5, dim)
		d.SetXY(x+3, y+2)
		d.CellFormat(w-6, 5, role, "", 0, "L", false, 0, "")
		for n, name := range []string{"Name", "Function", "Place, date", "Signature"} {
			yy := y + 13 + 8*float64(n)
			d.font("", 8, dim)
			d.SetXY(x+3, yy-4.5)
			d.CellFormat(22, 5, name, "", 0, "L", false, 0, "")
			d.pen(dim, .15)
			d.Line(x+24, yy, x+w-3, yy)
			if n == 0 && i == 0 && d.r.Operator != "" {
				d.font("", 9, ink)
				d.SetXY(x+24, yy-5)
				d.CellFormat(w-27, 5, d.encode(reports.Clip(d.r.Operator, 40)), "", 0, "L", false, 0, "")
			}
		}
	}
	d.SetXY(left, y+44)
	d.font("", 8, dim)
	d.text(left, width, 4, "ISO/IEC 17065 wants the decision on certification made by somebody who took no part in this evaluation. Report "+d.r.Run+".")
}
