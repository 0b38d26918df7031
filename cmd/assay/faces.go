package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"assay/reports"
	"assay/reports/html"
	"assay/reports/text"
	"assay/reports/verdict"
)

// face writes a report in one format.
func face(w io.Writer, r *reports.Report, format string) error {
	switch format {
	case "json":
		return writeJSON(w, r)
	case "html":
		return html.Write(w, r)
	default:
		f, ok := w.(*os.File)
		return text.Write(w, r, ok && terminal(f))
	}
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
func tell(out, story io.Writer, r *reports.Report, dir, format string) error {
	if err := face(out, r, format); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	fmt.Fprintf(story, "\nreport    %s\nevidence  %s\ncheck it  assay verify %s --key %s\n",
		filepath.Join(dir, "report.html"), filepath.Join(dir, r.Run+".assay"), filepath.Join(dir, r.Run+".assay"), filepath.Join(dir, "lab.pub"))
	return ended(codeOf(r))
}
