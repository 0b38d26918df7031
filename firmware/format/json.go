package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"assay/firmware/strictjson"
)

// jsonDepth is how deep a signed document may nest; those of the known formats stay below ten.
const jsonDepth = 64

// ParseJSON reads one JSON value as a signed document must be read: valid UTF-8, no key
// twice in an object (readers differ in which one wins), nothing behind it, keys
// compared by their bytes. Objects are map[string]any, arrays []any, numbers json.Number.
//
// Keys that differ in case alone are two, other than where encoding/json fills structs from a
// signed document: the readers of these formats (json-c, nlohmann) compare bytes, and what a
// maker names (what an artifact provides, meta-data, boards, properties) is data.
func ParseJSON(b []byte) (v any, err error) {
	if err := strictjson.Exact(b, jsonDepth); errors.Is(err, strictjson.ErrTrailing) {
		return nil, fmt.Errorf("read JSON: more than one value: %w", ErrMalformed)
	} else if err != nil {
		return nil, fmt.Errorf("read JSON: %w: %w", err, ErrMalformed)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read JSON: %w: %w", err, ErrMalformed)
	}
	return v, nil
}
