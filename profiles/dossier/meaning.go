package dossier

import (
	_ "embed"
	"fmt"
	"reflect"

	"assay/profiles/strict"
)

//go:embed meanings.yaml
var meaningsText []byte

// A meaning says what a struct and its keys are for. Machine are the keys beside the standard's own.
type meaning struct {
	About   string            `yaml:"about"`
	Fields  map[string]string `yaml:"fields,omitempty"`
	Machine map[string]string `yaml:"machine,omitempty"`
}

// meanings are those of every struct of a dossier, by its Go name.
type meanings map[string]meaning

func readMeanings() (meanings, error) {
	doc, err := strict.Parse("meanings.yaml", meaningsText)
	if err != nil {
		return nil, fmt.Errorf("read the meanings: %w", err)
	}
	var file struct {
		Assay string   `yaml:"assay"`
		Types meanings `yaml:"types"`
	}
	if err := doc.Decode(&file); err != nil {
		return nil, fmt.Errorf("read the meanings: %w", err)
	}
	return file.Types, nil
}

// of says what a key is for, and whether it is one of those beside the standard's own.
func (m meanings) of(t reflect.Type, f field) (text string, machine bool) {
	own := m[t.Name()]
	if text, ok := own.Machine[f.name]; ok {
		return text, true
	}
	if text, ok := own.Fields[f.name]; ok {
		return text, false
	}
	return m[bottom(f.of).Name()].About, false // a table says it of its rows
}

// bottom is what a pointer, list or map holds.
func bottom(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}
