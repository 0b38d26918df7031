package pdf

import (
	"cmp"
	"fmt"
	"strings"

	"assay/reports"
	"assay/reports/verdict"
)

// Columns of the matrix: id, title, level, checks, reviews, verdict.
var columns = []float64{24, 58, 22, 26, 16, 26}

// squaresMost is how many checks have a square of their own.
const squaresMost = 5

// summary is the matrix: every requirement, its level, its checks and its verdict in colour.
func (d *document) summary(p verdict.Result) {
	if d.PageNo() == 1 || d.GetY() > 110 {
		d.AddPage()
	}
	d.Bookmark(property("Summary: "+p.ID), 0, -1)
	d.heading("Summary by requirement: " + p.ID + ", version " + p.Version)
	for _, g := range reports.ByStandard(p) {
		d.subheading(join(cmp.Or(g.Title, g.ID), g.Edition))
		d.bar(g)
		d.columnHeads()
		for _, q := range g.Requirements {
			d.row(p, q)
		}
		d.Ln(2)
	}
	d.legend(p)
}

// bar draws how many requirements have which verdict, as wide as they are many.
func (d *document) bar(g reports.Group) {
	n := map[verdict.Verdict]int{}
	for _, q := range g.Requirements {
		n[reports.Closed(q.Verdict)]++
	}
	const h, least, gap = 6.0, 11.0, .5
	kinds := 0
	for _, v := range reports.Worst {
		if n[v] > 0 {
			kinds++
		}
	}
	free := width - float64(kinds)*(least+gap)
	x, y := left, d.GetY()
	for _, v := range reports.Worst {
		if n[v] == 0 {
			continue
		}
		w := least + free*float64(n[v])/float64(len(g.Requirements))
		s := styleOf(string(v))
		d.fill(s.strong)
		d.RoundedRect(x, y, w, h, .8, "1234", "F")
		number := fmt.Sprint(n[v])
		d.font("B", 8.5, white)
		nw := d.GetStringWidth(number)
		start := x + (w-nw-4.4)/2
		d.sign(start, y+1.4, 3.2, v, white)
		d.font("B", 8.5, white)
		d.SetXY(start+3.6, y)
		d.CellFormat(nw+1, h, number, "", 0, "LM", false, 0, "")
		x += w + gap
	}
	d.SetXY(left, y+h+2)
}

func (d *document) columnHeads() {
	d.need(16)
	d.font("B", 8, dim)
	d.SetX(left)
	for i, name := range []string{"Requirement", "What it asks", "Level", "Checks", "Reviews", "Verdict"} {
		d.CellFormat(columns[i], 5.5, name, "", 0, "L", false, 0, "")
	}
	d.Ln(5.5)
	d.rule(d.GetY(), dim)
}

// row is one requirement's line; it leads to where the requirement is told.
func (d *document) row(p verdict.Result, q verdict.Requirement) {
	d.font("", 8.5, ink)
	title := d.lines(d.encode(reports.Clip(q.Title, 180)), columns[1]-2)
	id := d.lines(d.encode(reports.Clip(q.ID, 60)), columns[0]-2)
	level := d.level(q)
	h := 2.4 + 4.0*float64(max(len(title), len(id), len(level)))
	h = max(h, 6.6)
	if d.GetY()+h > 297-bottom {
		d.AddPage()
		d.columnHeads()
	}
	x, y := left, d.GetY()
	link := d.link(p, q)
	d.column(x, y, columns[0], id, "B", 8.5, ink)
	x += columns[0]
	d.column(x, y, columns[1], title, "", 8.5, ink)
	x += columns[1]
	d.column(x, y, columns[2], level, "", 8, dim)
	x += columns[2]
	d.squares(x, y+1.2, q)
	x += columns[3]
	if a := reports.Reviews(q); a.Wanted > 0 {
		d.column(x, y, columns[4], []string{fmt.Sprintf("%d of %d", a.Given(), a.Wanted)}, "", 8, dim)
	}
	x += columns[4]
	d.chip(x, y+.9, columns[5], 4.8, q.Verdict)
	d.Link(left, y, width, h, link)
	d.rule(y+h, line)
	d.SetXY(left, y+h)
}

func (d *document) level(q verdict.Requirement) []string {
	out := []string{d.encode(q.Level)}
	if q.Waived {
		out = append(out, "waived")
	}
	if q.Certainty == reports.Recalled {
		out = append(out, "recalled")
	}
	return out
}

// column prints lines below each other from a corner on.
func (d *document) column(x, y, w float64, lines []string, kind string, size float64, c colour) {
	d.font(kind, size, c)
	for i, l := range lines {
		d.SetXY(x, y+1.2+4*float64(i))
		d.CellFormat(w, 4, l, "", 0, "L", false, 0, "")
	}
}

// squares are a requirement's checks, one square each, or one a verdict with its number.
func (d *document) squares(x, y float64, q verdict.Requirement) {
	const size = 4.2
	if len(q.Checks) <= squaresMost {
		for _, c := range q.Checks {
			d.square(x, y, size, c.Verdict)
			x += size + .6
		}
		return
	}
	n := map[verdict.Verdict]int{}
	for _, c := range q.Checks {
		n[reports.Closed(c.Verdict)]++
	}
	for _, v := range reports.Worst {
		if n[v] == 0 {
			continue
		}
		number := fmt.Sprint(n[v])
		d.font("B", 7.5, styleOf(string(v)).text)
		w := d.GetStringWidth(number)
		d.fill(styleOf(string(v)).ground)
		d.RoundedRect(x, y, w+size+.8, size, .6, "1234", "F")
		d.SetXY(x+.2, y)
		d.CellFormat(w+1, size, number, "", 0, "LM", false, 0, "")
		d.sign(x+w+1.2, y+size*.17, size*.66, v, styleOf(string(v)).text)
		x += w + size + 1.4
	}
}

// legend names the signs that the matrix has.
func (d *document) legend(p verdict.Result) {
	used := map[verdict.Verdict]bool{}
	for _, q := range p.Requirements {
		used[reports.Closed(q.Verdict)] = true
		for _, c := range q.Checks {
			used[reports.Closed(c.Verdict)] = true
		}
	}
	d.need(8)
	d.Ln(1)
	x, y := left, d.GetY()
	for _, v := range reports.Worst {
		if !used[v] {
			continue
		}
		d.square(x, y, 4.2, v)
		d.font("", 8, dim)
		d.SetXY(x+4.8, y)
		d.CellFormat(26, 4.2, string(v), "", 0, "LM", false, 0, "")
		x += 30
	}
	d.SetXY(left, y+6)
}

// link is the place where a requirement is told; it may not be set yet.
func (d *document) link(p verdict.Result, q verdict.Requirement) int {
	key := strings.Join([]string{p.ID, q.Standard, q.ID}, "\x00")
	if _, ok := d.links[key]; !ok {
		d.links[key] = d.AddLink()
	}
	return d.links[key]
}
