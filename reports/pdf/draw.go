package pdf

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"

	"assay/reports"
	"assay/reports/verdict"
)

// spelled are signs that the fonts every reader has do not hold.
var spelled = map[rune]string{'→': "->", '←': "<-", '≥': ">=", '≤': "<=", '≠': "!=", '−': "-", '✓': "yes", '✗': "no", '\u2011': "-", '\u202f': " ", '\u2009': " ", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D"}

// encode writes a text in the letters of those fonts, on one line. A letter that they lack becomes its base
// letter, or its code in brackets; nothing is dropped without a trace.
func (d *document) encode(s string) string {
	var b strings.Builder
	for _, c := range reports.Plain(s) {
		if c == unicode.ReplacementChar {
			b.WriteString("[?]")
			continue
		}
		if c < 0x7f {
			b.WriteByte(byte(c)) // Plain leaves none below space
			continue
		}
		if x, ok := charmap.Windows1252.EncodeRune(c); ok && x >= 0x80 {
			b.WriteByte(x)
			continue
		}
		if word, ok := spelled[c]; ok {
			b.WriteString(word)
			d.approximated = d.approximated || unicode.IsLetter(c)
			continue
		}
		d.approximated = true
		if base := []rune(norm.NFKD.String(string(c))); base[0] < 0x7f {
			b.WriteRune(base[0])
			continue
		}
		fmt.Fprintf(&b, "[U+%04X]", c)
	}
	return b.String()
}

func (d *document) font(kind string, size float64, c colour) {
	d.SetFont("Helvetica", kind, size)
	d.SetTextColor(c[0], c[1], c[2])
}

func (d *document) mono(size float64, c colour) {
	d.SetFont("Courier", "", size)
	d.SetTextColor(c[0], c[1], c[2])
}

func (d *document) fill(c colour) { d.SetFillColor(c[0], c[1], c[2]) }

func (d *document) pen(c colour, wide float64) {
	d.SetDrawColor(c[0], c[1], c[2])
	d.SetLineWidth(wide)
}

func (d *document) rule(y float64, c colour) {
	d.pen(c, 0.2)
	d.Line(left, y, pageWidth-right, y)
}

// need begins a new page unless so many millimetres are left on this one.
func (d *document) need(h float64) {
	if d.GetY()+h > 297-bottom {
		d.AddPage()
	}
}

// lines breaks an encoded text at a width, in the font that is set.
func (d *document) lines(encoded string, w float64) []string {
	var out []string
	for _, l := range d.SplitLines([]byte(encoded), w) {
		out = append(out, string(l))
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// text prints running text in the font that is set, from x on.
func (d *document) text(x, w, h float64, s string) {
	for _, l := range d.lines(d.encode(reports.Clip(s, textMost)), w) {
		d.need(h)
		d.SetX(x)
		d.CellFormat(w, h, l, "", 2, "L", false, 0, "")
	}
}

// named prints a name and what it stands for beside it.
func (d *document) named(x, nameWidth float64, name, value string, mono bool) {
	d.need(4.4)
	y := d.GetY()
	d.SetXY(x, y)
	d.font("", 8, dim)
	d.CellFormat(nameWidth, 4.4, d.encode(name), "", 0, "L", false, 0, "")
	if mono {
		d.mono(7.5, ink)
	} else {
		d.font("", 8.5, ink)
	}
	d.SetXY(x+nameWidth, y)
	d.text(x+nameWidth, pageWidth-right-x-nameWidth, 4.4, value)
}

func (d *document) heading(words string) {
	d.need(24)
	if d.GetY() > top+1 {
		d.Ln(5)
	}
	d.font("B", 13, ink)
	for _, l := range d.lines(d.encode(reports.Clip(words, 240)), width) {
		d.SetX(left)
		d.CellFormat(width, 6.2, l, "", 2, "L", false, 0, "")
	}
	d.Ln(1)
}

func (d *document) subheading(words string) {
	d.need(18)
	d.Ln(2)
	d.font("B", 10, ink)
	for _, l := range d.lines(d.encode(reports.Clip(words, 240)), width) {
		d.SetX(left)
		d.CellFormat(width, 5, l, "", 2, "L", false, 0, "")
	}
	d.Ln(0.6)
}

// sign draws a verdict's sign into a square; the fonts that every reader has hold neither tick nor cross.
func (d *document) sign(x, y, size float64, v verdict.Verdict, c colour) {
	d.pen(c, size/7)
	d.SetLineCapStyle("round")
	switch v {
	case verdict.Pass:
		d.Line(x+.15*size, y+.55*size, x+.4*size, y+.8*size)
		d.Line(x+.4*size, y+.8*size, x+.85*size, y+.22*size)
	case verdict.Fail:
		d.Line(x+.2*size, y+.2*size, x+.8*size, y+.8*size)
		d.Line(x+.2*size, y+.8*size, x+.8*size, y+.2*size)
	case verdict.NotApplicable:
		d.Line(x+.2*size, y+.5*size, x+.8*size, y+.5*size)
	default:
		d.SetFont("Helvetica", "B", size*3.2)
		d.SetTextColor(c[0], c[1], c[2])
		d.SetXY(x, y)
		d.CellFormat(size, size, "?", "", 0, "CM", false, 0, "")
	}
	d.SetLineCapStyle("butt")
}

// chip draws a verdict as a coloured cell with sign and word.
func (d *document) chip(x, y, w, h float64, v verdict.Verdict) {
	v = reports.Closed(v)
	s := styleOf(string(v))
	d.fill(s.ground)
	d.RoundedRect(x, y, w, h, 1, "1234", "F")
	size := h * .62
	d.sign(x+1.2, y+(h-size)/2, size, v, s.text)
	d.font("B", 7.5, s.text)
	d.SetXY(x+size+1.8, y)
	d.CellFormat(w-size-2, h, string(v), "", 0, "LM", false, 0, "")
}

// square draws a verdict as a small cell.
func (d *document) square(x, y, size float64, v verdict.Verdict) {
	s := styleOf(string(v))
	d.fill(s.ground)
	d.RoundedRect(x, y, size, size, .6, "1234", "F")
	d.sign(x+size*.17, y+size*.17, size*.66, v, s.text)
}
