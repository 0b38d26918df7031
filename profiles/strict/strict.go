// Package strict reads YAML that people write for assay: every unknown key, wrong
// type, duplicate and bomb is an error that names file, line and key. It never
// guesses what was meant and never follows an anchor, an alias or a tag.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one file. The YAML parser below is recursive and, for some inputs,
// quadratic in tokens: both are bounded before it sees anything.
const (
	MaxBytes  = 1 << 20
	maxTokens = 40_000
	maxDepth  = 32
	maxErrors = 20
)

// An Error is one complaint about one place in a file.
type Error struct {
	File    string
	Line    int // from 1; 0 where the file as a whole is meant
	Column  int // in characters, from 1
	Key     string
	Problem string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key)
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Errors are all complaints about one file, in the order of its lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

type position struct{ line, column int }

// A Doc is one parsed file that can tell where each of its keys stands.
type Doc struct {
	name string
	root ast.Node
	at   map[string]position
	errs Errors
	more int // complaints beyond maxErrors
}

// Parse reads one YAML document.
func Parse(name string, b []byte) (*Doc, error) {
	d := &Doc{name: name, at: map[string]position{}}
	if len(b) > MaxBytes {
		return nil, &Error{File: name, Problem: fmt.Sprintf("has %d bytes, more than the %d that are read: split it or remove what does not belong", len(b), MaxBytes)}
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if !utf8.Valid(b) {
		return nil, &Error{File: name, Problem: "is not UTF-8 text"}
	}
	tokens := lexer.Tokenize(string(b))
	if err := d.guard(tokens); err != nil {
		return nil, err
	}
	file, err := parse(tokens)
	if err != nil {
		return nil, d.syntax(err)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, &Error{File: name, Problem: "is empty"}
	case 1:
		d.root = bodies[0]
	default:
		return nil, &Error{File: name, Problem: "holds more than one YAML document: keep one"}
	}
	if err := d.index(d.root, "", nil, 0); err != nil {
		return nil, err
	}
	return d, nil
}

// parse keeps a panic of the YAML library from becoming ours.
func parse(tokens token.Tokens) (f *ast.File, err error) {
	defer func() {
		if v := recover(); v != nil {
			f, err = nil, errors.New("cannot be read as YAML")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // decode tells of them with their key
}

// guard refuses, before anything recursive runs, what nests or expands without bound.
func (d *Doc) guard(tokens token.Tokens) error {
	if len(tokens) > maxTokens {
		return &Error{File: d.name, Problem: fmt.Sprintf("has %d YAML tokens, more than the %d that are read: split it", len(tokens), maxTokens)}
	}
	flow, line, entries := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		problem := ""
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			entries++
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			problem = "anchors, aliases and merge keys are not read: write the value out"
		case token.TagType, token.DirectiveType, token.MappingKeyType:
			problem = fmt.Sprintf("%q: tags, directives and complex keys are not read: remove it", clip(t.Value))
		}
		if flow > maxDepth || entries > maxDepth {
			problem = fmt.Sprintf("is nested deeper than %d levels", maxDepth)
		}
		if problem != "" {
			return &Error{File: d.name, Line: t.Position.Line, Column: t.Position.Column, Problem: problem}
		}
	}
	return nil
}

// syntax makes the library's complaint one line of ours.
func (d *Doc) syntax(err error) error {
	out := &Error{File: d.name, Problem: "cannot be read as YAML"}
	var e yaml.Error
	if errors.As(err, &e) {
		out.Problem = "cannot be read as YAML: " + clip(printable(e.GetMessage()))
		if t := e.GetToken(); t != nil && t.Position != nil {
			out.Line, out.Column = t.Position.Line, t.Position.Column
		}
	}
	return out
}

// index notes where every key stands and bounds the depth.
func (d *Doc) index(n ast.Node, path string, key *token.Token, depth int) error {
	at := n.GetToken()
	if e := entries(n); key == nil && len(e) > 0 {
		at = e[0].Key.GetToken() // the library's own token of a mapping is its first colon
	}
	if key != nil && (isMapping(n) || n.Type() == ast.SequenceType || n.Type() == ast.NullType) {
		at = key
	}
	p := position{}
	if at != nil && at.Position != nil {
		p = position{at.Position.Line, at.Position.Column}
	}
	if depth > maxDepth {
		return &Error{File: d.name, Line: p.line, Column: p.column, Problem: fmt.Sprintf("is nested deeper than %d levels", maxDepth)}
	}
	d.at[path] = p
	switch {
	case isMapping(n):
		for _, e := range entries(n) {
			if err := d.index(e.Value, join(path, keyText(e)), e.Key.GetToken(), depth+1); err != nil {
				return err
			}
		}
	case n.Type() == ast.SequenceType:
		for i, v := range n.(*ast.SequenceNode).Values {
			if err := d.index(v, fmt.Sprintf("%s[%d]", path, i), nil, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Complain notes a problem of the value at a key, e.g. units[0].mac. A key that
// is not in the file stands where its nearest parent does.
func (d *Doc) Complain(key, format string, args ...any) {
	e := d.Note(key, format, args...)
	d.add(position{e.Line, e.Column}, e.Key, e.Problem)
}

// Note words a remark on the value at a key, placed as Complain would, without making it a complaint.
func (d *Doc) Note(key, format string, args ...any) *Error {
	at := key
	for {
		if p, ok := d.at[at]; ok || at == "" {
			return &Error{File: d.name, Line: p.line, Column: p.column, Key: key, Problem: fmt.Sprintf(format, args...)}
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
}

func (d *Doc) add(p position, key, problem string) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{File: d.name, Line: p.line, Column: p.column, Key: key, Problem: problem})
	} else {
		d.more++
	}
}

// Err returns every complaint so far, or nil.
func (d *Doc) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if d.more > 0 {
		return append(slices.Clip(d.errs), &Error{File: d.name, Problem: fmt.Sprintf("and %d more places", d.more)})
	}
	return d.errs
}

// Has tells whether the file has this key.
func (d *Doc) Has(key string) bool {
	_, ok := d.at[key]
	return ok
}

func join(path, key string) string {
	if path == "" {
		return clip(printable(key))
	}
	return path + "." + clip(printable(key))
}

// printable keeps what a file says from moving a terminal's cursor.
func printable(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// clip shortens what a message quotes.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// Few names some of many.
func Few(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
