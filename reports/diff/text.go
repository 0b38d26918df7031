package diff

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"assay/reports"
)

// Text prints a comparison for people.
func (d *Diff) Text(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) {
		for i, a := range args {
			args[i] = reports.Plain(fmt.Sprint(a))
		}
		fmt.Fprintf(&b, format+"\n", args...)
	}
	for _, s := range []struct {
		word string
		n    Name
	}{{"old", d.Old}, {"new", d.New}} {
		line("%s  %s: %s, firmware %s, unit %s, profile %s: %s", s.word, s.n.Run, s.n.Model, s.n.Firmware, s.n.Unit, s.n.Profile, s.n.Conformity)
	}
	for _, c := range d.Caveats {
		line("note %s", c)
	}
	for _, part := range []struct {
		title string
		list  []Change
	}{{"requirements", d.Requirements}, {"checks", d.Checks}} {
		line("\n%s: %s differ", part.title, len(part.list))
		for _, c := range part.list {
			line("  %s  %s: %s -> %s", c.How, c.ID, orNone(string(c.Old)), orNone(string(c.New)))
			if c.OldReason != c.NewReason && c.OldReason != "" {
				line("      was: %s", c.OldReason)
			}
			if c.NewReason != "" {
				line("      now: %s", c.NewReason)
			}
		}
	}
	line("\nobservations: %s differ", len(d.Observations))
	for _, o := range d.Observations {
		line("  %s  %s (%s -> %s)", o.How, o.Step, orNone(o.Old), orNone(o.New))
		differences(line, "      ", o.What)
	}
	line("\ndossier: %s differences", len(d.Dossier))
	differences(line, "  ", d.Dossier)
	line("\nsetting: %s differences", len(d.Setting))
	differences(line, "  ", d.Setting)
	line("\nto be tested again: %s steps", len(d.Delta.Again))
	for _, r := range d.Delta.Again {
		line("  %s", r.Step)
		for _, why := range r.Why {
			line("      %s", why)
		}
	}
	line("\nmay be carried over: %s steps", len(d.Delta.Carried))
	for _, r := range d.Delta.Carried {
		line("  %s\n      %s", r.Step, strings.Join(r.Why, "; "))
	}
	line("\nrequirements that rest on what must be done again: %s", orNone(strings.Join(d.Delta.Requirements, ", ")))
	line("requirements that may be carried over: %s", orNone(strings.Join(d.Delta.Kept, ", ")))
	_, err := io.WriteString(w, b.String())
	return err
}

func differences(line func(string, ...any), indent string, list []Difference) {
	for _, d := range list {
		line("%s%s: %s -> %s", indent, d.At, value(d.Old), value(d.New))
	}
}

// longest is how much of a value is printed; JSON has all of it.
const longest = 120

func value(v any) string {
	if v == nil {
		return "none"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if r := []rune(string(b)); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return string(b)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
