package strict

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A Decoder is a type that reads its own node.
type Decoder interface {
	DecodeStrict(n Node)
}

// A Node is one value of a file, given to a Decoder.
type Node struct {
	doc  *Doc
	node ast.Node
	path string
}

// Text returns the value if it is a scalar written as text or number.
func (n Node) Text() (string, bool) { return text(n.node) }

// IsMapping tells whether the value is keys and values.
func (n Node) IsMapping() bool { return isMapping(n.node) }

// Decode reads the value into v, a pointer, and reports whether it did.
func (n Node) Decode(v any) bool { return n.doc.decode(n.node, n.path, reflect.ValueOf(v).Elem()) }

// Complain notes a problem of the value.
func (n Node) Complain(format string, args ...any) { n.doc.Complain(n.path, format, args...) }

// Decode reads the whole file into v, a pointer to a struct. Keys are the fields' yaml tags.
// It returns every complaint so far.
func (d *Doc) Decode(v any) error {
	d.decode(d.root, "", reflect.ValueOf(v).Elem())
	return d.Err()
}

func (d *Doc) decode(n ast.Node, path string, v reflect.Value) bool {
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(Decoder); ok {
			u.DecodeStrict(Node{d, n, path})
			return true
		}
	}
	if n.Type() == ast.NullType {
		d.Complain(path, "has no value: fill it in or remove the key")
		return false
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		v.Set(fresh)
		return d.decode(n, path, fresh.Elem())
	case reflect.Struct:
		return d.decodeStruct(n, path, v)
	case reflect.Map:
		return d.decodeMap(n, path, v)
	case reflect.Slice:
		return d.decodeSlice(n, path, v)
	case reflect.Interface:
		return d.decodeAny(n, path, v)
	default:
		return d.decodeScalar(n, path, v)
	}
}

func (d *Doc) wrong(n ast.Node, path, want string) bool {
	d.Complain(path, "wants %s, found %s", want, describe(n))
	return false
}

func (d *Doc) decodeScalar(n ast.Node, path string, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		s, ok := text(n)
		if !ok && n.Type() == ast.BoolType {
			d.Complain(path, "wants text, found %s: put it in quotes", describe(n))
			return false
		}
		if !ok {
			return d.wrong(n, path, "text")
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			return d.wrong(n, path, "true or false")
		}
		v.SetBool(b.Value)
	case reflect.Int, reflect.Int64:
		i, ok := integer(n)
		if !ok || v.OverflowInt(i) {
			return d.wrong(n, path, "a whole number")
		}
		v.SetInt(i)
	case reflect.Float64:
		f, ok := float(n)
		if !ok {
			return d.wrong(n, path, "a number")
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("strict: a field of kind %s cannot be read", v.Kind()))
	}
	return true
}

func (d *Doc) decodeStruct(n ast.Node, path string, v reflect.Value) bool {
	if !isMapping(n) {
		return d.wrong(n, path, "keys and values")
	}
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = i
			names = append(names, name)
		}
	}
	ok := true
	for key, e := range d.unique(n, path, &ok) {
		i, known := fields[key]
		if !known {
			at := e.Key.GetToken().Position
			d.add(position{at.Line, at.Column}, join(path, key), "is not a key here"+Suggest(key, names))
			ok = false
			continue
		}
		ok = d.decode(e.Value, join(path, key), v.Field(i)) && ok
	}
	return ok
}

func (d *Doc) decodeMap(n ast.Node, path string, v reflect.Value) bool {
	if !isMapping(n) {
		return d.wrong(n, path, "keys and values")
	}
	ok := true
	m := reflect.MakeMap(v.Type())
	for key, e := range d.unique(n, path, &ok) {
		one := reflect.New(v.Type().Elem()).Elem()
		ok = d.decode(e.Value, join(path, key), one) && ok
		m.SetMapIndex(reflect.ValueOf(key), one)
	}
	v.Set(m)
	return ok
}

// unique yields the entries of a mapping in order and complains about the second of two equal keys.
func (d *Doc) unique(n ast.Node, path string, ok *bool) func(func(string, *ast.MappingValueNode) bool) {
	return func(yield func(string, *ast.MappingValueNode) bool) {
		seen := map[string]bool{}
		for _, e := range entries(n) {
			key := keyText(e)
			if seen[key] {
				at := e.Key.GetToken().Position
				d.add(position{at.Line, at.Column}, join(path, key), "stands here twice: keep one")
				*ok = false
				continue
			}
			seen[key] = true
			if !yield(key, e) {
				return
			}
		}
	}
}

func (d *Doc) decodeSlice(n ast.Node, path string, v reflect.Value) bool {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return d.wrong(n, path, "a list")
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, one := range seq.Values {
		ok = d.decode(one, fmt.Sprintf("%s[%d]", path, i), out.Index(i)) && ok
	}
	v.Set(out)
	return ok
}

// decodeAny reads what has no type of its own: map[string]any, []any, string, bool, int64, float64.
func (d *Doc) decodeAny(n ast.Node, path string, v reflect.Value) bool {
	var into reflect.Value
	switch {
	case isMapping(n):
		into = reflect.New(reflect.TypeFor[map[string]any]()).Elem()
	case n.Type() == ast.SequenceType:
		into = reflect.New(reflect.TypeFor[[]any]()).Elem()
	case n.Type() == ast.BoolType:
		into = reflect.New(reflect.TypeFor[bool]()).Elem()
	case n.Type() == ast.IntegerType:
		into = reflect.New(reflect.TypeFor[int64]()).Elem()
	case n.Type() == ast.FloatType:
		into = reflect.New(reflect.TypeFor[float64]()).Elem()
	default:
		into = reflect.New(reflect.TypeFor[string]()).Elem()
	}
	ok := d.decode(n, path, into)
	v.Set(into)
	return ok
}

func isMapping(n ast.Node) bool {
	return n.Type() == ast.MappingType || n.Type() == ast.MappingValueType
}

func entries(n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	return nil
}

func keyText(e *ast.MappingValueNode) string {
	if s, ok := e.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return e.Key.GetToken().Value
}

// text returns a scalar's text. A number keeps the digits it was written with:
// version 1.10 is not 1.1 and serial 0012 is not ten.
func text(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.IntegerNode:
		return s.Token.Value, true
	case *ast.FloatNode:
		return s.Token.Value, true
	}
	return "", false
}

func integer(n ast.Node) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch x := i.Value.(type) {
	case int64:
		return x, true
	case uint64:
		return int64(x), x <= math.MaxInt64
	}
	return 0, false
}

func float(n ast.Node) (float64, bool) {
	if f, ok := n.(*ast.FloatNode); ok {
		return f.Value, !math.IsInf(f.Value, 0) && !math.IsNaN(f.Value)
	}
	i, ok := integer(n)
	return float64(i), ok
}

// describe names a value without printing it: it may be a secret in the wrong place.
func describe(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "keys and values"
	case ast.SequenceType:
		return "a list"
	case ast.StringType, ast.LiteralType:
		return "text"
	case ast.BoolType:
		return "true or false"
	case ast.IntegerType:
		return "a whole number"
	case ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.NullType:
		return "nothing"
	default:
		return "something else"
	}
}

// Suggest words a hint after an unknown name: the known one that is nearest, the first of those that
// are as near, or all of a few.
func Suggest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if n := edits(name, k); n < distance {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %q?", best)
	}
	if len(known) == 0 {
		return ""
	}
	known = slices.Sorted(slices.Values(known))
	if len(known) > 12 {
		return fmt.Sprintf(": there are %s and %d more", strings.Join(known[:12], ", "), len(known)-12)
	}
	return ": there is " + strings.Join(known, ", ")
}

// edits is the Levenshtein distance, for short names.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
