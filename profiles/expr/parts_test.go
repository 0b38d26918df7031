package expr

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestConjuncts(t *testing.T) {
	for src, want := range map[string][]string{
		"a":                     {"a"},
		"a && !b\n && c > 1":    {"a", "!b", "c > 1"},
		"(a && b) && c":         {"(a && b)", "c"},
		"a && b || c":           {"a && b || c"},
		"a && (b || c)":         {"a", "(b || c)"},
		"a ? b && c : d":        {"a ? b && c : d"},
		`a == "x && y" && b`:    {`a == "x && y"`, "b"},
		`a == 'it\'s && ' && b`: {`a == 'it\'s && '`, "b"},
		"f.all(x, x && y) && b": {"f.all(x, x && y)", "b"},
	} {
		assert.Equal(t, want, conjuncts(src), src)
	}
}
