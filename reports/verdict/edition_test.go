package verdict_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"assay/probes"
	"assay/profiles/dossier"
	"assay/profiles/review"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var newEdition = flag.Bool("new-edition", false, "write down what the judge of a new edition comes to")

// everyAnswer is a record of nearly everything that the judge tells apart, with what it comes to.
func everyAnswer(t *testing.T) map[string]*verdict.Result {
	features := map[string]dossier.Feature{"passwords": {Present: true, Because: "a web page"}, "updatable": {Present: false, Because: "fixed in ROM"}}
	waived := "waivers:\n  - {requirement: s/R1, approver: A. Pprover, risk: small, reason: sold to nobody, expires: 2027-01-01, profile: \"2\"}\n"
	plain, waiving, persons := small(t, ""), small(t, waived), reviewable(t)
	out := map[string]*verdict.Result{}
	for name, second := range map[string][]probes.Observation{
		"good": {saw("two", "x", 1, good)}, "bad": {saw("two", "x", 1, bad)}, "bent": {saw("two", "x", 1, bent)}, "nothing": nil,
		"bench failed": {failed(saw("two", "x", 1, ""), "a cable")}, "not asked": {notAsked(saw("two", "x", 1, ""), "needs a person")},
		"asked again": {failed(saw("two", "x", 1, ""), "a cable"), saw("two", "x", 2, good)}, "attempt missing": {saw("two", "x", 2, good)},
		"no facts": {saw("two", "x", 1, `{}`)},
	} {
		obs := append([]probes.Observation{saw("one", "x", 1, bad), saw("two", "web", 1, good)}, second...)
		out[name] = judge(t, product(features), plain, obs...)
		if name != "bad" && name != "asked again" && name != "nothing" {
			continue
		}
		out[name+", waived"] = judge(t, product(nil), waiving, obs...)
		r, err := verdict.Judge(two(features), plain, verdict.Record{Units: pair, Observations: append(of("u1", clean()...), of("u2", obs...)...)}, day)
		require.NoError(t, err)
		out[name+", of the second unit"] = r
	}
	out["seen, not declared"] = judge(t, product(features), plain, saw("one", "x", 1, show), saw("two", "x", 1, good), saw("two", "web", 1, good))
	for i, answers := range [][]review.Review{
		nil,
		{says("P1-1.a", review.Met), says("P2-1.a", review.NotMet), says("P3-c.a", review.Met)},
		{says("P1-1.a", review.NotApplicable), says("P1-1.a", review.Met, func(r *review.Review) { r.Expires = "2026-11-21" }), says("P4-c.a", review.NotMet)},
		{says("P3-s.a", review.NotMet), says("P3-s.b", review.NotMet, func(r *review.Review) { r.Statement = "I looked. It was open." })},
	} {
		r, err := verdict.Judge(reviewed(), persons, verdict.Record{Observations: []probes.Observation{saw("one", "x", 1, `{"good":true}`)}, Reviews: answers}, day)
		require.NoError(t, err)
		out[fmt.Sprintf("reviews %d", i)] = r
	}
	return out
}

// A record that was sealed years ago is held against what the judge comes to today, byte by byte where both are of one edition.
// Whoever changes the judge raises Edition, or old evidence is told to be broken.
func TestEdition(t *testing.T) {
	results := everyAnswer(t)
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(results)) {
		line, err := json.Marshal(map[string]any{name: results[name]})
		require.NoError(t, err)
		got.Write(append(line, '\n'))
	}
	name := filepath.Join("testdata", fmt.Sprintf("edition-%d.jsonl", verdict.Edition))
	if *newEdition {
		_, err := os.Stat(name)
		require.ErrorIs(t, err, os.ErrNotExist, "an edition is written down once")
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err, "a new edition is written down with: go test ./reports/verdict -run TestEdition -new-edition")
	assert.Equal(t, strings.Split(string(want), "\n"), strings.Split(got.String(), "\n"), "the judge comes to other bytes than edition %d: raise verdict.Edition", verdict.Edition)
}
