package profiles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// written is a profile of a given rest.
func written(id, rest string) []byte {
	return []byte("assay: profile/v1\nid: " + id + "\nversion: \"1\"\ntitle: A profile\n" + rest)
}

// with is the valid file system with other profiles.
func with(t testing.TB, all map[string]string) fstest.MapFS {
	fsys := valid(t, "", "")
	for id, rest := range all {
		fsys["profiles/"+id+".yaml"] = &fstest.MapFile{Data: written(id, rest)}
	}
	return fsys
}

// addresses are those of the selected requirements.
func addresses(set *profiles.Set) []string {
	var out []string
	for _, r := range set.Required() {
		out = append(out, r.Address())
	}
	return out
}

// step is the step of a check that is selected.
func step(t testing.TB, set *profiles.Set, id string) string {
	c, ok := set.Check(id)
	require.True(t, ok, id)
	return c.Step
}

const (
	base = `
reviews: none
because: the base asks nobody
standards: [{standard: s, requirements: ["1"]}]
with:
  - {check: c/good, with: {wait_seconds: 5, tries: 9}, because: slow}
  - {check: c/best, with: {via: coap}, because: it has no HTTPS}
waivers:
  - {requirement: s/1, approver: A. Body, reason: x, risk: low, expires: 2027-01-31, profile: "1"}
`
	extending = `
extends: base
standards: [{standard: s, requirements: ["2"]}]
with:
  - {check: c/good, with: {wait_seconds: 7}, because: slower}
`
)

func TestExtends(t *testing.T) {
	set, err := profiles.Load(with(t, map[string]string{"base": base, "top": extending}), "top", schemas(t))
	require.NoError(t, err)
	assert.Equal(t, "top", set.Profile.ID)
	assert.Equal(t, "base", set.Profile.Extends)
	assert.Equal(t, []string{"s/1", "s/2"}, addresses(set), "in the standard's order, what both choose")
	assert.Equal(t, "a/probe{tries=3,via=coap,wait_seconds=7}", step(t, set, "c/good"), "an override replaces the base's, it does not add to it")
	assert.Equal(t, "a/probe{tries=3,via=coap,wait_seconds=1.5}", step(t, set, "c/best"), "the base's override counts")
	assert.Empty(t, set.Profile.Waivers, "whoever waives must say so in the profile itself")
	assert.Equal(t, profiles.NoReviews, set.Profile.Reviews)
	assert.Equal(t, "the base asks nobody", set.Omitted.Because)
	assert.Empty(t, set.Wanted())
	same(t, set)
}

func TestExtendsTakesTheTopmostWord(t *testing.T) {
	for name, c := range map[string]struct {
		top      string
		evidence []profiles.Class
		reviews  string
		because  string
		wanted   int
	}{
		"nothing is said": {"extends: base\n", []profiles.Class{profiles.Observation, profiles.Document}, profiles.NoReviews, "of the base", 0},
		"reviews again":   {"extends: base\nreviews: all\n", []profiles.Class{profiles.Observation, profiles.Document}, profiles.AllReviews, "of the base", 2},
		"another evidence": {
			"extends: base\nreviews: all\nevidence: [attestation]\nbecause: of the top\n",
			[]profiles.Class{profiles.Attestation}, profiles.AllReviews, "of the top", 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := with(t, map[string]string{
				"base": "evidence: [observation, document]\nreviews: none\nbecause: of the base\nstandards: [{standard: s}]\n", "top": c.top,
			})
			set, err := profiles.Load(fsys, "top", schemas(t))
			require.NoError(t, err)
			assert.Equal(t, c.evidence, set.Profile.Evidence)
			assert.Equal(t, c.reviews, set.Profile.Reviews)
			assert.Equal(t, c.because, set.Omitted.Because)
			assert.Len(t, set.Wanted(), c.wanted)
			same(t, set)
		})
	}
}

// A base's override of a check that the top leaves out is no mistake; one of a check that there is not, is.
func TestExtendsWithLess(t *testing.T) {
	all := map[string]string{
		"base": "standards: [{standard: s}]\nwith: [{check: c/best, with: {tries: 1}, because: slow}]\n",
		"top":  "extends: base\nwithout: [{requirement: s/1, because: we have none}]\n",
	}
	set, err := profiles.Load(with(t, all), "top", schemas(t))
	require.NoError(t, err)
	_, ok := set.Check("c/best")
	assert.False(t, ok)
	same(t, set)

	all["base"] = "standards: [{standard: s}]\nwith: [{check: c/bets, with: {tries: 1}, because: slow}]\n"
	_, err = profiles.Load(with(t, all), "top", schemas(t))
	assert.EqualError(t, err, `profiles/base.yaml:6:16: with[0].check: the profile selects no check "c/bets": there is c/good`)
}

func TestExtendsInARow(t *testing.T) {
	all := map[string]string{"p1": "standards: [{standard: s, requirements: [\"3\"]}]\n"}
	for i := 2; i <= 9; i++ {
		all[fmt.Sprintf("p%d", i)] = fmt.Sprintf("extends: p%d\n", i-1)
	}
	set, err := profiles.Load(with(t, all), "p8", schemas(t))
	require.NoError(t, err)
	assert.Equal(t, []string{"s/3"}, addresses(set))
	assert.Contains(t, set.Files(), "bases/p1.yaml")
	same(t, set)

	_, err = profiles.Load(with(t, all), "p9", schemas(t))
	assert.EqualError(t, err, "profiles/p2.yaml:5:10: extends: is the 8th extension in a row: do two profiles extend each other?")
	all["p1"] = "extends: p2\n"
	_, err = profiles.Load(with(t, all), "p2", schemas(t))
	assert.EqualError(t, err, "profiles/p1.yaml:5:10: extends: is the 8th extension in a row: do two profiles extend each other?")
}

// What is wrong in a base is told with the base's name and line.
func TestExtendsWhatIsBroken(t *testing.T) {
	for rest, want := range map[string]string{
		"title: again\n":               "profiles/base.yaml:5:1: title: stands here twice: keep one",
		"standards: [{standard: t}]\n": `profiles/base.yaml:5:24: standards[0].standard: there is no standard "t": did you mean "s"?`,
		"standards: [{standard: s}]\nwithout: [{requirement: s/4, because: x}]\n":    `profiles/base.yaml:6:25: without[0].requirement: the profile selects no requirement "s/4": write standard/id: did you mean "s/3"?`,
		"standards: [{standard: s}]\nwith: [{check: c/good, with: {tries: 2}}]\n":    "profiles/base.yaml:6:9: with[0]: has no because: say why this lab deviates from the check",
		"standards: [{standard: s}]\nwith: [{check: c/god, because: x, with: {}}]\n": `profiles/base.yaml:6:16: with[0].check: the profile selects no check "c/god": did you mean "c/good"?`,
	} {
		_, err := profiles.Load(with(t, map[string]string{"base": rest, "top": "extends: base\n"}), "top", schemas(t))
		assert.EqualError(t, err, want)
	}
}

// A user's own profile extends an embedded one by its id, and files by their place beside the file that names them.
func TestExtendsFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, id, rest string) string {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, written(id, rest), 0o600))
		return path
	}
	load := func(path string) *profiles.Set {
		set, err := profiles.LoadFile(path, real(t))
		require.NoError(t, err)
		same(t, set)
		return set
	}
	refused := func(path, want string) {
		_, err := profiles.LoadFile(path, real(t))
		assert.EqualError(t, err, want)
	}
	const more = "standards: [{standard: etsi-en-303-645, requirements: [5.0-1]}]\n"

	embedded := load(write("mine.yaml", "mine", "extends: baseline\n"+more))
	assert.Len(t, embedded.Required(), 11)
	assert.Equal(t, profiles.NoReviews, embedded.Profile.Reviews)
	assert.Contains(t, embedded.Files(), "bases/baseline.yaml")
	assert.Contains(t, embedded.Files(), "profiles/mine.yaml")

	write("house/base.yaml", "base", "extends: deeper/deepest.yaml\n")
	write("house/deeper/deepest.yaml", "deepest", "extends: beside.yaml\n")
	write("house/deeper/beside.yaml", "beside", more)
	set := load(write("far.yaml", "far", "extends: house/base.yaml\n"))
	assert.Equal(t, []string{"etsi-en-303-645/5.0-1"}, addresses(set))

	// Two names for one set of bases would let a record say something else than the disk did.
	write("house/baseline.yaml", "baseline", "extends: baseline\n")
	path := write("two.yaml", "two", "extends: house/baseline.yaml\n")
	refused(path, filepath.Join(dir, "house", "baseline.yaml")+":5:10: extends: two different profiles are called baseline.yaml: rename one")

	path = write("lost.yaml", "lost", "extends: nowhere.yaml\n")
	refused(path, path+":5:10: extends: there is no file "+filepath.ToSlash(filepath.Join(dir, "nowhere.yaml"))+
		": name one beside this profile, or the id of a profile that comes with assay")
	path = write("lost.yaml", "lost", "extends: basline\n")
	refused(path, path+`:5:10: extends: load profile "basline": no such profile: did you mean "baseline"?`)
}

// TestExtendsKeepsApprovals shows that who extends a profile cannot want fewer eyes, and that a record keeps it.
func TestExtendsKeepsApprovals(t *testing.T) {
	set, err := profiles.Load(with(t, map[string]string{
		"base": base + "approvals: {reviewer: 1, approver: 2}\n",
		"p":    "extends: base\napprovals: {reviewer: 2}\n",
	}), "p", schemas(t))
	require.NoError(t, err)
	require.Equal(t, &profiles.Approvals{Reviewer: 2, Approver: 2}, set.Profile.Approvals)
	again, err := profiles.LoadPackage(set.Files())
	require.NoError(t, err)
	require.Equal(t, set.Profile.Approvals, again.Profile.Approvals)
}
