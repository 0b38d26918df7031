// Package html renders a report as one self-contained page: the statement and its bar
// first, a verdict matrix for each standard, then for every requirement its units, what
// was asked, seen, expected and said by whom, how to mend it, and the packets. It loads
// nothing from anywhere and runs no script.
package html

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"

	"assay/reports"
	"assay/reports/verdict"
)

//go:embed *.tmpl
var templates embed.FS

//go:embed page.css
var style string

// Bounds of the packets that are printed for one observation; the capture has all of them.
const (
	packetsRead  = 600
	packetsShown = 30
)

// Write renders the report.
func Write(w io.Writer, r *reports.Report) error {
	t, err := template.ParseFS(templates, "*.tmpl")
	if err != nil {
		return fmt.Errorf("read the page's templates: %w", err)
	}
	if t = t.Lookup("page.tmpl"); t == nil {
		return errors.New("read the page's templates: there is no page.tmpl")
	}
	if err := reports.Plainly(w, func(w io.Writer) error { return t.Execute(w, view(r)) }); err != nil {
		return fmt.Errorf("render report %s: %w", r.Run, err)
	}
	return nil
}

// class is a verdict's or a statement's style.
func class(word string) string {
	switch word {
	case string(verdict.Pass), "conformant", "conformant with waivers":
		return "pass"
	case string(verdict.Fail), "non-conformant":
		return "fail"
	case string(verdict.NotApplicable):
		return "na"
	default:
		return "inconclusive"
	}
}

// anchor makes an id that a link can point at.
func anchor(parts ...string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' {
			return c
		}
		return '-'
	}, strings.Join(parts, "-"))
}
