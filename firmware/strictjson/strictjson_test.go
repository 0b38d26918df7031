package strictjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[1,{"b":null}],"c":{"a":1}}`:  "",
		` "x" `:                             "",
		`{"targets":{"a.bin":1,"A.bin":2}}`: "",
		`{"a":1,"a":2}`:                     `key "a" twice`,
		`{"a":1,"\u0061":2}`:                `key "a" twice`,
		`{"signed":1,"Signed":2}`:           `keys "signed" and "Signed"`,
		`{"targets":{"a":1,"a":2}}`:         `key "a" twice`,
		`[{"x":{"y":1,"y":1}}]`:             `key "y" twice`,
		`{"a":1}{}`:                         "trailing bytes",
		`{"a":1} x`:                         "trailing bytes",
		`{"a":1`:                            "unexpected EOF",
		``:                                  "unexpected EOF",
		`{"a" 1}`:                           "invalid character",
		`{1:1}`:                             "invalid character",
		"\"\xff\"":                          "UTF-8",
		strings.Repeat("[", 40):             "nested more than 8 deep",
		"[[[[[[[[1]]]]]]]]":                 "",
		"[[[[[[[[[]]]]]]]]]":                "nested more than 8 deep",
	} {
		err := Check([]byte(text), 8, "targets")
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.ErrorContains(t, err, want, text)
	}
	require.ErrorIs(t, Check([]byte(`1 1`), 8), ErrTrailing)
	assert.NoError(t, Exact([]byte(`{"a":1,"A":{"k":1,"K":2}}`), 8))
	assert.ErrorContains(t, Exact([]byte(`{"a":1,"\u0061":2}`), 8), `key "a" twice`)
}

func TestFields(t *testing.T) {
	type inner struct {
		Step string `json:"step"`
	}
	type record struct {
		inner
		ID    string           `json:"id"`
		Facts json.RawMessage  `json:"facts"`
		Any   any              `json:"any"`
		More  []*inner         `json:"more"`
		By    map[string]inner `json:"by"`
		Plain int
		Gone  int `json:"-"`
	}
	for text, want := range map[string]string{
		`{"id":"a","facts":{"ID":1},"any":{"Id":1},"other":1,"gone":1}`: "",
		`{"more":[{"step":"x","STEPS":1}],"by":{"Step":{"step":"x"}}}`:  "",
		`{"more":null,"by":[],"Plain":1}`:                               "",
		`null`:                                                          "",
		`{"Id":"a"}`:                                                    `key "Id" where "id" is meant`,
		`{"id":"a","\u0049D":"b"}`:                                      `key "ID" where "id" is meant`,
		`{"fact\u017f":{}}`:                                             `where "facts" is meant`,
		`{"Step":"x"}`:                                                  `where "step" is meant`,
		`{"more":[{"step":"x"},{"Step":"y"}]}`:                          `where "step" is meant`,
		`{"by":{"x":{"STEP":"y"}}}`:                                     `where "step" is meant`,
		`{"plain":1}`:                                                   `where "Plain" is meant`,
	} {
		err := Fields([]byte(text), &record{})
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.ErrorContains(t, err, want, text)
	}
}

func FuzzFields(f *testing.F) {
	type tree struct {
		Name string          `json:"name"`
		In   map[string]tree `json:"in"`
		List []tree          `json:"list"`
	}
	f.Add([]byte(`{"name":"a","in":{"x":{"Name":1}},"list":[{"name":2}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Exact(b, 16) != nil || Fields(b, tree{}) != nil {
			return
		}
		// Whoever reads what was let through with keys by their bytes reads the same.
		var have tree
		var exact map[string]json.RawMessage
		if json.Unmarshal(b, &have) == nil && json.Unmarshal(b, &exact) == nil && exact["name"] == nil {
			require.Empty(t, have.Name)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}]}`))
	f.Add([]byte(`{"a":1,"A":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Check(b, 16) == nil {
			require.True(t, json.Valid(b), "what is let through is JSON")
		}
	})
}
