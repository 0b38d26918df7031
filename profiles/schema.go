package profiles

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"assay/probes"
	"assay/profiles/expr"
	"assay/profiles/strict"
)

// A Schema tells the parameters and facts of one probe, so that data can be checked
// against it and evidence re-judged without the probe's Go types. Its JSON is part of a bundle.
type Schema struct {
	Probe      string               `json:"probe"`
	Version    string               `json:"version"`
	Asks       string               `json:"asks"`
	Parameters map[string]Parameter `json:"parameters"`
	Facts      map[string]expr.Type `json:"facts"`
}

// A Parameter is one thing that a check may set.
type Parameter struct {
	Type    expr.Type       `json:"type"`
	Default json.RawMessage `json:"default"`
}

// SchemaOf reads a probe's schema off its Go types: flat structs with JSON names.
func SchemaOf(kind probes.Kind) (Schema, error) {
	s := Schema{Probe: kind.Name, Version: kind.Version, Asks: kind.Asks, Parameters: map[string]Parameter{}, Facts: map[string]expr.Type{}}
	if kind.New == nil || kind.Facts == nil {
		return s, fmt.Errorf("read the schema of probe %s: it has no New or no Facts", kind.Name)
	}
	probe := reflect.Indirect(reflect.ValueOf(kind.New()))
	err := eachField(probe, func(name string, t expr.Type, v reflect.Value, _ bool) error {
		value, err := json.Marshal(v.Interface())
		s.Parameters[name] = Parameter{Type: t, Default: value}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read the parameters of probe %s: %w", kind.Name, err)
	}
	err = eachField(reflect.Indirect(reflect.ValueOf(kind.Facts())), func(name string, t expr.Type, _ reflect.Value, optional bool) error {
		if optional {
			return fmt.Errorf("fact %s may be left out (omitempty): a fact is always written down", name)
		}
		s.Facts[name] = t
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("read the facts of probe %s: %w", kind.Name, err)
	}
	return s, nil
}

// Schemas reads the schemas of several probes, by name.
func Schemas(kinds []probes.Kind) (map[string]Schema, error) {
	all := map[string]Schema{}
	for _, k := range kinds {
		if _, twice := all[k.Name]; twice {
			return nil, fmt.Errorf("read the schemas: two probes are called %s", k.Name)
		}
		s, err := SchemaOf(k)
		if err != nil {
			return nil, err
		}
		all[k.Name] = s
	}
	return all, nil
}

// eachField visits the exported fields of a flat struct by their JSON names.
func eachField(v reflect.Value, visit func(name string, t expr.Type, v reflect.Value, optional bool) error) error {
	if v.Kind() != reflect.Struct {
		return fmt.Errorf("want a struct, found %s", v.Kind())
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := eachField(v.Field(i), visit); err != nil {
				return err
			}
			continue
		}
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case !f.IsExported() || name == "-":
			continue
		case !tagged || name == "":
			return fmt.Errorf("field %s has no JSON name", f.Name)
		}
		t, ok := typeOf(f.Type)
		if !ok {
			return fmt.Errorf("field %s is a %s: only bool, numbers, string and []string can be compared", f.Name, f.Type)
		}
		if err := visit(name, t, v.Field(i), strings.Contains(options, "omit")); err != nil {
			return err
		}
	}
	return nil
}

func typeOf(t reflect.Type) (expr.Type, bool) {
	switch t.Kind() {
	case reflect.Bool:
		return expr.Bool, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return expr.Int, true
	case reflect.Float32, reflect.Float64:
		return expr.Double, true
	case reflect.String:
		return expr.String, true
	case reflect.Slice:
		return expr.List, t.Elem().Kind() == reflect.String
	}
	return "", false
}

// A ParameterError is one parameter that a probe does not have or cannot take.
type ParameterError struct {
	Name    string
	Problem string
}

func (e *ParameterError) Error() string { return fmt.Sprintf("parameter %s: %s", e.Name, e.Problem) }

// Fill completes parameters with the probe's defaults. It returns them as JSON with
// sorted keys, and the id of the step that they make.
func (s Schema) Fill(with map[string]any) (json.RawMessage, string, error) {
	full, err := s.complete(with)
	if err != nil {
		return nil, "", err
	}
	b, err := json.Marshal(full)
	if err != nil {
		return nil, "", fmt.Errorf("write the parameters of %s: %w", s.Probe, err)
	}
	return b, stepID(s.Probe, words(full)), nil
}

func (s Schema) complete(with map[string]any) (map[string]any, error) {
	full := map[string]any{}
	for name, p := range s.Parameters {
		v, err := decodeValue(p.Type, p.Default)
		if err != nil {
			return nil, &ParameterError{name, "its default is " + err.Error()}
		}
		full[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(with)) {
		p, ok := s.Parameters[name]
		if !ok {
			return nil, &ParameterError{name, fmt.Sprintf("probe %s has no such parameter%s", s.Probe, strict.Suggest(name, slices.Sorted(maps.Keys(s.Parameters))))}
		}
		v, ok := convert(p.Type, with[name])
		if !ok {
			return nil, &ParameterError{name, "wants " + typeWords(p.Type)}
		}
		full[name] = v
	}
	return full, nil
}

// FillJSON is Fill for parameters as an observation carries them.
func (s Schema) FillJSON(with json.RawMessage) (json.RawMessage, string, error) {
	m := map[string]any{}
	raw, err := flatObject(with)
	if err != nil {
		return nil, "", fmt.Errorf("read the parameters of %s: %w", s.Probe, err)
	}
	for name, value := range raw {
		p, ok := s.Parameters[name]
		if !ok {
			return nil, "", &ParameterError{name, fmt.Sprintf("probe %s has no such parameter", s.Probe)}
		}
		if m[name], err = decodeValue(p.Type, value); err != nil {
			return nil, "", &ParameterError{name, err.Error()}
		}
	}
	return s.Fill(m)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9._:/+-]+$`)

// words writes parameters as text.
func words(full map[string]any) map[string]string {
	out := make(map[string]string, len(full))
	for name, value := range full {
		switch v := value.(type) {
		case string:
			out[name] = v
		case float64:
			out[name] = strconv.FormatFloat(v, 'g', -1, 64)
		case []string:
			out[name] = strings.Join(v, "+")
		default:
			out[name] = fmt.Sprint(v)
		}
	}
	return out
}

// stepID is the probe's name and its full parameters, sorted: update/refusal{variant=unsigned,via=coap}.
func stepID(probe string, words map[string]string) string {
	if len(words) == 0 {
		return probe
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(words)) {
		text := words[name]
		if !plain.MatchString(text) {
			text = strconv.Quote(text)
		}
		parts = append(parts, name+"="+text)
	}
	return probe + "{" + strings.Join(parts, ",") + "}"
}

// convert makes a value from a file one of a parameter's type.
func convert(t expr.Type, v any) (any, bool) {
	switch t {
	case expr.Bool:
		b, ok := v.(bool)
		return b, ok
	case expr.Int:
		i, ok := v.(int64)
		return i, ok
	case expr.Double:
		if i, ok := v.(int64); ok {
			return float64(i), true
		}
		f, ok := v.(float64)
		return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
	case expr.String:
		s, ok := v.(string)
		return s, ok
	case expr.List:
		if l, ok := v.([]string); ok {
			return l, true
		}
		list, ok := v.([]any)
		out := make([]string, 0, len(list))
		for _, one := range list {
			s, isText := one.(string)
			ok = ok && isText
			out = append(out, s)
		}
		return out, ok
	}
	return nil, false
}

func typeWords(t expr.Type) string {
	switch t {
	case expr.Bool:
		return "true or false"
	case expr.Int:
		return "a whole number"
	case expr.Double:
		return "a number"
	case expr.List:
		return "a list of text"
	default:
		return "text"
	}
}
