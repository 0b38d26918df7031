package profiles_test

import (
	"testing"

	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// real are the schemas of the probes that there are.
func real(t testing.TB) map[string]profiles.Schema {
	s, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	return s
}

func TestEmbeddedLint(t *testing.T) {
	assert.NoError(t, profiles.Lint(profiles.Embedded(), real(t)))
}

func TestBaseline(t *testing.T) {
	set := embedded(t)["baseline"]
	require.NotNil(t, set)
	assert.Equal(t, "3", set.Profile.Version)
	levels := map[string]string{}
	for _, r := range set.Required() {
		assert.Equal(t, "V3.1.3", r.Standard.Edition)
		assert.Equal(t, "verified", r.Certainty, r.ID)
		assert.NotEmpty(t, r.Cases, r.ID)
		assert.NotEmpty(t, r.Status, r.ID)
		levels[r.ID] = r.Level
	}
	m, r := profiles.Mandatory, profiles.Recommended
	assert.Equal(t, map[string]string{
		"5.1-1": m, "5.1-2": m, "5.1-5": m, "5.3-2": m, "5.3-9": r, "5.3-10": m, "5.5-5": m, "5.6-1": m, "5.11-1": m, "5.11-2": r,
	}, levels)
	for _, c := range set.Checks() {
		assert.NotEmpty(t, c.Unfair, c.ID)
		assert.NotEmpty(t, c.Row, c.ID)
	}
}

func TestFeatures(t *testing.T) {
	features, err := profiles.Features()
	require.NoError(t, err)
	assert.Len(t, features, 27+5+12+13, "27 features and 5 conditions of V3.1.3, 12 ways in and out, 13 points of the CRA")
}

func TestSchemaOf(t *testing.T) {
	s := real(t)["update/refusal"]
	assert.Equal(t, "string", string(s.Facts["outcome"]), "a named string is a string")
	assert.Equal(t, "bool", string(s.Facts["accepted"]))
	assert.Equal(t, "double", string(s.Parameters["wait_seconds"].Type))
	for name, facts := range map[string]any{
		"read the facts of probe x: want a struct, found int": 3,
		"read the facts of probe x: field A has no JSON name": struct{ A int }{},
		"read the facts of probe x: fact a may be left out (omitempty): a fact is always written down": struct {
			A int `json:"a,omitempty"`
		}{},
		"read the facts of probe x: field A is a []int: only bool, numbers, string and []string can be compared": struct {
			A []int `json:"a"`
		}{},
	} {
		_, err := profiles.SchemaOf(probes.Kind{Name: "x", New: func() probes.Probe { return probe{} }, Facts: func() probes.Facts { return facts }})
		assert.EqualError(t, err, name)
	}
	_, err := profiles.SchemaOf(probes.Kind{Name: "x"})
	assert.EqualError(t, err, "read the schema of probe x: it has no New or no Facts")
}

func TestFill(t *testing.T) {
	s := schemas(t)["a/probe"]
	_, id, err := s.Fill(map[string]any{"via": "a b,c", "wait_seconds": int64(2)})
	require.NoError(t, err)
	assert.Equal(t, `a/probe{tries=3,via="a b,c",wait_seconds=2}`, id)
	_, id, err = s.FillJSON([]byte(`{"via":"coap","tries":5}`))
	require.NoError(t, err)
	assert.Equal(t, `a/probe{tries=5,via=coap,wait_seconds=1.5}`, id)
	for with, want := range map[string]string{
		`{"vi":"coap"}`:         `parameter vi: probe a/probe has no such parameter`,
		`{"tries":"5"}`:         `parameter tries: not a whole number`,
		`{"tries":5,"tries":6}`: `read the parameters of a/probe: "tries" stands in it twice`,
		`[]`:                    `read the parameters of a/probe: not a JSON object`,
		`{"tries":5} {}`:        `read the parameters of a/probe: followed by something else`,
		`{"tries":`:             `read the parameters of a/probe: not a JSON object`,
	} {
		_, _, err := s.FillJSON([]byte(with))
		assert.EqualError(t, err, want, with)
	}
}

func TestDecodeFacts(t *testing.T) {
	s := schemas(t)["a/probe"]
	got, err := s.Decode("1", []byte(`{"asked":true,"accepted":false,"rate":2}`))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"asked": true, "accepted": false, "rate": 2.0}, got)
	const misfit = "the facts do not fit the probe's schema: "
	for facts, want := range map[string]string{
		`{"asked":true,"accepted":false}`:                       misfit + "fact rate is missing",
		`{"asked":true,"accepted":false,"rate":2,"more":1}`:     misfit + `a/probe 1 has no fact "more"`,
		`{"asked":1,"accepted":false,"rate":2}`:                 misfit + "fact asked is not true or false",
		`{"asked":null,"accepted":false,"rate":2}`:              misfit + "fact asked is not true or false",
		`{"asked":true,"asked":false,"accepted":true,"rate":2}`: misfit + `"asked" stands in it twice`,
		`"facts"`: misfit + "not a JSON object",
		``:        misfit + "fact accepted is missing",
	} {
		_, err := s.Decode("1", []byte(facts))
		assert.EqualError(t, err, want, facts)
		assert.ErrorIs(t, err, profiles.ErrMisfit)
	}
	// Evidence of another version of the probe: what is needed must be there, the rest may differ.
	got, err = s.Decode("0", []byte(`{"asked":true,"old":3}`))
	require.NoError(t, err)
	assert.NoError(t, profiles.Missing(got, []string{"asked"}))
	assert.EqualError(t, profiles.Missing(got, []string{"accepted", "asked"}), misfit+"fact accepted is missing")
}

func BenchmarkLoad(b *testing.B) {
	s := real(b)
	for b.Loop() {
		if _, err := profiles.Load(profiles.Embedded(), "baseline", s); err != nil {
			b.Fatal(err)
		}
	}
}

// A person waits for the list of profiles, which reads all of them, every standard and the crosswalk.
func BenchmarkLoadEverything(b *testing.B) {
	s := real(b)
	for b.Loop() {
		if _, err := profiles.LoadAll(profiles.Embedded(), s); err != nil {
			b.Fatal(err)
		}
	}
}
