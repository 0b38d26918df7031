package dossier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"assay/profiles"
)

// SchemaFile is the name that a new dossier's first line has for the schema.
const SchemaFile = "dossier.schema.json"

// A schema is one JSON Schema of draft 2020-12, as far as dossiers need it.
type schema struct {
	Schema      string            `json:"$schema,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Ref         string            `json:"$ref,omitempty"`
	Type        any               `json:"type,omitempty"` // a word or a list of them
	Const       string            `json:"const,omitempty"`
	Enum        []any             `json:"enum,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Minimum     *int              `json:"minimum,omitempty"`
	Maximum     *int              `json:"maximum,omitempty"`
	MinItems    int               `json:"minItems,omitempty"`
	Items       *schema           `json:"items,omitempty"`
	AnyOf       []*schema         `json:"anyOf,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Properties  properties        `json:"properties,omitempty"`
	Additional  any               `json:"additionalProperties,omitempty"` // false, or a schema
	Names       *schema           `json:"propertyNames,omitempty"`
	Defs        map[string]schema `json:"$defs,omitempty"`
}

// A property is one key. They keep the order of the struct, in which an editor offers them.
type property struct {
	name string
	schema
}

type properties []property

// MarshalJSON writes an object whose keys stand in their own order.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, one := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", one.name)
		v, err := encode(one.schema)
		if err != nil {
			return nil, err
		}
		b.Write(bytes.TrimSpace(v))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode keeps < and & readable.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// Schema returns the JSON Schema of dossiers, made from the types that read them, with what
// each key is for. What it accepts may still be refused: references, files and expressions
// are beyond a schema.
func Schema() ([]byte, error) {
	m, err := readMeanings()
	if err != nil {
		return nil, err
	}
	features, err := profiles.Features()
	if err != nil {
		return nil, fmt.Errorf("read the features: %w", err)
	}
	g := &generator{meanings: m, features: features, defs: map[string]schema{}}
	root := g.object(reflect.TypeFor[Dossier]())
	root.Schema, root.Title = "https://json-schema.org/draft/2020-12/schema", "assay dossier"
	root.Defs = g.defs
	return encode(root)
}

type generator struct {
	meanings meanings
	features []profiles.Feature
	defs     map[string]schema
}

// scalar is a text as the reader takes it: a number is read with the digits it was written with.
func scalar() schema { return schema{Type: []string{"string", "number"}} }

// define makes a named schema of a struct, once, and refers to it.
func (g *generator) define(t reflect.Type) schema {
	if _, ok := g.defs[t.Name()]; !ok {
		g.defs[t.Name()] = schema{} // a struct may hold itself
		g.defs[t.Name()] = g.object(t)
	}
	return schema{Ref: "#/$defs/" + t.Name()}
}

func (g *generator) object(t reflect.Type) schema {
	s := schema{Type: "object", Description: g.meanings[t.Name()].About, Additional: false}
	for _, f := range fieldsOf(t) {
		one := g.of(f, f.of)
		text, machine := g.meanings.of(t, f)
		if machine {
			text += " (assay's own, compared with what it observes)"
		}
		one.Description = text
		if f.required {
			s.Required = append(s.Required, f.name)
		}
		s.Properties = append(s.Properties, property{f.name, one})
	}
	return s
}

// of makes the schema of a field's type, with the rules of its tags.
func (g *generator) of(f field, t reflect.Type) schema {
	switch {
	case t == reflect.TypeFor[Secret]():
		return secretSchema()
	case t == reflect.TypeFor[map[string]Feature]():
		return g.featureSchema()
	case t == reflect.TypeFor[map[string]Claim]():
		return schema{Type: "object", Names: &schema{Enum: enumOf(Provisions())}, Additional: ref(g.define(t.Elem()))}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(f, t.Elem())
	case reflect.Struct:
		return g.define(t)
	case reflect.Slice:
		return schema{Type: "array", Items: ref(g.of(f, t.Elem()))}
	case reflect.Map:
		return schema{Type: "object", Additional: ref(g.of(f, t.Elem()))}
	case reflect.Bool:
		return schema{Type: "boolean"}
	case reflect.Float64:
		return schema{Type: "number"}
	case reflect.Int:
		s := schema{Type: "integer"}
		if f.ranged {
			s.Minimum, s.Maximum = ref(f.low), ref(f.high)
		}
		return s
	case reflect.String:
		return stringSchema(f)
	default:
		return schema{} // a value of any kind, in the body of a request
	}
}

func stringSchema(f field) schema {
	if f.name == "assay" {
		return schema{Const: Version}
	}
	if len(f.enum) > 0 {
		return schema{Enum: enumOf(f.enum)}
	}
	if form, ok := forms(f.form); ok {
		return schema{Type: "string", Pattern: form.pattern.String()}
	}
	return scalar()
}

// enumOf lists words, and beside a word of digits the number that YAML makes of it.
func enumOf(words []string) []any {
	var all []any
	for _, w := range words {
		all = append(all, w)
		if n, err := strconv.Atoi(w); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func secretSchema() schema {
	from := func(key string) *schema {
		return &schema{Type: "object", Required: []string{key}, Properties: properties{{key, scalar()}}, Additional: false}
	}
	return schema{AnyOf: []*schema{ref(scalar()), from("file"), from("env")}}
}

// featureSchema knows the features by name and says what each means.
func (g *generator) featureSchema() schema {
	one := g.define(reflect.TypeFor[Feature]())
	s := schema{Type: "object", Additional: false}
	for _, f := range g.features {
		about := one
		about.Description = strings.TrimSpace(f.Meaning)
		s.Properties = append(s.Properties, property{f.Name, about})
	}
	return s
}

func ref[T any](v T) *T { return &v }
