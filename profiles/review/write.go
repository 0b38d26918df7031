package review

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"assay/profiles/strict"
)

// head stands on top of every file that Render writes.
const head = `# What named persons answer where no program can. ` + "`assay review`" + ` goes on with this file;
# ` + "`assay run`" + ` and ` + "`assay judge`" + ` take it with --reviews. It may be edited; comments are not kept when assay writes it again.
# answer: met, not-met or open; not-applicable where a unit has a category or its case a decision tree.
# It rests on rows of the dossier and on evidence: [{document: its id in the dossier}, {file: its path from this folder}].
`

// Render writes a file of reviews as commented YAML that is read back as the same file. about
// gives the comment beside the answer to a unit, line by line; it may be nil.
func Render(f *File, about func(unit string) []string) ([]byte, error) {
	var last error
	for _, flat := range []bool{false, true} { // blocks read better; what they cannot hold is quoted
		w := &writer{flat: flat, about: about}
		w.file(f)
		if last = readsBack(w.b.String(), f); last == nil {
			return []byte(w.b.String()), nil
		}
	}
	return nil, fmt.Errorf("write reviews: %w", last)
}

// Cite makes evidence of a file for reviews in the folder dir: its digest, and its name as seen from there.
func Cite(dir, path string) (Evidence, error) {
	sum, err := digest(path)
	if err != nil {
		return Evidence{}, err
	}
	name := path
	from, err := filepath.Abs(dir)
	if err == nil {
		name, err = filepath.Abs(path)
	}
	if err == nil {
		name, err = filepath.Rel(from, name)
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("name %s from %s: %w", filepath.ToSlash(path), filepath.ToSlash(dir), err)
	}
	return Evidence{File: filepath.ToSlash(name), SHA256: sum}, nil
}

// readsBack tells why a text does not say what a file says.
func readsBack(text string, f *File) error {
	if !utf8.ValidString(text) {
		return errors.New("a text in it is not UTF-8")
	}
	doc, err := strict.Parse("reviews", []byte(text))
	if err != nil {
		return err
	}
	var got File
	if err := doc.Decode(&got); err != nil {
		return err
	}
	if !reflect.DeepEqual(plain(&got), plain(f)) {
		return errors.New("a text in it cannot be written as YAML")
	}
	return nil
}

// plain is what a file says and nothing else: no list where a list is empty.
func plain(f *File) File {
	out := File{Assay: f.Assay, Product: f.Product}
	for _, r := range f.Reviews {
		r.Product = Product{}
		r.Units, r.Rows, r.Evidence = some(r.Units), some(r.Rows), some(r.Evidence)
		r.Items = some(slices.Clone(r.Items))
		for i := range r.Items {
			r.Items[i].Path = some(r.Items[i].Path)
		}
		out.Reviews = append(out.Reviews, r)
	}
	return out
}

func some[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

type writer struct {
	b     strings.Builder
	flat  bool // no text over several lines
	about func(string) []string
}

func (w *writer) linef(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

func (w *writer) file(f *File) {
	w.b.WriteString(head)
	w.linef("assay: %s", quote(f.Assay))
	w.linef("product: {manufacturer: %s, model: %s, firmware: %s}", quote(f.Product.Manufacturer), quote(f.Product.Model), quote(f.Product.Firmware))
	if len(f.Reviews) == 0 {
		w.linef("reviews: []")
		return
	}
	w.linef("reviews:")
	for _, r := range f.Reviews {
		w.review(r)
	}
}

func (w *writer) review(r Review) {
	w.linef("")
	if w.about != nil {
		for _, u := range r.Units {
			for _, line := range w.about(u) {
				w.linef("  # %s", comment(line))
			}
		}
	}
	w.linef("  - units: %s", quotes(r.Units))
	w.linef("    answer: %s", quote(string(r.Answer)))
	w.text("    ", "statement", r.Statement)
	by := "name: " + quote(r.By.Name) + ", role: " + quote(r.By.Role)
	if r.By.Organisation != "" {
		by += ", organisation: " + quote(r.By.Organisation)
	}
	w.linef("    by: {%s}", by)
	w.linef("    date: %s", quote(r.Date))
	w.linef("    expires: %s", quote(r.Expires))
	if len(r.Rows) > 0 {
		w.linef("    rows: %s", quotes(r.Rows))
	}
	if len(r.Evidence) > 0 {
		w.linef("    evidence:")
	}
	for _, e := range r.Evidence {
		var keys []string
		for _, k := range []struct{ key, value string }{{"document", e.Document}, {"file", e.File}, {"title", e.Title}, {"sha256", e.SHA256}} {
			if k.value != "" {
				keys = append(keys, k.key+": "+quote(k.value))
			}
		}
		w.linef("      - {%s}", strings.Join(keys, ", "))
	}
	if len(r.Items) > 0 {
		w.linef("    items:")
	}
	for _, i := range r.Items {
		w.linef("      - name: %s", quote(i.Name))
		w.linef("        path: %s", quotes(i.Path))
		w.text("        ", "because", i.Because)
	}
}

// width is where a long text goes on in the next line.
const width = 110

// text writes a long text as a block, a short one in its line.
func (w *writer) text(indent, key, s string) {
	switch {
	case w.flat || !blocky(s):
		w.linef("%s%s: %s", indent, key, quote(s))
	case strings.Contains(s, "\n"):
		mark := "|-"
		if strings.HasSuffix(s, "\n") {
			mark = "|"
		}
		w.linef("%s%s: %s", indent, key, mark)
		for line := range strings.Lines(s) {
			w.linef("%s", strings.TrimRight(indent+"  "+strings.TrimSuffix(line, "\n"), " "))
		}
	default:
		w.linef("%s%s: >-", indent, key)
		line := ""
		for _, word := range strings.Split(s, " ") {
			if line != "" && len(indent)+2+len(line)+1+len(word) > width {
				w.linef("%s  %s", indent, line)
				line = ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		w.linef("%s  %s", indent, line)
	}
}

// blocky tells whether a text is better read, and safely written, over several lines.
func blocky(s string) bool {
	if len(s) < width-30 && !strings.Contains(s, "\n") || strings.TrimSpace(strings.TrimSuffix(s, "\n")) != strings.TrimSuffix(s, "\n") {
		return false
	}
	odd := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	return !strings.ContainsFunc(s, odd) && !strings.Contains(s, "  ") && !strings.Contains(s, " \n")
}

// bare is what YAML takes for text without quotes, everywhere.
var bare = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9 ._/()-]*[A-Za-z0-9.)]|[0-9]+-[A-Za-z]+/[A-Za-z0-9._-]*[A-Za-z0-9]|[0-9a-f]{64}|[0-9]{4}-[0-9]{2}-[0-9]{2})$`)

// words are what some readers of YAML take for something else than text.
var words = []string{"true", "false", "yes", "no", "on", "off", "null", "inf", "nan"}

// quote writes a text as a YAML scalar in one line.
func quote(s string) string {
	if bare.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) && !allDigits(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// allDigits tells a digest that reads as a number, which has an e somewhere at most.
func allDigits(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789e") == ""
}

func quotes(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// comment makes one line of a text, without what could end a comment or move a cursor.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
