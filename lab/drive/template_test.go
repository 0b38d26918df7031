package drive

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func lookIn(m map[string]string) func(string) (string, error) {
	return func(name string) (string, error) {
		if v, ok := m[name]; ok {
			return v, nil
		}
		return "", errors.New("variable " + name + " is unknown")
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"a": "1", "login.http.password": "p{{a}}", "braces": "}}{{"}
	for _, c := range []struct{ template, want, err string }{
		{"", "", ""},
		{"plain } text }}", "plain } text }}", ""},
		{"{{a}}{{ a }}-{{a}}", "11-1", ""},
		{"{{login.http.password}}", "p{{a}}", ""},
		{"{{braces}}{{a}}", "}}{{1", ""},
		{`{"x":{"y":"{{a}}"}}`, `{"x":{"y":"1"}}`, ""},
		{"{{b}}", "", "variable b is unknown"},
		{"{{a", "", `"{{a" is no variable`},
		{"{{}}", "", "is no variable"},
		{"{{a b}}", "", "is no variable"},
		{"{{{a}}}", "", "is no variable"},
	} {
		got, err := expand(c.template, lookIn(values))
		if c.err != "" {
			assert.ErrorContains(t, err, c.err, c.template)
			continue
		}
		require.NoError(t, err, c.template)
		assert.Equal(t, c.want, got, c.template)
	}
}

func TestExpandURL(t *testing.T) {
	values := map[string]string{"host": "fe80::1", "v": "a&b=c #1", "path": "x/y"}
	for _, c := range []struct{ template, want string }{
		{"https://{{host}}:8443/api", "https://[fe80::1]:8443/api"},
		{"https://h/{{path}}?q={{v}}&r={{path}}", "https://h/x/y?q=a%26b%3Dc+%231&r=x%2Fy"},
		{"coap://{{host}}/version", "coap://[fe80::1]/version"},
	} {
		u, err := expandURL(c.template, lookIn(values))
		require.NoError(t, err, c.template)
		assert.Equal(t, c.want, u.String())
	}
	for _, bad := range []string{"", "/api", "mailto:x", "http://{{v}}/", "http://h:port/", "://"} {
		_, err := expandURL(bad, lookIn(values))
		assert.Error(t, err, bad)
	}
}

func TestExpandAny(t *testing.T) {
	in := map[string]any{"a": "{{x}}", "n": 3, "deep": []any{"{{x}}", map[string]any{"b": "-{{x}}-"}, nil, true}}
	got, err := expandAny(in, lookIn(map[string]string{"x": `quote " and \`}))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"a": `quote " and \`, "n": 3, "deep": []any{`quote " and \`, map[string]any{"b": `-quote " and \-`}, nil, true},
	}, got)
	assert.Equal(t, "{{x}}", in["a"], "the recipe itself stays as it is")
}

// Expanding never fails by panic, puts each value in once and whole, and leaves the rest alone.
func FuzzExpand(f *testing.F) {
	f.Add("https://{{host}}:8443/{{ path }}?x={{v}}", "{{host}}")
	f.Add("{{", "}}")
	f.Add("{{{v}}}", "v")
	f.Add(`{"a":{"b":"{{v}}"}}`, `"`)
	f.Fuzz(func(t *testing.T, template, value string) {
		count := 0
		got, err := expand(template, func(string) (string, error) { count++; return value, nil })
		if err != nil {
			return
		}
		if !strings.Contains(template, "{{") && got != template {
			t.Fatalf("%q became %q", template, got)
		}
		names, err := variables(template)
		if err != nil || len(names) != count {
			t.Fatalf("%d variables looked up, %v listed", count, names)
		}
		if bare, _ := expand(template, func(string) (string, error) { return "", nil }); len(got) != len(bare)+count*len(value) {
			t.Fatalf("%q with %q became %q", template, value, got)
		}
	})
}

// Whatever a value holds, in a query it stays one value.
func FuzzExpandURLQuery(f *testing.F) {
	f.Add("a&b=c#d")
	f.Add("\x00\n{{host}}")
	f.Fuzz(func(t *testing.T, value string) {
		u, err := expandURL("https://192.0.2.1/x?v={{v}}&w=1", lookIn(map[string]string{"v": value}))
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != "192.0.2.1" || u.Path != "/x" || u.Fragment != "" || u.Query().Get("v") != value || u.Query().Get("w") != "1" {
			t.Fatalf("%q became %s", value, u)
		}
	})
}
