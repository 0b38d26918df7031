package crosswalk_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/reports/crosswalk"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// table judges an empty record by every embedded standard.
func table(t testing.TB) *crosswalk.Table {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	all, err := profiles.LoadAll(profiles.Embedded(), schemas)
	require.NoError(t, err)
	d := &dossier.Dossier{Units: []dossier.Unit{{ID: "u"}}, Features: map[string]dossier.Feature{"passwords": {Because: "it has <none>"}}}
	var results []*verdict.Result
	for _, set := range all.Sets {
		r, err := verdict.Judge(d, set, verdict.Record{}, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
		require.NoError(t, err)
		results = append(results, r)
	}
	return crosswalk.Make("run-1", "Acme <Gate>, firmware 1", all, results)
}

func TestTable(t *testing.T) {
	x := table(t)
	assert.Len(t, x.Schemes, 12)
	assert.Len(t, x.Rows, 78, "one row for each provision of EN 303 645 V3.1.3")
	assert.Equal(t, "recalled", x.Certainty)
	for _, s := range x.Schemes {
		switch s.ID {
		case "owasp-istg", "owasp-isvs", "eu-csa": // no profile of its own name
			assert.Empty(t, s.Conformity, s.ID)
		default:
			assert.Equal(t, verdict.Incomplete, s.Conformity, s.ID)
			assert.Positive(t, s.Open, s.ID)
			assert.NotEmpty(t, s.Presumed, s.ID)
		}
	}
	first := x.Rows[1]
	assert.Equal(t, "5.1-1", first.ID)
	assert.NotEmpty(t, first.Title)
	assert.Equal(t, verdict.Inconclusive, first.Verdict, "passwords are denied, but nobody looked")
	cells := first.In("en-18031")
	require.NotEmpty(t, cells)
	assert.Equal(t, verdict.Inconclusive, cells[0].Verdict)

	// Every requirement of every scheme that is run stands somewhere, once.
	seen := map[string]bool{}
	for _, r := range x.Rows {
		seen[r.Standard+"/"+r.ID] = true
		for _, c := range r.To {
			seen[c.Standard+"/"+c.ID] = true
		}
	}
	for _, c := range x.Unlinked {
		assert.False(t, seen[c.Standard+"/"+c.ID], "%s %s", c.Standard, c.ID)
		seen[c.Standard+"/"+c.ID] = true
	}
	total := 0
	for _, n := range []int{48, 68, 78, 44, 6, 77, 16, 55, 4, 9} {
		total += n
	}
	count := 0
	for address := range seen {
		if !strings.HasPrefix(address, "owasp-") {
			count++
		}
	}
	assert.Equal(t, total, count)
}

func TestFaces(t *testing.T) {
	x := table(t)
	var text, html strings.Builder
	require.NoError(t, x.Text(&text))
	assert.Contains(t, text.String(), "? 5.1-1")
	assert.Contains(t, text.String(), "none is taken over from another")
	require.NoError(t, x.HTML(&html))
	assert.Contains(t, html.String(), "Acme &lt;Gate&gt;", "what a dossier says is escaped")
	assert.NotContains(t, html.String(), "<script")
	assert.Equal(t, 78+12, strings.Count(html.String(), `<tr><th scope="row">`))
	b, err := json.Marshal(x)
	require.NoError(t, err)
	assert.Contains(t, string(b), `"schemes"`)
}
