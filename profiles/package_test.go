package profiles_test

import (
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// same requires that the files of a set make the same files and the same set, with nothing else to read.
func same(t testing.TB, set *profiles.Set) {
	t.Helper()
	files := set.Files()
	again, err := profiles.LoadPackage(files)
	require.NoError(t, err)
	require.Equal(t, files, again.Files(), "byte for byte")
	require.Equal(t, set.Profile, again.Profile)
	require.Equal(t, set.Standards, again.Standards)
	require.Equal(t, set.Features, again.Features)
	require.Equal(t, set.Schemas, again.Schemas)
	require.Equal(t, set.Register, again.Register)
	require.Equal(t, set.Omitted, again.Omitted)
	require.Len(t, again.Required(), len(set.Required()))
	for i, r := range set.Required() {
		s := again.Required()[i]
		require.Equal(t, r.Address(), s.Address())
		require.Equal(t, r.Requirement, s.Requirement)
		require.Equal(t, r.When.Features(), s.When.Features(), r.Address())
	}
	require.Len(t, again.Checks(), len(set.Checks()))
	for i, c := range set.Checks() {
		d := again.Checks()[i]
		require.Equal(t, c.Check, d.Check)
		require.Equal(t, c.Step, d.Step, c.ID)
		require.Equal(t, string(c.Params), string(d.Params), c.ID)
		require.Equal(t, c.Asks(), d.Asks(), c.ID)
		require.Equal(t, c.Needs(), d.Needs(), c.ID)
		require.Equal(t, c.Words(), d.Words(), c.ID)
		require.Equal(t, c.When.Features(), d.When.Features(), c.ID)
	}
}

func TestLoadPackage(t *testing.T) {
	fsys := with(t, map[string]string{"base": base, "top": extending})
	set, err := profiles.Load(fsys, "top", schemas(t))
	require.NoError(t, err)
	same(t, set)
	files := set.Files()
	assert.ElementsMatch(t, []string{
		"profiles/top.yaml", "bases/base.yaml", "standards/s.yaml", "checks/c.yaml", "features.yaml", "register.yaml", "schemas.json",
	}, slices.Collect(maps.Keys(files)), "the crosswalk is no part of it: no verdict rests on it")

	for name := range files {
		less := maps.Clone(files)
		delete(less, name)
		_, err := profiles.LoadPackage(less)
		if name == "register.yaml" { // sets were recorded before there was one
			assert.NoError(t, err)
			continue
		}
		assert.Error(t, err, "without %s", name)
	}
}

func TestLoadPackageRefuses(t *testing.T) {
	set, err := profiles.Load(valid(t, "", ""), "p", schemas(t))
	require.NoError(t, err)
	files := set.Files()
	for name, c := range map[string]struct{ file, text, want string }{
		"two profiles":   {"profiles/q.yaml", string(files["profiles/p.yaml"]), "load a recorded profile: want one file in profiles/, found 2"},
		"no JSON":        {"schemas.json", "{", "load a recorded profile: read schemas.json: unexpected end of JSON input"},
		"a large schema": {"schemas.json", string(make([]byte, 2<<20)), "load a recorded profile: schemas.json has more than 1048576 bytes"},
		"a strange type": {
			"schemas.json", `{"a/probe":{"probe":"a/probe","facts":{"asked":"time"}}}`,
			`checks/c.yaml:4:12: checks[0].probe: make the environment of facts: fact "asked" has the unknown type "time"` + "\n" +
				`checks/c.yaml:11:12: checks[1].probe: make the environment of facts: fact "asked" has the unknown type "time"`,
		},
		"an old standard": {"standards/s.yaml", "assay: standard/v1\nid: s\n", `standards/s.yaml:1:8: assay: wants "standard/v2" as the first line's value, found "standard/v1"`},
		"a lost base":     {"profiles/p.yaml", string(written("p", "extends: q\n")), "profiles/p.yaml:5:10: extends: open bases/q.yaml: file does not exist"},
		"a base elsewhere": {
			"profiles/p.yaml", string(written("p", "extends: /etc/passwd\n")), "profiles/p.yaml:5:10: extends: open bases/passwd.yaml: file does not exist",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bad := maps.Clone(files)
			bad[c.file] = []byte(c.text)
			_, err := profiles.LoadPackage(bad)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// The facts that a set keeps are those about its standards; the file is kept whole.
func TestRegisterOfASet(t *testing.T) {
	fsys := valid(t, "", "")
	change(t, fsys, "register.yaml", "kind: edition, standards: [s]", "kind: edition, standards: [t, u]")
	set, err := profiles.Load(fsys, "p", schemas(t))
	require.NoError(t, err)
	require.Len(t, set.Register, 1)
	assert.Equal(t, profiles.DatedFact{
		ID: "presumption-s", Kind: profiles.Presumption, Standards: []string{"s"}, Says: "none", AsOf: "2026-10-02", Certainty: "verified",
	}, set.Register[0])
	same(t, set)

	all, err := profiles.Register(fsys, schemas(t))
	require.NoError(t, err)
	assert.Len(t, all, 2)
	delete(fsys, "register.yaml")
	set, err = profiles.Load(fsys, "p", schemas(t))
	require.NoError(t, err)
	assert.Empty(t, set.Register)
	assert.NotContains(t, set.Files(), "register.yaml")
	same(t, set)
}

func TestLoadAll(t *testing.T) {
	fsys := with(t, map[string]string{"base": base, "top": extending})
	all, err := profiles.LoadAll(fsys, schemas(t))
	require.NoError(t, err)
	require.Len(t, all.Sets, 3)
	for i, id := range []string{"base", "p", "top"} {
		alone, err := profiles.Load(fsys, id, schemas(t))
		require.NoError(t, err)
		assert.Equal(t, alone.Files(), all.Sets[i].Files(), "what is shared changes nothing")
		assert.Equal(t, alone.Standards, all.Sets[i].Standards)
		assert.Equal(t, step(t, alone, "c/good"), step(t, all.Sets[i], "c/good"))
	}
	standards, err := profiles.Standards(fsys, schemas(t))
	require.NoError(t, err)
	assert.Equal(t, standards, all.Standards)
	walk, err := profiles.ReadCrosswalk(fsys, schemas(t))
	require.NoError(t, err)
	assert.Equal(t, walk, all.Crosswalk)
	assert.Equal(t, map[string][]string{"s": {"2", "3"}}, walk.Rows[0].To)

	delete(fsys, "crosswalk.yaml")
	all, err = profiles.LoadAll(fsys, schemas(t))
	require.NoError(t, err)
	assert.Nil(t, all.Crosswalk)
	for _, broken := range []string{"profiles/base.yaml", "standards/s.yaml", "crosswalk.yaml", "features.yaml"} {
		fsys := with(t, map[string]string{"base": base})
		fsys[broken] = &fstest.MapFile{Data: []byte("assay: nothing/v1\n")}
		_, err = profiles.LoadAll(fsys, schemas(t))
		assert.ErrorContains(t, err, broken+":1:")
	}
	fsys["standards/t.yaml"] = &fstest.MapFile{Data: []byte("assay: standard/v2\nid: t\n")}
	_, err = profiles.LoadAll(fsys, schemas(t))
	assert.ErrorContains(t, err, "standards/t.yaml:1:1: edition: is missing or empty", "one that no profile selects is read as well")
}
