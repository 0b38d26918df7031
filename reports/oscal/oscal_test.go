package oscal_test

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/oscal"
)

type document struct {
	AR struct {
		UUID    string
		Results []struct {
			Reviewed struct {
				Selections []struct {
					Exclude []struct {
						ID string `json:"control-id"`
					} `json:"exclude-controls"`
				} `json:"control-selections"`
			} `json:"reviewed-controls"`
			Observations []struct {
				UUID    string
				Methods []string
				Types   []string
			}
			Findings []struct {
				Target struct {
					ID     string `json:"target-id"`
					Status struct{ State, Reason string }
				}
				Observations []struct {
					UUID string `json:"observation-uuid"`
				} `json:"related-observations"`
			}
		}
	} `json:"assessment-results"`
}

var (
	uuid      = regexp.MustCompile(`"(?:uuid|[a-z]+-uuid)": "([^"]*)"`)
	own       = regexp.MustCompile(`"uuid": "([^"]*)"`)
	internal  = regexp.MustCompile(`"href": "#([^"]*)"`)
	version5  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	satisfied = "satisfied"
)

func read(t *testing.T, r *reports.Report) (document, []byte) {
	t.Helper()
	b := facetest.Write(oscal.Write).Render(t, r)
	var d document
	require.NoError(t, json.Unmarshal(b, &d))
	facetest.Valid(t, b, "oscal_complete_schema-1-2-2.json|oscal_complete_schema-1-1-3.json", "")
	// The schema does not look at references.
	have := map[string]bool{}
	for _, m := range own.FindAllSubmatch(b, -1) {
		require.Regexp(t, version5, string(m[1]))
		require.False(t, have[string(m[1])], "%s twice", m[1])
		have[string(m[1])] = true
	}
	for _, m := range append(uuid.FindAllSubmatch(b, -1), internal.FindAllSubmatch(b, -1)...) {
		require.True(t, have[string(m[1])], "%s leads nowhere", m[1])
	}
	return d, b
}

func TestEveryVerdictHasItsState(t *testing.T) {
	d, b := read(t, facetest.Judged(t))
	require.Len(t, d.AR.Results, 1)
	got := map[string]string{}
	for _, f := range d.AR.Results[0].Findings {
		got[f.Target.ID] = f.Target.Status.State + " " + f.Target.Status.Reason
	}
	assert.Equal(t, map[string]string{
		"etsi-en-303-645_5.1-1": "satisfied pass", "etsi-en-303-645_5.1-3": "not-satisfied other", "etsi-en-303-645_5.3-2": "not-satisfied fail", "etsi-en-303-645_5.3-9": "not-satisfied fail",
		"etsi-en-303-645_5.3-10": "not-satisfied other", "en-18031_AUM-5": "satisfied pass",
	}, got)
	require.Len(t, d.AR.Results[0].Reviewed.Selections[0].Exclude, 1)
	assert.Equal(t, "etsi-en-303-645_5.8-3", d.AR.Results[0].Reviewed.Selections[0].Exclude[0].ID)
	methods := map[string]int{}
	for _, o := range d.AR.Results[0].Observations {
		if o.Types[0] == "assessment-platform" { // the bench's tests of itself
			methods["bench"]++
			continue
		}
		methods[o.Methods[0]]++
	}
	assert.Equal(t, map[string]int{"TEST": 3, "EXAMINE": 3, "INTERVIEW": 1, "bench": 6}, methods)
	for _, words := range []string{"frames 3 to 9 of capture.pcapng", "declaration row 7-UpdMech/UpdMech-1", "Ada Example, evaluator, Example Lab, 2026-11-20", "To mend: Verify the signature."} {
		assert.Contains(t, string(b), words)
	}
}

func TestNothingOpenLooksSatisfied(t *testing.T) {
	for name, r := range facetest.Open(t) {
		d, _ := read(t, r)
		require.NotEmpty(t, d.AR.Results, name)
		for _, f := range d.AR.Results[0].Findings {
			assert.NotEqual(t, satisfied, f.Target.Status.State, name)
			assert.Equal(t, "other", f.Target.Status.Reason, name)
		}
	}
}

func TestEveryReportIsValid(t *testing.T) {
	read(t, facetest.Largest(t))
	read(t, &reports.Report{Started: time.Unix(0, 0)})
	for _, evil := range facetest.Evil {
		r := facetest.Judged(t)
		facetest.Infect(r, evil)
		read(t, r)
	}
}

func TestAnotherVerdictHasAnotherName(t *testing.T) {
	one, _ := read(t, facetest.Judged(t))
	r := facetest.Judged(t)
	r.Profiles[0].Requirements[0].Reason = "another one"
	other, _ := read(t, r)
	assert.NotEqual(t, one.AR.UUID, other.AR.UUID)
}

func TestManners(t *testing.T) { facetest.Manners(t, oscal.Write, time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, oscal.Write, time.Second) }
