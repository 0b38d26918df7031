package main

// The rules of what assay says:
//   - stdout is the result, stderr the story; --format json puts JSON and nothing else on stdout;
//   - a complaint is one line "assay: what went wrong" and one line "assay: hint: what to do";
//   - progress is drawn on a terminal only; a pipe gets a line a step at most, on stderr;
//   - the exit code is the verdict, as ARCHITECTURE's outer contract says;
//   - no secret is ever said.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/term"

	"assay/cmd/assay/interview"
)

// The exit codes of the outer contract.
const (
	exitDone          = 0
	exitNonConformant = 1
	exitUnusable      = 2
	exitIncomplete    = 3
	exitUnverified    = 4
	exitBench         = 5
)

// A complaint is an error with its exit code and what the user can do. An empty
// complaint only carries a code: everything has been said already.
type complaint struct {
	code int
	err  error
	hint string
}

func (c *complaint) Error() string {
	if c.err == nil {
		return ""
	}
	return c.err.Error()
}

func (c *complaint) Unwrap() error { return c.err }

func unusable(err error, hint string) error    { return &complaint{exitUnusable, err, hint} }
func benchFailed(err error, hint string) error { return &complaint{exitBench, err, hint} }
func unverified(err error, hint string) error  { return &complaint{exitUnverified, err, hint} }

// ended carries an exit code whose reason is already on stdout.
func ended(code int) error {
	if code == exitDone {
		return nil
	}
	return &complaint{code: code}
}

// complain writes an error as the rules want it and returns its exit code.
func complain(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	var c *complaint
	if !errors.As(err, &c) {
		c = &complaint{exitUnusable, err, ""}
		if errors.Is(err, context.Canceled) {
			c = &complaint{exitIncomplete, errors.New("stopped"), ""}
		}
	}
	if c.err != nil {
		fmt.Fprintf(w, "assay: %s\n", cleanLines(strings.TrimRight(c.err.Error(), "\n")))
	}
	if c.hint != "" {
		fmt.Fprintf(w, "assay: hint: %s\n", cleanLines(c.hint))
	}
	return c.code
}

// clean keeps what files say from moving a terminal's cursor.
var clean = interview.Clean

// cleanLines is clean for complaints of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for n, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, "\t"))]
		lines[n] = indent + clean(line[len(indent):])
	}
	return strings.Join(lines, "\n")
}

func quote(s string) string { return strconv.Quote(s) }

// version tells which build this is.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += "+" + s.Value[:12]
		}
	}
	return v
}

// terminal tells whether somebody is looking at f.
func terminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
}
