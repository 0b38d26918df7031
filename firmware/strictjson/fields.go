package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Fields returns an error where encoding/json, which takes keys in any case, would read a key into a field of v that
// every other reader takes for another key. It looks at nothing but keys of objects that become structs:
// what is kept raw, and maps, are data. b has passed Check or Exact.
func Fields(b []byte, v any) error { return fields(b, reflect.TypeOf(v)) }

// Unmarshal is json.Unmarshal of what Fields finds no fault with.
func Unmarshal(b []byte, v any) error {
	if err := Fields(b, v); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func fields(b json.RawMessage, t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var of func(key string) (reflect.Type, error)
	switch t.Kind() {
	case reflect.Struct:
		names := map[string]reflect.Type{}
		collect(names, t)
		of = func(key string) (reflect.Type, error) { return named(names, key) }
	case reflect.Map, reflect.Slice, reflect.Array:
		of = func(string) (reflect.Type, error) { return t.Elem(), nil }
	default:
		return nil
	}
	open, err := d.Token()
	if _, ok := open.(json.Delim); !ok || err != nil {
		return err // null, or what the decoder will complain about
	}
	for d.More() {
		key := ""
		if open == json.Delim('{') {
			k, err := d.Token()
			if err != nil {
				return err
			}
			key, _ = k.(string)
		}
		to, err := of(key)
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := fields(value, to); err != nil {
			return err
		}
	}
	return nil
}

// named finds the type of a key's field; nil: it has none.
func named(names map[string]reflect.Type, key string) (reflect.Type, error) {
	if t, ok := names[key]; ok {
		return t, nil
	}
	for name := range names {
		if strings.EqualFold(name, key) {
			return nil, fmt.Errorf("key %.60q where %q is meant: readers differ in whether they are the same", key, name)
		}
	}
	return nil, nil
}

// collect gathers the names under which encoding/json knows a struct's fields.
func collect(names map[string]reflect.Type, t reflect.Type) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			collect(names, inner)
		case name == "":
			names[f.Name] = f.Type
		default:
			names[name] = f.Type
		}
	}
}
