package profiles_test

import (
	"context"
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
	"register": "register.yaml", "crosswalk": "crosswalk.yaml",
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
			fsys := valid(t, places[r.place], "testdata/invalid-"+r.rule+".yaml")
			read := func() error { _, err := profiles.Load(fsys, "p", schemas(t)); return err }
			if r.place == "crosswalk" { // no set needs it
				assert.NoError(t, read())
				read = func() error { _, err := profiles.ReadCrosswalk(fsys, schemas(t)); return err }
			}
			assert.EqualError(t, read(), r.want)
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
	assert.NoError(t, profiles.Lint(valid(t, "", ""), schemas(t)))
	bare := valid(t, "", "")
	delete(bare, "register.yaml")
	delete(bare, "crosswalk.yaml")
	assert.NoError(t, profiles.Lint(bare, schemas(t)), "a file system may have neither register nor crosswalk")

	more := schemas(t)
	more["b/probe"] = profiles.Schema{Probe: "b/probe"}
	for name, c := range map[string]struct {
		file, old, new string
		schemas        map[string]profiles.Schema
		want           string
	}{
		"idle check": {
			"checks/c.yaml", "checks:\n", "checks:\n  - {id: c/idle, probe: a/probe, given: \"true\", expect: facts.asked, otherwise: x, remedy: x}\n", schemas(t),
			"checks/c.yaml: check c/idle is used by no standard: name it in a unit or remove it",
		},
		"idle probe": {"checks/c.yaml", "", "", more, "probe b/probe is asked by no check: write one in checks/"},
		"idle part": {
			"standards/s.yaml", "parts:\n", "parts:\n  - {id: w, title: Part W}\n", schemas(t),
			`standards/s.yaml: no requirement is of part "w": name it in one or remove it`,
		},
		"fact about nothing": {
			"register.yaml", "[s], says: V2", "[t], says: V2", schemas(t),
			`register.yaml: fact edition-s speaks of "t", and there is no such standard: did you mean "s"?`,
		},
		"no presumption": {
			"register.yaml", "kind: presumption", "kind: law", schemas(t),
			"register.yaml: no presumption is registered for s: write what conformity to it is presumed to show, or none",
		},
		"crosswalk": {
			"crosswalk.yaml", "closeness: none", "closeness: far", schemas(t),
			`crosswalk.yaml:6:28: rows[1].closeness: is "far", wants close, partial, related or none`,
		},
		"broken profile": {"profiles/p.yaml", "version: \"1\"\n", "", schemas(t), "profiles/p.yaml:1:1: version: is missing or empty"},
		"broken standard": { // told once, not once for each file that needs it
			"standards/s.yaml", "edition: V1\n", "", schemas(t), "standards/s.yaml:1:1: edition: is missing or empty\n" +
				"checks/c.yaml: check c/best is used by no standard: name it in a unit or remove it\n" +
				"checks/c.yaml: check c/good is used by no standard: name it in a unit or remove it\n" +
				"checks/c.yaml: check c/told is used by no standard: name it in a unit or remove it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := valid(t, "", "")
			change(t, fsys, c.file, c.old, c.new)
			assert.EqualError(t, profiles.Lint(fsys, c.schemas), c.want)
		})
	}
}

// change replaces the first of some text in a file.
func change(t testing.TB, fsys fstest.MapFS, file, before, after string) {
	text := string(fsys[file].Data)
	require.Contains(t, text, before)
	fsys[file].Data = []byte(strings.Replace(text, before, after, 1))
}
