package intoto_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/intoto"
	"assay/reports/verdict"
)

type statement struct {
	Type          string `json:"_type"`
	PredicateType string
	Subject       []struct {
		Name   string
		Digest map[string]string
	}
	Predicate struct {
		Result        string
		Configuration []json.RawMessage
		PassedTests   []string
		WarnedTests   []string
		FailedTests   []string
	}
}

func read(t *testing.T, r *reports.Report) statement {
	t.Helper()
	var s statement
	require.NoError(t, json.Unmarshal(facetest.Write(intoto.Write).Render(t, r), &s))
	// What the attestation framework demands; it publishes no JSON schema.
	assert.Equal(t, "https://in-toto.io/Statement/v1", s.Type)
	assert.Equal(t, "https://in-toto.io/attestation/test-result/v0.1", s.PredicateType)
	require.NotEmpty(t, s.Subject)
	for _, one := range s.Subject {
		assert.Len(t, one.Digest["sha256"], 64)
	}
	require.NotEmpty(t, s.Predicate.Configuration)
	return s
}

func TestEveryVerdictHasItsList(t *testing.T) {
	s := read(t, facetest.Judged(t))
	assert.Equal(t, "FAILED", s.Predicate.Result)
	assert.Equal(t, []string{"mix/etsi-en-303-645/5.1-1", "mix/en-18031/AUM-5"}, s.Predicate.PassedTests)
	assert.Equal(t, []string{"mix/etsi-en-303-645/5.1-3", "mix/etsi-en-303-645/5.3-10"}, s.Predicate.WarnedTests)
	assert.Equal(t, []string{"mix/etsi-en-303-645/5.3-2", "mix/etsi-en-303-645/5.3-9"}, s.Predicate.FailedTests)
	assert.Equal(t, "journal-head", s.Subject[0].Name)
}

func TestOnlyWhatIsWholeIsPassed(t *testing.T) {
	whole := func() *reports.Report {
		r := facetest.Judged(t)
		p := &r.Profiles[0]
		p.Conformity, p.Requirements = verdict.Conformant, p.Requirements[:1]
		return r
	}
	assert.Equal(t, "PASSED", read(t, whole()).Predicate.Result)
	for name, change := range map[string]func(*reports.Report){
		"waived":       func(r *reports.Report) { r.Profiles[0].Conformity = verdict.ConformantWithWaivers },
		"open":         func(r *reports.Report) { r.Profiles[0].Requirements[0].Verdict = verdict.Inconclusive },
		"a failure":    func(r *reports.Report) { r.Profiles[0].Requirements[0].Verdict = verdict.Fail },
		"cut short":    func(r *reports.Report) { r.Outcome = "cancelled" },
		"never ended":  func(r *reports.Report) { r.Outcome = "" },
		"nothing":      func(r *reports.Report) { r.Profiles[0].Requirements = nil },
		"no statement": func(r *reports.Report) { r.Profiles[0].Conformity = "" },
	} {
		r := whole()
		change(r)
		assert.Equal(t, "WARNED", read(t, r).Predicate.Result, name)
	}
}

func TestNothingOpenLooksPassed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		s := read(t, r)
		assert.Equal(t, "WARNED", s.Predicate.Result, name)
		assert.Empty(t, s.Predicate.PassedTests, name)
	}
}

func TestManners(t *testing.T) {
	facetest.Manners(t, intoto.Write, time.Second, time.Now)
	r := facetest.Judged(t)
	r.Head = ""
	assert.Equal(t, "verdicts", read(t, r).Subject[0].Name)
}

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, intoto.Write, time.Second) }
