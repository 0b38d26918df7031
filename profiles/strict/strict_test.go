package strict

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type inner struct {
	Name string  `yaml:"name"`
	Rate float64 `yaml:"rate,omitempty"`
}

type outer struct {
	Text  string           `yaml:"text"`
	Count int              `yaml:"count"`
	Flag  bool             `yaml:"flag"`
	One   *inner           `yaml:"one"`
	List  []inner          `yaml:"list"`
	ByKey map[string]inner `yaml:"by_key"`
	Any   map[string]any   `yaml:"any"`
	Skip  string           `yaml:"-"`
}

func read(src string) (outer, error) {
	var v outer
	doc, err := Parse("f.yaml", []byte(src))
	if err == nil {
		err = doc.Decode(&v)
	}
	return v, err
}

func TestDecode(t *testing.T) {
	v, err := read(`
text: 1.10   # a version keeps its zero
count: 3
flag: true
one: {name: "0012", rate: 2}
list:
  - name: |
      two
      lines
  - {name: 0x10}
by_key: {a-b: {name: x}}
any: {s: t, i: 5, f: 1.5, b: false, l: [a, 1], m: {k: v}}
`)
	require.NoError(t, err)
	assert.Equal(t, outer{
		Text: "1.10", Count: 3, Flag: true, One: &inner{"0012", 2},
		List:  []inner{{Name: "two\nlines\n"}, {Name: "0x10"}},
		ByKey: map[string]inner{"a-b": {Name: "x"}},
		Any: map[string]any{"s": "t", "i": int64(5), "f": 1.5, "b": false,
			"l": []any{"a", int64(1)}, "m": map[string]any{"k": "v"}},
	}, v)
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"empty", "", `f.yaml: is empty`},
		{"comment only", "# x\n", `f.yaml: is empty`},
		{"not a mapping", "- a\n", `f.yaml:1:1: wants keys and values, found a list`},
		{"unknown key", "text: a\ntxet: b\n", `f.yaml:2:1: txet: is not a key here: did you mean "text"?`},
		{"unknown key far from all", "one:\n  zzzzzz: b\n", `f.yaml:2:3: one.zzzzzz: is not a key here: there is name, rate`},
		{"hidden field", "Skip: x\n", `f.yaml:1:1: Skip: is not a key here: there is any, by_key, count, flag, list, one, text`},
		{"twice", "text: a\ncount: 1\ntext: b\n", `f.yaml:3:1: text: stands here twice: keep one`},
		{"text for number", "count: many\n", `f.yaml:1:8: count: wants a whole number, found text`},
		{"fraction for number", "count: 1.5\n", `f.yaml:1:8: count: wants a whole number, found a number`},
		{"huge number", "count: 99999999999999999999\n", `f.yaml:1:8: count: wants a whole number, found text`},
		{"truth for text", "text: true\n", `f.yaml:1:7: text: wants text, found true or false: put it in quotes`},
		{"list for text", "text: [a]\n", `f.yaml:1:1: text: wants text, found a list`},
		{"text for list", "list: a\n", `f.yaml:1:7: list: wants a list, found text`},
		{"text for mapping", "by_key: a\n", `f.yaml:1:9: by_key: wants keys and values, found text`},
		{"no value", "text:\ncount: 1\n", `f.yaml:1:1: text: has no value: fill it in or remove the key`},
		{"not a number", "one: {name: a, rate: .nan}\n", `f.yaml:1:22: one.rate: wants a number, found a number`},
		{"deep place", "list:\n  - name: a\n  - name: [b]\n", `f.yaml:3:5: list[1].name: wants text, found a list`},
		{"all at once", "count: x\nflag: 3\n", "f.yaml:1:8: count: wants a whole number, found text\nf.yaml:2:7: flag: wants true or false, found a whole number"},
		{"syntax", "text: [a\n", `f.yaml:1:7: cannot be read as YAML: sequence end token ']' not found`},
		{"tab", "one:\n\tname: a\n", `f.yaml:2:1: cannot be read as YAML: found character '\t' that cannot start any token`},
		{"two documents", "text: a\n---\ntext: b\n", `f.yaml: holds more than one YAML document: keep one`},
		{"anchor", "text: &a x\n", `f.yaml:1:7: anchors, aliases and merge keys are not read: write the value out`},
		{"alias", "text: *a\n", `f.yaml:1:7: anchors, aliases and merge keys are not read: write the value out`},
		{"merge", "one:\n  <<: x\n", `f.yaml:2:3: anchors, aliases and merge keys are not read: write the value out`},
		{"tag", "text: !!binary aGk=\n", `f.yaml:1:7: "!!binary": tags, directives and complex keys are not read: remove it`},
		{"complex key", "? a\n: b\n", `f.yaml:1:1: "?": tags, directives and complex keys are not read: remove it`},
		{"not UTF-8", "text: \xff\n", `f.yaml: is not UTF-8 text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(c.src)
			assert.EqualError(t, err, c.want)
		})
	}
}

func TestSecretsInTheWrongPlaceAreNotPrinted(t *testing.T) {
	_, err := read("count: hunter2\nflag: hunter2\nlist: hunter2\n")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestComplainAboutWhatIsMissing(t *testing.T) {
	doc, err := Parse("f.yaml", []byte("list:\n  - name: a\n"))
	require.NoError(t, err)
	doc.Complain("list[0].rate", "is missing")
	doc.Complain("list[7].name", "is missing")
	doc.Complain("other", "is missing")
	assert.EqualError(t, doc.Err(), "f.yaml:1:1: list[7].name: is missing\nf.yaml:1:1: other: is missing\nf.yaml:2:5: list[0].rate: is missing")
}

// Whoever mends the complaints that are shown knows that there are others.
func TestComplaintsThatAreNotShown(t *testing.T) {
	doc, err := Parse("f.yaml", []byte("a: 1\n"))
	require.NoError(t, err)
	for range 20 {
		doc.Complain("a", "is wrong")
	}
	assert.Equal(t, 20, strings.Count(doc.Err().Error(), "is wrong"))
	assert.NotContains(t, doc.Err().Error(), "more")
	for range 3 {
		doc.Complain("a", "is wrong")
	}
	assert.Equal(t, 20, strings.Count(doc.Err().Error(), "is wrong"))
	assert.True(t, strings.HasSuffix(doc.Err().Error(), "\nf.yaml: and 3 more places"), doc.Err())
}

// What a bundle or a prankster may send must end in an error, and soon.
func TestBombs(t *testing.T) {
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	for name, src := range map[string]string{
		"10 MB":             "text: " + strings.Repeat("x", 10<<20),
		"flow lists":        strings.Repeat("[", 200_000),
		"flow mappings":     strings.Repeat("{a: ", 100_000),
		"block lists":       strings.Repeat("- ", 200_000) + "a",
		"block mappings":    many(500, func(i int) string { return strings.Repeat(" ", i) + "a:\n" }),
		"billion laughs":    "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
		"quotes":            strings.Repeat(`""`, 200_000),
		"many keys":         many(60_000, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }),
		"complex keys":      strings.Repeat("? ", 100_000),
		"anchors":           strings.Repeat("&a ", 100_000),
		"documents":         strings.Repeat("---\n", 200_000),
		"just below, keys":  many(maxTokens/3-1, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }),
		"just below, quote": strings.Repeat(`""`, maxTokens-1),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := read(src)
			require.Error(t, err)
			assert.Less(t, len(err.Error()), 10_000)
			assert.Less(t, time.Since(start), time.Minute) // a bomb takes hours
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"text: a\ncount: 1\n", "list:\n  - {name: x, rate: 1.5}\n", "any: {a: [1, {b: c}]}\n", "one: |\n  x\n",
		"\"a\": 'b'\n", "text: &a x\n", "? a\n", "[[[[", "a: b: c", "--- x\n...\n", "text: >-\n  a\n  b\n", "{\"text\": \"\\u0026\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := Parse("f.yaml", b)
		if err != nil {
			return
		}
		var v outer
		if err := doc.Decode(&v); err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
