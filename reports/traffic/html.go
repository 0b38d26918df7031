package traffic

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"assay/lab/capture/analyze"
)

//go:embed page.tmpl
var page string

//go:embed page.css
var style string

// pageRows is how many rows of a section a page gets; a browser still scrolls through all sections of so many.
const pageRows = 300

// table is a section as the page shows it.
type table struct {
	Title   string
	Anchor  string
	Alarm   bool
	Open    bool
	Columns []string
	Rows    [][]string
	Of      int
}

type pageView struct {
	*analyze.Analysis
	Style    template.CSS
	Timeline template.HTML
	Packets  string
	Size     string
	Span     string
	TCP, UDP string
	Tables   []table
	Lanes    int // shown
	LanesOf  int
	Legend   []legend
}

// HTML writes one self-contained page without scripts.
func HTML(w io.Writer, a *analyze.Analysis) error {
	t, err := template.New("page").Parse(page)
	if err != nil {
		return fmt.Errorf("read the page template: %w", err)
	}
	v := pageView{
		Analysis: a, Style: template.CSS(style), Packets: thousands(a.Capture.Packets), Size: size(a.Capture.Bytes), Span: span(a.Capture),
		TCP: thousands(a.Totals["tcp flows"]), UDP: thousands(a.Totals["udp flows"]),
	}
	d := draw(a)
	v.Legend, v.Lanes, v.LanesOf = d.legends(), len(d.lanes), d.of
	v.Timeline = d.picture()
	for i, s := range sections(a) {
		if len(s.rows) == 0 {
			continue
		}
		v.Tables = append(v.Tables, table{
			Title: s.title, Anchor: fmt.Sprintf("s%d", i), Alarm: s.alarm, Open: len(s.rows) <= 20, Columns: s.columns,
			Rows: s.rows[:min(len(s.rows), pageRows)], Of: len(s.rows),
		})
	}
	if err := t.Execute(w, v); err != nil {
		return fmt.Errorf("render the analysis: %w", err)
	}
	return nil
}
