// Package pdf renders a report as a document to file and to sign: a title page with what
// ISO/IEC 17025 asks a report to name, the verdicts by standard, what each rests on, what it
// does not show, and a place for names. The same report gives the same bytes. It embeds no font
// and leads nowhere but to its own pages.
package pdf

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"codeberg.org/go-pdf/fpdf"

	"assay/reports"
	"assay/reports/verdict"
)

// Millimetres of an A4 page.
const (
	left, right, top, bottom = 20.0, 18.0, 24.0, 20.0
	pageWidth                = 210.0
	width                    = pageWidth - left - right
)

// pages stands for the number of pages until it is known. No text of a report can hold it: see encode.
const pages = "\x01p"

// bytesMost bounds what one text of the evidence may take; the JSON has all of it.
const textMost = 700

type document struct {
	*fpdf.Fpdf
	r *reports.Report

	told         map[string]string // check -> the requirement that tells it
	links        map[string]int    // requirement -> its place
	approximated bool              // a letter was written as another one
}

// Write renders the report.
func Write(w io.Writer, r *reports.Report) error { return write(w, r, true) }

func write(w io.Writer, r *reports.Report, compressed bool) error {
	d := &document{Fpdf: fpdf.New("P", "mm", "A4", ""), r: r, told: map[string]string{}, links: map[string]int{}}
	d.SetCompression(compressed)
	d.set()
	d.AddPage()
	d.title()
	for _, p := range r.Profiles {
		d.summary(p)
	}
	for _, p := range r.Profiles {
		d.details(p)
	}
	d.limits()
	d.signatures()
	if err := d.Output(w); err != nil {
		return fmt.Errorf("render report %s: %w", r.Run, err)
	}
	return nil
}

// set fixes what every page has. Dates are those of the record: rendering it again changes nothing.
func (d *document) set() {
	said := d.r.Said()
	d.SetCreationDate(said)
	d.SetModificationDate(said)
	d.SetCatalogSort(true)
	d.SetProducer(property(d.r.Tested()), true)
	d.SetCreator(property(d.r.Tested()), true)
	d.SetTitle(property("Test report "+d.r.Run+": "+d.r.Device.Item()), true)
	d.SetAuthor(property(d.r.Operator), true)
	d.SetLang("en")
	d.SetDisplayMode("fullwidth", "continuous")
	d.AliasNbPages(pages)
	d.SetMargins(left, top, right)
	d.SetAutoPageBreak(true, bottom)
	d.SetHeaderFuncMode(d.header, true)
	d.SetFooterFunc(d.footer)
}

// property is a text for the document's own data, of which readers take two bytes a letter.
func property(s string) string {
	return strings.Map(func(c rune) rune {
		if c > 0xffff {
			return unicode.ReplacementChar
		}
		return c
	}, reports.Clip(s, 120))
}

func (d *document) header() {
	d.SetXY(left, 11)
	d.font("", 8, dim)
	d.CellFormat(width/2, 5, d.encode("Test report "+reports.Clip(d.r.Run, 60)), "", 0, "L", false, 0, "")
	d.CellFormat(width/2, 5, d.encode(reports.Clip(d.r.Device.Item(), 70)), "", 0, "R", false, 0, "")
	d.rule(17, line)
	d.SetXY(left, top)
}

func (d *document) footer() {
	d.rule(297-14, line)
	d.SetXY(left, -13)
	d.font("", 7.5, dim)
	d.CellFormat(width-35, 5, "Relates only to the unit tested. To be copied in full only. The sealed evidence is the record.", "", 0, "L", false, 0, "")
	d.CellFormat(35, 5, fmt.Sprintf("page %d of ", d.PageNo())+pages, "", 0, "R", false, 0, "")
}

// A colour is red, green and blue.
type colour [3]int

var (
	ink   = colour{27, 31, 36}
	dim   = colour{87, 96, 106}
	line  = colour{208, 215, 222}
	soft  = colour{246, 248, 250}
	white = colour{255, 255, 255}
)

// A style is how a verdict or a statement looks: text, ground, and a strong colour for bars.
type style struct{ text, ground, strong colour }

func styleOf(word string) style {
	switch word {
	case string(verdict.Pass), string(verdict.Conformant), string(verdict.ConformantWithWaivers):
		return style{colour{17, 99, 41}, colour{218, 251, 225}, colour{26, 127, 55}}
	case string(verdict.Fail), string(verdict.NonConformant):
		return style{colour{164, 14, 38}, colour{255, 235, 233}, colour{207, 34, 46}}
	case string(verdict.NotApplicable):
		return style{dim, colour{234, 238, 242}, colour{140, 149, 159}}
	default:
		return style{colour{125, 78, 0}, colour{255, 248, 197}, colour{191, 135, 0}}
	}
}
