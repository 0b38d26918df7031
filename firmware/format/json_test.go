package format

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseJSON(t *testing.T) {
	v, err := ParseJSON([]byte(` {"a": [1, "x", null, true, {}], "A": {"b": []}} `))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"a": []any{json.Number("1"), "x", nil, true, map[string]any{}},
		"A": map[string]any{"b": []any{}},
	}, v)
	for name, tc := range map[string]struct{ text, want string }{
		"empty":          {"", "EOF"},
		"cut":            {`{"a": [1`, "EOF"},
		"key twice":      {`{"a": {"b": 1, "b": 2}}`, `key "b" twice`},
		"escaped twice":  {`{"a": 1, "\u0061": 2}`, `key "a" twice`},
		"two values":     {`{} {}`, "more than one value"},
		"trailing":       {`{} x`, "more than one value"},
		"not UTF-8":      {"\"\xff\"", "not valid UTF-8"},
		"too deep":       {strings.Repeat("[", 70) + strings.Repeat("]", 70), "nested more than 64 deep"},
		"much too deep":  {strings.Repeat("[", 1e6), "nested more than 64 deep"},
		"trailing comma": {`{"a": 1,}`, "malformed"},
		"comment":        {`{/*x*/}`, "malformed"},
		"wrong closing":  {`{"a": 1]`, "malformed"},
		"key no string":  {`{1: 1}`, "malformed"},
	} {
		_, err := ParseJSON([]byte(tc.text))
		require.ErrorIs(t, err, ErrMalformed, name)
		assert.ErrorContains(t, err, tc.want, name)
	}
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"a": [1, "x", null, true, {}], "A": {"b": []}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseJSON(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := json.Marshal(v)
		require.NoError(t, err)
		w, err := ParseJSON(again)
		require.NoError(t, err)
		require.Equal(t, v, w)
	})
}
