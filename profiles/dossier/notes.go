package dossier

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// Placeholder stands in a new dossier where the maker has to write.
const Placeholder = "FILL IN"

// Notes are what a dossier leaves open, by line: what is still to fill in, what lacks its
// justification, what an ICS does not mention. None keeps a device from being tested; each
// will cost a verdict.
func (d *Dossier) Notes() []*strict.Error { return slices.Clone(d.notes) }

func (c *checker) note(key, format string, args ...any) {
	c.d.notes = append(c.d.notes, c.doc.Note(key, format, args...))
}

// unfinished notes every text that still is the placeholder, and brings the notes into the order of the file.
func (c *checker) unfinished() {
	visit(reflect.ValueOf(c.d).Elem(), "", func(key, text string) {
		if text == Placeholder {
			c.note(key, "is still to fill in")
		}
	})
	slices.SortStableFunc(c.d.notes, func(a, b *strict.Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// visit shows every text below a value, secrets in place among them, with its key in the file.
func visit(v reflect.Value, key string, see func(key, text string)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			visit(v.Elem(), key, see)
		}
	case reflect.String:
		see(key, v.String())
	case reflect.Struct:
		if s, ok := v.Interface().(Secret); ok {
			see(key, s.value)
			return
		}
		for _, f := range fieldsOf(v.Type()) {
			visit(v.Field(f.index), strings.TrimPrefix(key+"."+f.name, "."), see)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			visit(v.MapIndex(k), key+"."+k.String(), see)
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), fmt.Sprintf("%s[%d]", key, i), see)
		}
	}
}

// few names some of many.
func few(names []string) string { return strict.Few(names, 8) }
