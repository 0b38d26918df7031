package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// jsonDepth is how deep a signed document may nest; those of the known formats stay below ten.
const jsonDepth = 64

// ParseJSON reads one JSON value as a signed document must be read: valid UTF-8, no key
// twice in an object (readers differ in which one wins), nothing behind it, keys
// compared by their bytes. Objects are map[string]any, arrays []any, numbers json.Number.
func ParseJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("read JSON: not UTF-8: %w", ErrMalformed)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := jsonValue(dec, 0)
	if err != nil {
		if errors.Is(err, ErrMalformed) {
			return nil, err
		}
		return nil, fmt.Errorf("read JSON: %w: %w", err, ErrMalformed)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read JSON: more than one value: %w", ErrMalformed)
	}
	return v, nil
}

func jsonValue(dec *json.Decoder, depth int) (any, error) {
	if depth > jsonDepth {
		return nil, fmt.Errorf("read JSON: nested deeper than %d: %w", jsonDepth, ErrMalformed)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return jsonObject(dec, depth)
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := jsonValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token() // the closing bracket
		return list, err
	}
	return t, nil
}

func jsonObject(dec *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("read JSON: key %v is no string: %w", t, ErrMalformed)
		}
		if _, twice := object[key]; twice {
			return nil, fmt.Errorf("read JSON: key %.60q twice: %w", key, ErrMalformed)
		}
		if object[key], err = jsonValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token() // the closing brace
	return object, err
}
