package dossier_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"assay/profiles/dossier"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lookUp walks down a JSON object.
func lookUp(t testing.TB, b []byte, keys ...string) map[string]any {
	var at map[string]any
	require.NoError(t, json.Unmarshal(b, &at))
	for _, key := range keys {
		next, ok := at[key].(map[string]any)
		require.True(t, ok, "%s in %v", key, keys)
		at = next
	}
	return at
}

// compiled is the schema as a validator of another hand understands it.
func compiled(t testing.TB) *jsonschema.Schema {
	b, err := dossier.Schema()
	require.NoError(t, err)
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(dossier.SchemaFile, parsed))
	s, err := c.Compile(dossier.SchemaFile)
	require.NoError(t, err)
	return s
}

func validate(t testing.TB, s *jsonschema.Schema, text []byte) error {
	var v any
	require.NoError(t, yaml.Unmarshal(text, &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return s.Validate(v)
}

func TestSchema(t *testing.T) {
	s := compiled(t)
	valid, err := os.ReadFile("testdata/valid.yaml")
	require.NoError(t, err)
	require.NoError(t, validate(t, s, valid))

	declared, err := os.ReadFile("testdata/declared.yaml")
	require.NoError(t, err)
	require.ErrorContains(t, validate(t, s, declared), "/ics/provisions/5.1-4/support", "an editor marks what is still to fill in")
	require.NoError(t, validate(t, s, bytes.Replace(declared, []byte("5.1-4: {support: FILL IN}"), []byte("5.1-4: {support: Y}"), 1)))

	for _, rule := range []string{
		"unknown-key", "table", "wrong-type", "feature", "feature-present", "trust-for", "state", "format",
		"ics-edition", "ics-provision", "ics-support", "ics-no-support", "row-no-id", "row-single", "choice", "answer",
		"port", "no-port", "protocol", "no-protocol", "tls-version", "suite", "key-type", "purl", "document-title", "document-url", "product-date",
	} {
		b, err := os.ReadFile("testdata/invalid-" + rule + ".yaml")
		require.NoError(t, err)
		assert.Error(t, validate(t, s, b), rule)
	}
}

// An editor shows help for every key.
func TestEveryKeyHasAMeaning(t *testing.T) {
	b, err := dossier.Schema()
	require.NoError(t, err)
	all := lookUp(t, b, "$defs")
	all["Dossier"] = lookUp(t, b)
	used := map[string]bool{}
	for name, def := range all {
		def := def.(map[string]any)
		assert.NotEmpty(t, def["description"], name)
		used[name] = true
		for key, property := range def["properties"].(map[string]any) {
			text, _ := property.(map[string]any)["description"].(string)
			assert.NotEmpty(t, text, "%s.%s", name, key)
			assert.Less(t, len(text), 180, "%s.%s", name, key)
		}
	}
	// Nothing in meanings.yaml speaks of what is gone.
	text, err := os.ReadFile("meanings.yaml")
	require.NoError(t, err)
	var file struct {
		Types map[string]struct {
			Fields, Machine map[string]string
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	for name, m := range file.Types {
		require.True(t, used[name], "%s is no struct of a dossier", name)
		properties := all[name].(map[string]any)["properties"].(map[string]any)
		for _, keys := range []map[string]string{m.Fields, m.Machine} {
			for key := range keys {
				assert.Contains(t, properties, key, name)
			}
		}
	}
}

func TestTemplate(t *testing.T) {
	b, err := dossier.Template()
	require.NoError(t, err)
	text := string(b)
	assert.True(t, strings.HasPrefix(text, "# yaml-language-server: $schema="+dossier.SchemaFile+"\n"))
	assert.Empty(t, regexp.MustCompile("@[A-Z]+@").FindString(text), "every name is filled in")
	d, err := dossier.Parse("d.yaml", b, t.TempDir())
	require.NoError(t, err, "a new dossier reads")
	notes := d.Notes()
	assert.Equal(t, "d.yaml:10:17: product.manufacturer: is still to fill in", notes[0].Error())
	open := 0
	for line := range strings.Lines(text) {
		if value, _, _ := strings.Cut(line, " # "); !strings.HasPrefix(strings.TrimSpace(line), "#") && strings.Contains(value, dossier.Placeholder) {
			open++
		}
	}
	assert.Len(t, notes, open, "each placeholder is named")

	// Every key of every table stands there, as a value or as a comment with an example that reads.
	before, tables, found := strings.Cut(text, "\nixit:\n")
	require.True(t, found)
	full := before + "\nixit:\n"
	for line := range strings.Lines(tables) {
		full += uncommented(line)
	}
	schema, err := dossier.Schema()
	require.NoError(t, err)
	for _, table := range dossier.Tables() {
		_, name, _ := strings.Cut(table, "-")
		for key := range lookUp(t, schema, "$defs", name, "properties") {
			assert.True(t, strings.Contains(full, " "+key+": "), "%s.%s", table, key)
		}
	}
	full += "documents:\n  - {id: manual, title: manual, url: \"https://example.com/\"}\n" +
		"operations:\n  store-email:\n    steps:\n      - person: {say: store}\n"
	_, err = dossier.Parse("d.yaml", []byte(full), t.TempDir())
	require.NoError(t, err, "the examples in comments read, too")
}

// uncommented takes a key of a table out of its comment.
func uncommented(line string) string {
	bare := strings.TrimLeft(line, " ")
	indent := len(line) - len(bare)
	key, _, found := strings.Cut(strings.TrimPrefix(bare, "# "), ": ")
	if indent < 4 || !strings.HasPrefix(bare, "# ") || !found || strings.Contains(key, " ") ||
		strings.Contains(line, "beside the standard") {
		return line
	}
	return strings.Repeat(" ", indent) + strings.TrimPrefix(bare, "# ")
}
