package profiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"assay/profiles/expr"
)

// ErrMisfit says that facts do not fit the schema of their probe.
var ErrMisfit = errors.New("the facts do not fit the probe's schema")

// Decode reads the facts of an observation by the schema: whole numbers as int64,
// others as float64. Facts of the schema's own version must fit exactly. Those of another
// version must only be rightly typed: Missing tells whether they are enough for a check.
func (s Schema) Decode(version string, facts json.RawMessage) (map[string]any, error) {
	raw, err := flatObject(facts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMisfit, err)
	}
	out := make(map[string]any, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		t, ok := s.Facts[name]
		if !ok {
			if version == s.Version {
				return nil, fmt.Errorf("%w: %s %s has no fact %q", ErrMisfit, s.Probe, s.Version, name)
			}
			continue
		}
		if out[name], err = decodeValue(t, raw[name]); err != nil {
			return nil, fmt.Errorf("%w: fact %s is %w", ErrMisfit, name, err)
		}
	}
	if version == s.Version && len(out) < len(s.Facts) {
		return nil, Missing(out, slices.Sorted(maps.Keys(s.Facts)))
	}
	return out, nil
}

// Missing returns ErrMisfit with the first of the needed facts that is not there, or nil.
func Missing(facts map[string]any, needed []string) error {
	for _, name := range needed {
		if _, ok := facts[name]; !ok {
			return fmt.Errorf("%w: fact %s is missing", ErrMisfit, name)
		}
	}
	return nil
}

// flatObject reads one JSON object and refuses a name that stands in it twice: a
// reader and a judge must not see two different values.
func flatObject(b json.RawMessage) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if len(b) == 0 {
		return out, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, errors.New("not a JSON object")
		}
		name, _ := t.(string)
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%q stands in it twice", name)
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, errors.New("not a JSON object")
		}
		out[name] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("followed by something else")
	}
	return out, nil
}

// decodeValue reads one JSON value of a type.
func decodeValue(t expr.Type, raw json.RawMessage) (any, error) {
	bad := fmt.Errorf("not %s", typeWords(t))
	null := strings.TrimSpace(string(raw)) == "null"
	if null && t != expr.List {
		return nil, bad
	}
	var err error
	switch t {
	case expr.Bool:
		var v bool
		err = json.Unmarshal(raw, &v)
		return v, orNil(err, bad)
	case expr.Int:
		var v int64
		err = json.Unmarshal(raw, &v)
		return v, orNil(err, bad)
	case expr.Double:
		var v float64
		err = json.Unmarshal(raw, &v)
		return v, orNil(err, bad)
	case expr.String:
		var v string
		err = json.Unmarshal(raw, &v)
		return v, orNil(err, bad)
	case expr.List: // an empty Go slice may be written as null
		v := []string{}
		if !null {
			err = json.Unmarshal(raw, &v)
		}
		return v, orNil(err, bad)
	}
	return nil, fmt.Errorf("of the unknown type %q", t)
}

func orNil(err, instead error) error {
	if err == nil {
		return nil
	}
	return instead
}
