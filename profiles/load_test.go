package profiles_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"assay/probes"
	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// probe is scripted; nobody asks it.
type probe struct {
	Via         string  `json:"via"`
	Tries       int     `json:"tries"`
	WaitSeconds float64 `json:"wait_seconds"`
	Clock       any     `json:"-"`
}

func (probe) Ask(context.Context, *probes.Bench) (probes.Facts, error) { return facts{}, nil }

type facts struct {
	Asked    bool    `json:"asked"`
	Accepted bool    `json:"accepted"`
	Rate     float64 `json:"rate"`
}

// schemas are those of one probe, a/probe.
func schemas(t testing.TB) map[string]profiles.Schema {
	all, err := profiles.Schemas([]probes.Kind{{
		Name: "a/probe", Version: "1", Asks: "Does it take it?",
		New:   func() probes.Probe { return &probe{Via: "https", Tries: 3, WaitSeconds: 1.5} },
		Facts: func() probes.Facts { return facts{} },
	}})
	require.NoError(t, err)
	return all
}

// places is where each kind of file stands in a file system of profiles.
var places = map[string]string{
	"profile": "profiles/p.yaml", "standard": "standards/s.yaml", "checks": "checks/c.yaml", "features": "features.yaml",
}

// valid is a file system of the valid files, one of them replaced.
func valid(t testing.TB, place, file string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for kind, p := range places {
		b, err := os.ReadFile("testdata/valid-" + kind + ".yaml")
		require.NoError(t, err)
		fsys[p] = &fstest.MapFile{Data: b}
	}
	if place != "" {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		fsys[place] = &fstest.MapFile{Data: b}
	}
	return fsys
}

func TestLoad(t *testing.T) {
	set, err := profiles.Load(valid(t, "", ""), "p", schemas(t))
	require.NoError(t, err)
	require.Len(t, set.Required(), 2)
	assert.Equal(t, "s/1", set.Required()[0].Address())
	assert.Equal(t, []string{"passwords"}, set.Required()[1].When.Features())
	good, ok := set.Check("c/good")
	require.True(t, ok)
	assert.Equal(t, "a/probe{tries=3,via=coap,wait_seconds=5}", good.Step, "the profile's override counts")
	assert.JSONEq(t, `{"tries":3,"via":"coap","wait_seconds":5}`, string(good.Params))
	assert.Equal(t, []string{"accepted", "asked"}, good.Asks())
	best, ok := set.Check("c/best")
	require.True(t, ok)
	assert.Equal(t, "a/probe{tries=3,via=https,wait_seconds=1.5}", best.Step)
	assert.Equal(t, []string{"accepted", "asked", "rate"}, best.Needs())
	assert.Equal(t, "Does it take it?", set.Asks("a/probe"))
	_, ok = set.Check("c/none")
	assert.False(t, ok)
}

func TestWholeStandard(t *testing.T) {
	fsys := valid(t, "", "")
	fsys["profiles/p.yaml"].Data = []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: t\nstandards: [{standard: s}]\n")
	set, err := profiles.Load(fsys, "p", schemas(t))
	require.NoError(t, err)
	assert.Len(t, set.Required(), 3)
}

func TestInvalid(t *testing.T) {
	rules := invalid()
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	require.NoError(t, err)
	assert.Len(t, files, len(rules), "one file for each rule and one rule for each file")
	for _, r := range rules {
		t.Run(r.rule, func(t *testing.T) {
			_, err := profiles.Load(valid(t, places[r.place], "testdata/invalid-"+r.rule+".yaml"), "p", schemas(t))
			assert.EqualError(t, err, r.want)
		})
	}
}

func TestNoSuchProfile(t *testing.T) {
	fsys := valid(t, "", "")
	for id, want := range map[string]string{
		"q":         `load profile "q": no such profile: did you mean "p"?`,
		"../p":      `load profile "../p": no such profile: an id has lower case letters, digits, hyphens and dots`,
		"base-line": `load profile "base-line": no such profile: there is p`,
	} {
		_, err := profiles.Load(fsys, id, schemas(t))
		assert.EqualError(t, err, want)
		assert.ErrorIs(t, err, profiles.ErrNoProfile)
	}
}

func TestTooLarge(t *testing.T) {
	fsys := valid(t, "", "")
	fsys["checks/c.yaml"].Data = []byte("# " + strings.Repeat("x", 10<<20))
	_, err := profiles.Load(fsys, "p", schemas(t))
	assert.EqualError(t, err, "checks/c.yaml: has 1048577 bytes, more than the 1048576 that are read: split it or remove what does not belong")
}

func TestLoadPackage(t *testing.T) {
	set, err := profiles.Load(valid(t, "", ""), "p", schemas(t))
	require.NoError(t, err)
	files := set.Files()
	again, err := profiles.LoadPackage(files)
	require.NoError(t, err)
	assert.Equal(t, files, again.Files(), "byte for byte")
	assert.Equal(t, set.Profile, again.Profile)
	assert.Equal(t, set.Schemas, again.Schemas)

	for name := range files {
		less := maps.Clone(files)
		delete(less, name)
		_, err := profiles.LoadPackage(less)
		assert.Error(t, err, "without %s", name)
	}
	two := maps.Clone(files)
	two["profiles/q.yaml"] = two["profiles/p.yaml"]
	_, err = profiles.LoadPackage(two)
	assert.EqualError(t, err, "load a recorded profile: want one file in profiles/, found 2")
	bad := maps.Clone(files)
	bad["schemas.json"] = []byte(`{"a/probe":{"probe":"a/probe","facts":{"asked":"time"}}}`)
	_, err = profiles.LoadPackage(bad)
	assert.ErrorContains(t, err, `fact "asked" has the unknown type "time"`)
	bad["schemas.json"] = make([]byte, 2<<20)
	_, err = profiles.LoadPackage(bad)
	assert.EqualError(t, err, "load a recorded profile: schemas.json has more than 1048576 bytes")
}

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`
assay: profile/v1
id: mine
version: "3"
title: Ours
standards: [{standard: etsi-en-303-645, requirements: ["5.1-1"]}]
`), 0o600))
	set, err := profiles.LoadFile(path, real(t))
	require.NoError(t, err)
	assert.Len(t, set.Required(), 1)
	again, err := profiles.LoadPackage(set.Files())
	require.NoError(t, err)
	assert.Equal(t, "mine", again.Profile.ID)

	_, err = profiles.LoadFile(path+"x", real(t))
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("assay: profile/v1\nid: 3\nnope: 4\n"), 0o600))
	_, err = profiles.LoadFile(path, real(t))
	assert.ErrorContains(t, err, path+`:3:1: nope: is not a key here`)
}

func TestLint(t *testing.T) {
	fsys := valid(t, "", "")
	assert.NoError(t, profiles.Lint(fsys, schemas(t)))
	more := schemas(t)
	more["b/probe"] = profiles.Schema{Probe: "b/probe"}
	fsys["checks/c.yaml"].Data = append(fsys["checks/c.yaml"].Data, []byte(`
  - {id: c/idle, probe: a/probe, given: "true", expect: facts.asked, otherwise: x, remedy: x}
`)...)
	assert.EqualError(t, profiles.Lint(fsys, more), "checks/c.yaml: check c/idle is used by no standard: name it in a requirement or remove it\n"+
		"probe b/probe is asked by no check: write one in checks/")
	fsys["profiles/z.yaml"] = &fstest.MapFile{Data: []byte("assay: profile/v1\nid: z\n")}
	assert.ErrorContains(t, profiles.Lint(fsys, schemas(t)), "profiles/z.yaml:1:1: version: is missing or empty")
}

func FuzzLoad(f *testing.F) {
	for kind := range places {
		b, err := os.ReadFile("testdata/valid-" + kind + ".yaml")
		require.NoError(f, err)
		f.Add(kind, b)
	}
	s := schemas(f)
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		place, ok := places[kind]
		if !ok {
			return
		}
		fsys := valid(t, "", "")
		fsys[place].Data = b
		set, err := profiles.Load(fsys, "p", s)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		again, err := profiles.LoadPackage(set.Files())
		require.NoError(t, err, "what loads once loads again")
		require.Equal(t, set.Files(), again.Files())
	})
}
