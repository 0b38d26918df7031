package sarif_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/sarif"
)

type result struct {
	RuleID    string `json:"ruleId"`
	RuleIndex int    `json:"ruleIndex"`
	Kind      string `json:"kind"`
	Level     string `json:"level"`
	Message   struct{ Text string }
	Locations []map[string]any `json:"locations"`
}

type log struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID   string
					Help struct{ Text string }
				}
			}
		}
		Results []result
	}
}

func read(t *testing.T, r *reports.Report) (log, []byte) {
	t.Helper()
	b := facetest.Write(sarif.Write).Render(t, r)
	var l log
	require.NoError(t, json.Unmarshal(b, &l))
	return l, b
}

func TestEveryVerdictHasItsKind(t *testing.T) {
	l, b := read(t, facetest.Judged(t))
	want := map[string][2]string{
		"etsi-en-303-645/5.1-1": {"pass", "none"}, "etsi-en-303-645/5.1-3": {"review", "none"}, "etsi-en-303-645/5.3-2": {"fail", "error"}, "etsi-en-303-645/5.3-9": {"fail", "warning"},
		"etsi-en-303-645/5.3-10": {"open", "none"}, "etsi-en-303-645/5.8-3": {"notApplicable", "none"}, "en-18031/AUM-5": {"pass", "none"},
	}
	require.Len(t, l.Runs, 1)
	require.Len(t, l.Runs[0].Results, len(want))
	for _, r := range l.Runs[0].Results {
		assert.Equal(t, want[r.RuleID], [2]string{r.Kind, r.Level}, r.RuleID)
		assert.Equal(t, r.RuleID, l.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID)
		assert.NotEmpty(t, r.Locations)
	}
	assert.Equal(t, "Verify the signature.", l.Runs[0].Tool.Driver.Rules[2].Help.Text)
	for _, words := range []string{"7-UpdMech/UpdMech-1", "frames 3 to 9 of capture.pcapng", `"uri": "capture.pcapng"`} {
		assert.Contains(t, string(b), words)
	}
	valid(t, b)
}

func valid(t *testing.T, b []byte) {
	t.Helper()
	facetest.Valid(t, b, "sarif-schema-2.1.0.json|sarif-2.1.0-rtm.5.json", "")
}

func TestNothingOpenLooksPassed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		l, b := read(t, r)
		require.NotEmpty(t, l.Runs, name)
		for _, one := range l.Runs[0].Results {
			assert.Contains(t, []string{"open", "review"}, one.Kind, name)
		}
		assert.NotContains(t, string(b), `"conformity": "conformant`, name)
		valid(t, b)
	}
}

func TestEveryReportIsValid(t *testing.T) {
	_, b := read(t, facetest.Largest(t))
	valid(t, b)
	for _, evil := range facetest.Evil {
		r := facetest.Judged(t)
		facetest.Infect(r, evil)
		_, b := read(t, r)
		valid(t, b)
		assert.NotContains(t, string(b), "\x1b")
	}
}

func TestManners(t *testing.T) { facetest.Manners(t, sarif.Write, time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, sarif.Write, time.Second) }
