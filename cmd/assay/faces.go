package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"assay/reports"
	"assay/reports/annexvii"
	"assay/reports/cyclonedx"
	"assay/reports/html"
	"assay/reports/ics"
	"assay/reports/intoto"
	"assay/reports/junit"
	"assay/reports/markdown"
	"assay/reports/oscal"
	"assay/reports/pdf"
	"assay/reports/sarif"
	"assay/reports/text"
	"assay/reports/verdict"
)

// A faceWriter writes a report in one form.
type faceWriter struct {
	format string
	write  func(io.Writer, *reports.Report) error
	binary bool // nothing for a terminal
}

// faces are the forms that a report has beside text, in the order in which help lists them.
var faces = []faceWriter{
	{format: "json", write: func(w io.Writer, r *reports.Report) error { return writeJSON(w, r) }},
	{format: "html", write: html.Write},
	{format: "pdf", write: pdf.Write, binary: true},
	{format: "markdown", write: markdown.Write},
	{format: "junit", write: junit.Write},
	{format: "sarif", write: sarif.Write},
	{format: "oscal", write: oscal.Write},
	{format: "cyclonedx", write: cyclonedx.Write},
	{format: "intoto", write: intoto.Write},
	{format: "ics", write: ics.Write},
	{format: "ics-json", write: ics.WriteJSON},
	{format: "annexvii", write: annexvii.Write},
}

// formats lists the names of all forms; text is the first and the default.
func formats() []string {
	names := []string{"text"}
	for _, f := range faces {
		names = append(names, f.format)
	}
	return names
}

// face writes a report in one format.
func face(w io.Writer, r *reports.Report, format string) error {
	for _, f := range faces {
		if f.format == format {
			return f.write(w, r)
		}
	}
	f, ok := w.(*os.File)
	return text.Write(w, r, ok && terminal(f))
}

// printable refuses to write bytes to a terminal that are none of its business.
func printable(w io.Writer, format, hint string) error {
	f, ok := w.(*os.File)
	for _, one := range faces {
		if one.format == format && one.binary && ok && term.IsTerminal(int(f.Fd())) {
			return unusable(fmt.Errorf("--format %s is not for a terminal", format), hint)
		}
	}
	return nil
}

// writeFaces puts the page and the JSON beside the sealed file.
func writeFaces(r *reports.Report, dir string) error {
	for _, format := range []string{"html", "json"} {
		var b bytes.Buffer
		if err := face(&b, r, format); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "report."+format), b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write report.%s: %w", format, err)
		}
	}
	return nil
}

// codeOf is the exit code of a report: the worst statement of its profiles.
func codeOf(r *reports.Report) int {
	code := exitDone
	for _, p := range r.Profiles {
		switch p.Conformity {
		case verdict.NonConformant:
			return exitNonConformant
		case verdict.Incomplete:
			code = exitIncomplete
		}
	}
	return code
}

// tell prints a finished run's result on stdout and where everything is on stderr.
func (s *session) tell(out, story io.Writer, r *reports.Report, format string) error {
	if err := face(out, r, format); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	fmt.Fprintf(story, "\nreport    %s\nevidence  %s\ncheck it  %s\n", filepath.Join(s.dir, "report.html"), filepath.Join(s.dir, r.Run+".assay"), s.howToVerify(r))
	return ended(codeOf(r))
}
