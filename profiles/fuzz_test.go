package profiles_test

import (
	"os"
	"strings"
	"testing"

	"assay/profiles"

	"github.com/stretchr/testify/require"
)

// Whatever stands in one of the files: it is refused with words, or what loads once loads again from its own bytes.
func FuzzLoad(f *testing.F) {
	for kind := range places {
		b, err := os.ReadFile("testdata/valid-" + kind + ".yaml")
		require.NoError(f, err)
		f.Add(kind, b)
	}
	f.Add("profile", written("p", "extends: p\n"))
	f.Add("profile", written("p", "extends: ../standards/s.yaml\nstandards: [{standard: s}]\n"))
	f.Add("profile", written("p", "standards: [{standard: s, parts: [x]}]\nevidence: [document]\nbecause: x\nwithout: [{requirement: s/1, because: x}]\n"))
	s := schemas(f)
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		place, ok := places[kind]
		if !ok {
			return
		}
		fsys := valid(t, "", "")
		fsys[place].Data = b
		if kind == "crosswalk" {
			walk, err := profiles.ReadCrosswalk(fsys, s)
			if err != nil {
				require.NotEmpty(t, err.Error())
				return
			}
			for _, row := range walk.Rows {
				require.True(t, strings.HasPrefix(row.From, "s/"), "there is no other standard than s")
			}
			return
		}
		set, err := profiles.Load(fsys, "p", s)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NotEmpty(t, set.Required())
		same(t, set)
		_ = set.Omitted.String()
		_ = set.Wanted()
		for _, std := range set.Standards {
			_ = std.Coverage()
		}
	})
}

// What nests or grows without bound is refused in each of the files, before it is read.
func TestBounds(t *testing.T) {
	long := "# " + strings.Repeat("x", 10<<20)
	for kind, place := range places {
		for name, c := range map[string]struct{ text, want string }{
			"deep flow":  {"assay: " + strings.Repeat("[", 1000), ": is nested deeper than 32 levels"},
			"deep block": {deepBlock(), ": is nested deeper than 32 levels"},
			"long":       {long, ": has 1048577 bytes, more than the 1048576 that are read: split it or remove what does not belong"},
			"many":       {"assay: [" + strings.Repeat("a,", 20_000) + "]", ": has 40004 YAML tokens, more than the 40000 that are read: split it"},
		} {
			fsys := valid(t, "", "")
			fsys[place].Data = []byte(c.text)
			_, err := profiles.LoadAll(fsys, schemas(t))
			require.ErrorContains(t, err, place, "%s %s", kind, name)
			require.ErrorContains(t, err, c.want, "%s %s", kind, name)
		}
	}
}

func deepBlock() string {
	var b strings.Builder
	for i := range 64 {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
