// Package traffic is the faces of a capture's analysis: text for a terminal, and one page without scripts.
// It shows what the analysis tells, in the order of what matters; it never looks into a capture itself.
package traffic

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"assay/lab/capture/analyze"
)

// rows is how many rows of a section a terminal gets.
const rows = 15

// Text writes an analysis for a terminal, the most important first.
func Text(w io.Writer, a *analyze.Analysis) error {
	var b bytes.Buffer
	head(&b, a)
	for _, s := range sections(a) {
		s.text(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func head(b *bytes.Buffer, a *analyze.Analysis) {
	c := a.Capture
	fmt.Fprintf(b, "%s: %s, %s packets, %s, %s\n", a.File, c.Format, thousands(c.Packets), size(c.Bytes), span(c))
	if a.Device != "" {
		fmt.Fprintf(b, "only %s: %s of these packets\n", a.Device, thousands(c.Selected))
	}
	drops := "no drop counters in the file"
	if c.DropsCounted {
		drops = fmt.Sprintf("%d packets dropped while capturing", c.Dropped)
	}
	var links []string
	for _, i := range c.Interfaces {
		links = append(links, strings.TrimSpace(i.Name+" "+i.Link))
		if len(links) == 4 && len(c.Interfaces) > 4 {
			links = append(links, fmt.Sprintf("%d more", len(c.Interfaces)-4))
			break
		}
	}
	fmt.Fprintf(b, "%s; %s\n", strings.Join(links, ", "), drops)
	fmt.Fprintf(b, "%s TCP and %s UDP flows between %s endpoints\n", thousands(a.Totals["tcp flows"]), thousands(a.Totals["udp flows"]), thousands(uint64(len(a.Endpoints))))
	for _, n := range a.Notes {
		fmt.Fprintf(b, "note: %s\n", n)
	}
}

// A section is one table of the analysis, for both faces.
type section struct {
	title   string
	alarm   bool // bad news when there is any
	columns []string
	rows    [][]string
}

func (s *section) text(b *bytes.Buffer) {
	if len(s.rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s (%d)\n", s.title, len(s.rows))
	t := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "  "+strings.Join(s.columns, "\t"))
	for i, row := range s.rows {
		if i == rows {
			break
		}
		var cells []string
		for _, cell := range row {
			cells = append(cells, shorten(cell, 60))
		}
		fmt.Fprintln(t, "  "+strings.Join(cells, "\t"))
	}
	_ = t.Flush() // into memory
	if more := len(s.rows) - rows; more > 0 {
		fmt.Fprintf(b, "  ... and %d more; --format json has them\n", more)
	}
}

func shorten(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return text
}

func span(c analyze.Capture) string {
	if c.First.IsZero() {
		return "without times"
	}
	return fmt.Sprintf("%.3f s from %s", c.Seconds, c.First.Format("2006-01-02 15:04:05 MST"))
}

func size(n uint64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

func thousands(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
