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

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}]}`))
	f.Add([]byte(`{"a":1,"A":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Check(b, 16) == nil {
			require.True(t, json.Valid(b), "what is let through is JSON")
		}
	})
}
