package cyclonedx_test

import (
	"bytes"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
	"assay/reports/cyclonedx"
	"assay/reports/facetest"
)

const module = "github.com/CycloneDX/cyclonedx-go"

// read decodes a document as any tool would, and follows every reference, which the schema does not.
func read(t *testing.T, r *reports.Report) *cdx.BOM {
	t.Helper()
	b := facetest.Write(cyclonedx.Write).Render(t, r)
	facetest.Valid(t, b, "bom-1.6.schema.json", module, "https://schema.example/spdx.schema.json=spdx.schema.json", "https://schema.example/jsf-0.82.schema.json=jsf-0.82.schema.json|jsf-0.82.schemax.json")
	bom := &cdx.BOM{}
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(b), cdx.BOMFileFormatJSON).Decode(bom))
	have := map[string]bool{"device": true, "assessor": true}
	add := func(id string) {
		require.False(t, have[id], "%s twice", id)
		have[id] = true
	}
	for _, s := range deref(bom.Definitions.Standards) {
		for _, q := range deref(s.Requirements) {
			add(q.BOMRef)
		}
	}
	for _, e := range deref(bom.Declarations.Evidence) {
		add(e.BOMRef)
	}
	for _, c := range deref(bom.Declarations.Claims) {
		add(c.BOMRef)
		for _, e := range append(deref(c.Evidence), deref(c.CounterEvidence)...) {
			require.True(t, have[string(e)], e)
		}
	}
	for _, a := range deref(bom.Declarations.Attestations) {
		for _, m := range deref(a.Map) {
			require.True(t, have[m.Requirement], m.Requirement)
			for _, c := range append(deref(m.Claims), deref(m.CounterClaims)...) {
				require.True(t, have[string(c)], c)
			}
		}
	}
	return bom
}

func deref[T any](p *[]T) []T {
	if p == nil {
		return nil
	}
	return *p
}

func entries(bom *cdx.BOM) map[string]cdx.AttestationMap {
	out := map[string]cdx.AttestationMap{}
	for _, a := range deref(bom.Declarations.Attestations) {
		for _, m := range deref(a.Map) {
			out[m.Requirement] = m
		}
	}
	return out
}

func TestEveryVerdictHasItsScore(t *testing.T) {
	bom := read(t, facetest.Judged(t))
	got := entries(bom)
	require.Len(t, got, 7)
	pass, fail := got["requirement:mix/etsi-en-303-645/5.1-1"], got["requirement:mix/etsi-en-303-645/5.3-2"]
	assert.InDelta(t, 1, *pass.Conformance.Score, 0)
	assert.Len(t, deref(pass.Claims), 1)
	assert.InDelta(t, 0, *fail.Conformance.Score, 0)
	assert.Len(t, deref(fail.CounterClaims), 1)
	for _, open := range []string{"5.1-3", "5.3-10", "5.8-3"} {
		m := got["requirement:mix/etsi-en-303-645/"+open]
		assert.Nil(t, m.Conformance.Score, open)
		assert.Nil(t, m.Claims, open)
	}
	assert.Contains(t, deref(bom.Declarations.Attestations)[0].Summary, "non-conformant by profile mix")
}

func TestNothingOpenIsClaimed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		bom := read(t, r)
		assert.Empty(t, deref(bom.Declarations.Claims), name)
		for _, m := range entries(bom) {
			assert.Nil(t, m.Conformance.Score, name)
		}
		for _, a := range deref(bom.Declarations.Attestations) {
			assert.Contains(t, a.Summary, "incomplete by", name)
		}
	}
}

func TestEveryReportIsValid(t *testing.T) {
	read(t, facetest.Largest(t))
	for _, evil := range facetest.Evil {
		r := facetest.Judged(t)
		facetest.Infect(r, evil)
		read(t, r)
	}
}

func TestManners(t *testing.T) { facetest.Manners(t, cyclonedx.Write, time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, cyclonedx.Write, time.Second) }
