package annexvii_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/profiles"
	"assay/reports"
	"assay/reports/annexvii"
	"assay/reports/facetest"
	"assay/reports/verdict"
)

func render(t *testing.T, r *reports.Report) string {
	t.Helper()
	return string(facetest.Write(annexvii.Write).Render(t, r))
}

func TestOnlyWhatTheRecordHoldsIsFilledIn(t *testing.T) {
	b := render(t, facetest.Judged(t))
	for _, want := range []string{
		"# DRAFT: technical documentation", "# DRAFT: EU declaration of conformity", "**DRAFT. Not a declaration: nobody has made or signed it.**",
		"Acme Gate 7, firmware 2.3.1", "6-SoftComp/SoftComp-1", "mbedtls", "| update/tampered | ✗ fail |", "| run-1 | 2026-11-25 |", "non-conformant: 7 requirements", "Main Street 1",
		"To be written by the manufacturer: the intended purpose", "To be written by the manufacturer: the risk assessment", "Missing before this is a declaration", "none: it gives none (as of 2026-10-02)",
		"This record does not bear such a statement",
	} {
		assert.Contains(t, b, want)
	}
	bare := render(t, &reports.Report{})
	assert.Equal(t, 12, strings.Count(bare, "_To be written by the manufacturer:"))
	for _, m := range []string{"- the manufacturer's name", "- the manufacturer's address", "- place, date, name, function and signature"} {
		assert.Contains(t, bare, m)
	}
}

func TestNothingOpenLooksPassed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		for i := range r.Profiles {
			for j := range r.Profiles[i].Requirements {
				r.Profiles[i].Requirements[j].Standard = annexvii.CRA
			}
		}
		b := render(t, r)
		assert.NotContains(t, b, "✓", name)
		assert.NotContains(t, b, "found nothing that speaks against", name)
		assert.Contains(t, b, "does not bear such a statement", name)
	}
}

// The one sentence in favour needs the whole regulation, whole and passed.
func TestOnlyTheWholeBearsAStatement(t *testing.T) {
	whole := func() *reports.Report {
		r := facetest.Judged(t)
		p := &r.Profiles[0]
		p.Conformity, p.Omitted, p.Requirements = verdict.Conformant, profiles.Omitted{Taken: 1, Total: 1}, p.Requirements[:1]
		p.Requirements[0].Standard = annexvii.CRA
		return r
	}
	assert.Contains(t, render(t, whole()), "found nothing that speaks against it")
	for name, change := range map[string]func(*verdict.Result){
		"waived":  func(p *verdict.Result) { p.Conformity = verdict.ConformantWithWaivers },
		"a part":  func(p *verdict.Result) { p.Omitted.Total = 2 },
		"open":    func(p *verdict.Result) { p.Requirements[0].Verdict = verdict.Inconclusive },
		"another": func(p *verdict.Result) { p.Requirements[0].Standard = "etsi-en-303-645" },
	} {
		r := whole()
		change(&r.Profiles[0])
		assert.NotContains(t, render(t, r), "found nothing that speaks against it", name)
	}
}

func TestManners(t *testing.T) { facetest.Manners(t, annexvii.Write, time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, annexvii.Write, time.Second) }
