package ics_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/ics"
)

func read(t *testing.T, r *reports.Report) (ics.Document, map[string]ics.Provision) {
	t.Helper()
	var d ics.Document
	require.NoError(t, json.Unmarshal(facetest.Write(ics.WriteJSON).Render(t, r), &d))
	out := map[string]ics.Provision{}
	for _, p := range d.ICS {
		out[p.ID] = p
	}
	require.Len(t, out, 78)
	require.Len(t, d.IXIT, 29)
	return d, out
}

func TestEveryProvisionAndTableIsThere(t *testing.T) {
	d, rows := read(t, facetest.Judged(t))
	for id, p := range rows {
		assert.NotEmpty(t, p.Title, id)
		assert.NotEmpty(t, p.Status, id)
	}
	assert.Equal(t, ics.Provision{ID: "5.1-1", Title: rows["5.1-1"].Title, Status: rows["5.1-1"].Status, Support: "Y", Verdict: "pass", Reason: "2 reviews say met"}, rows["5.1-1"])
	assert.Equal(t, "N/A", rows["5.8-3"].Support)
	assert.Equal(t, "it senses nothing", rows["5.8-3"].Detail)
	assert.Equal(t, "not-applicable", rows["5.8-3"].Verdict)
	assert.Equal(t, "inconclusive", rows["5.1-3"].Verdict)
	assert.Equal(t, "fail", rows["5.3-2"].Verdict)
	assert.Equal(t, ics.NotAsked, rows["5.6-1"].Verdict)
	assert.Empty(t, rows["5.6-1"].Support, "the maker wrote nothing yet")
	assert.Equal(t, "6-SoftComp", d.IXIT[5].Name)
	assert.Contains(t, d.IXIT[5].Rows[0].Says, "purl: pkg:generic/mbedtls@3.6.2")
	b := string(facetest.Write(ics.Write).Render(t, facetest.Judged(t)))
	assert.Equal(t, 29, strings.Count(b, "\n### "))
	assert.Contains(t, b, "78 provisions")
	assert.NotContains(t, b, "TODO")
}

func TestNothingOpenLooksPassed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		_, rows := read(t, r)
		for id, p := range rows {
			assert.Contains(t, []string{"inconclusive", ics.NotAsked}, p.Verdict, "%s: %s", name, id)
		}
		assert.NotContains(t, string(facetest.Write(ics.Write).Render(t, r)), "✓", name)
	}
}

func TestManners(t *testing.T) {
	facetest.Manners(t, ics.Write, time.Second, time.Now)
	facetest.Manners(t, ics.WriteJSON, time.Second, time.Now)
}

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, ics.Write, time.Second) }
