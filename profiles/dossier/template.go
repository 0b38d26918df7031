package dossier

import (
	_ "embed"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"assay/profiles"
)

// templateText is a new dossier with names in capitals where this file's functions write.
//
//go:embed template.in.yaml
var templateText string

// Template returns a dossier to fill in: every section, every table, every key with what it is
// for. It reads without an error, and its notes name every place that is still to fill in.
func Template() ([]byte, error) { return fill(Guesses{}) }

func fill(g Guesses) ([]byte, error) {
	m, err := readMeanings()
	if err != nil {
		return nil, err
	}
	features, err := profiles.Features()
	if err != nil {
		return nil, fmt.Errorf("read the features: %w", err)
	}
	w := &writer{meanings: m, guesses: g}
	return []byte(strings.NewReplacer(
		"@SCHEMA@", SchemaFile,
		"@HEAD@\n", g.head(),
		"@HINT@", g.hint(),
		"@MAC@", g.unit("mac", `"02:00:00:12:34:56"`, ""),
		"@HOST@", g.unit("host", "192.0.2.17", " # leave it out where the bench hands out the address"),
		"@VERSION@", Version,
		"@PLACEHOLDER@", Placeholder,
		"@PRODUCT@", w.keys("  ", reflect.TypeFor[Product](), 1, nil),
		"@EDITION@", Edition,
		"@FEATURES@", featureLines(features, g.Features),
		"@PROVISIONS@", provisionLines(),
		"@IXIT@", w.tables(),
	).Replace(templateText)), nil
}

type writer struct {
	meanings meanings
	guesses  Guesses
}

// keys writes each key of a struct on a line of its own, with its meaning: texts with the
// placeholder, all else as a comment with an example. What was guessed stands as it was seen.
func (w *writer) keys(indent string, t reflect.Type, number int, seen Row) string {
	var b strings.Builder
	beside := false
	for _, f := range fieldsOf(t) {
		text, machine := w.meanings.of(t, f)
		if machine && !beside {
			beside = true
			fmt.Fprintf(&b, "%s# beside the standard, for comparing:\n", indent)
		}
		line := fmt.Sprintf("%s: %s", f.name, w.example(f, f.of))
		switch {
		case f.name == "id":
			line = fmt.Sprintf("id: %s-%d", t.Name(), number)
		case !machine && f.of.Kind() == reflect.String && f.form == "":
			line = f.name + ": " + Placeholder
		case !machine && f.of == reflect.TypeFor[*Answer]():
			line = f.name + ": {is: false, detail: " + Placeholder + "}" // nobody has confirmed it yet
		default:
			line = "# " + line
		}
		if len(f.enum) > 0 {
			text += ": " + oneOf(f.enum)
		}
		if g, guessed := seen[f.name]; guessed {
			line, text = f.name+": "+g.Value, g.comment()+"; "+text
		}
		fmt.Fprintf(&b, "%s%s # %s\n", indent, line, text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// tables writes every table with one row, or with those that were guessed.
func (w *writer) tables() string {
	var b strings.Builder
	for _, f := range fieldsOf(reflect.TypeFor[IXIT]()) {
		t := bottom(f.of)
		var body string
		if f.of.Kind() == reflect.Slice {
			var rows []string
			for i, row := range w.guesses.rows(f.name) {
				rows = append(rows, "    - "+strings.TrimPrefix(w.keys("      ", t, i+1, row), "      "))
			}
			body = strings.Join(rows, "\n")
		} else {
			body = w.keys("    ", t, 1, nil)
		}
		fmt.Fprintf(&b, "\n  # %s: %s.\n  %s:\n%s\n", f.name, w.meanings[t.Name()].About, f.name, body)
	}
	return strings.Trim(b.String(), "\n")
}

// example writes a value of a type as YAML on one line.
func (w *writer) example(f field, t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return w.example(f, t.Elem())
	case reflect.Slice:
		return "[" + w.example(f, t.Elem()) + "]"
	case reflect.Struct:
		var parts []string
		for _, one := range fieldsOf(t) {
			parts = append(parts, one.name+": "+w.example(one, one.of))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Bool:
		return "true"
	case reflect.Int:
		if f.example != "" {
			return f.example
		}
		return strconv.Itoa(f.low)
	}
	form, formed := forms(f.form)
	switch {
	case f.example != "":
		return f.example
	case len(f.enum) > 0:
		return f.enum[0]
	case formed:
		return form.example
	case len(f.rows) > 0:
		return bare(f.rows[0]) + "-1"
	default:
		return Placeholder
	}
}

// provisionLines writes one row for each provision.
func provisionLines() string {
	var b strings.Builder
	for _, id := range Provisions() {
		fmt.Fprintf(&b, "    %s: {support: %s}\n", id, Placeholder)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// featureLines writes each feature as it counts where it is not named: present.
func featureLines(features []profiles.Feature, seen map[string]string) string {
	var b strings.Builder
	for _, f := range features {
		text := f.Meaning
		if why := seen[f.Name]; why != "" {
			text = Guess{Seen: why}.comment() + "; " + text
		}
		fmt.Fprintf(&b, "  %s: {present: true} # %s\n", f.Name, text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
