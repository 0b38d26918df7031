package diff

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/reports/verdict"
)

const (
	defaultsHTTP = "credentials/defaults{interface=http,wait_seconds=30}"
	defaultsMQTT = "credentials/defaults{interface=mqtt,wait_seconds=30}"
	genuineCoAP  = "update/genuine{via=coap,wait_seconds=20}"
)

var requirementOf = map[string]string{defaultsHTTP: "5.1-1", defaultsMQTT: "5.5-5", genuineCoAP: "5.3-2"}

// run is a run of three steps in which all is well.
func run(t *testing.T) Side {
	t.Helper()
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	set, err := profiles.Load(profiles.Embedded(), "baseline", schemas)
	require.NoError(t, err)
	say := func(url string) dossier.Operation {
		return dossier.Operation{Steps: []dossier.Step{{HTTP: &dossier.HTTPStep{URL: url}}}}
	}
	d := &dossier.Dossier{
		Assay: "dossier/v1", Product: dossier.Product{Manufacturer: "M", Model: "X", Firmware: "1.0.0"},
		Units:      []dossier.Unit{{ID: "one", Serial: "S1"}},
		Features:   map[string]dossier.Feature{"http_login": {Present: true}, "mqtt_login": {Present: true}},
		Operations: map[string]dossier.Operation{"login-http": say("a"), "login-mqtt": say("b"), "update-coap": say("c"), "health": say("d"), "read-version": say("e")},
		Images:     []dossier.Image{{File: "a.bin", Version: "1.0.0", SHA256: "aa"}, {File: "b.bin", Version: "1.1.0", SHA256: "bb"}},
		IXIT:       dossier.IXIT{AuthMech: []dossier.AuthMech{{ID: "AuthMech-1", Description: "login"}}},
	}
	in := &lab.Inputs{
		Begin:   lab.Begin{Run: "r", Tool: lab.Tool{Version: "1"}, Product: d.Product, Unit: lab.Unit{ID: "one", Serial: "S1"}, Profile: "baseline", Edition: "3"},
		Dossier: d, Set: set, Plan: &plan.Plan{}, End: &lab.End{}, Bench: []byte(`{"mode":"reference"}`),
	}
	res := &verdict.Result{Conformity: verdict.Conformant}
	for i, s := range []plan.Step{
		{ID: defaultsHTTP, Probe: "credentials/defaults", With: []byte(`{"interface":"http","wait_seconds":30}`), Checks: []string{"credentials/http-default"}},
		{ID: defaultsMQTT, Probe: "credentials/defaults", With: []byte(`{"interface":"mqtt","wait_seconds":30}`), Checks: []string{"credentials/mqtt-default"}},
		{ID: genuineCoAP, Probe: "update/genuine", With: []byte(`{"via":"coap","wait_seconds":20}`), Checks: []string{"update/genuine-coap"}},
	} {
		for _, k := range catalog.All() {
			if k.Name == s.Probe {
				s.Version = k.Version
			}
		}
		in.Plan.Steps = append(in.Plan.Steps, s)
		id := []string{"o-001", "o-002", "o-003"}[i]
		in.Observations = append(in.Observations, probes.Observation{ID: id, Step: s.ID, Attempt: 1, Probe: s.Probe, Version: s.Version, With: s.With,
			Start: time.Unix(int64(i), 0), Facts: []byte(`{"right_accepted":true,"took_seconds":1.5,"list":[1,2]}`)})
		c := verdict.Check{ID: s.Checks[0], Verdict: verdict.Pass, Reason: "as expected", Step: s.ID, Observation: id}
		if s.ID == defaultsHTTP {
			c.Rows = []string{"1-AuthMech/AuthMech-1"}
		}
		res.Requirements = append(res.Requirements, verdict.Requirement{ID: requirementOf[s.ID], Standard: "s", Verdict: verdict.Pass, Checks: []verdict.Check{c}})
	}
	return Side{In: in, Result: res, Frames: 10}
}

func compare(t *testing.T, change func(*Side)) *Diff {
	t.Helper()
	now := run(t)
	change(&now)
	d := Make(run(t), now, catalog.All())
	var b bytes.Buffer
	require.NoError(t, d.Text(&b))
	require.NotContains(t, b.String(), "%!")
	return d
}

func TestNothingChanged(t *testing.T) {
	d := compare(t, func(s *Side) {
		s.In.Observations[0].Facts = []byte(`{"right_accepted":true,"took_seconds":9,"list":[1,2]}`)
		s.In.Observations[0].Start = time.Now()
	})
	assert.False(t, d.Worse)
	for _, list := range []int{len(d.Requirements), len(d.Checks), len(d.Observations), len(d.Dossier), len(d.Setting), len(d.Delta.Again), len(d.Caveats)} {
		assert.Zero(t, list)
	}
	assert.Len(t, d.Delta.Carried, 3)
	assert.Equal(t, []string{"s/5.1-1", "s/5.5-5", "s/5.3-2"}, d.Delta.Kept)
}

func TestDelta(t *testing.T) {
	all := []string{defaultsHTTP, defaultsMQTT, genuineCoAP}
	for name, c := range map[string]struct {
		change func(*Side)
		again  []string
		why    string // of the first
	}{
		"another firmware":                 {func(s *Side) { s.In.Dossier.Product.Firmware, s.In.Begin.Product.Firmware = "1.1.0", "1.1.0" }, all, "firmware was 1.0.0, and is 1.1.0"},
		"another build of the same number": {func(s *Side) { s.In.Dossier.Images[0].SHA256 = "cc" }, all, "the image of firmware 1.0.0 was aa, and is cc"},
		"another model":                    {func(s *Side) { s.In.Dossier.Product.Model = "Y" }, all, "model was X, and is Y"},
		"another bench":                    {func(s *Side) { s.In.Bench = []byte(`{"mode":"reduced"}`) }, all, "the bench was reference, and is reduced"},
		"another cloud":                    {func(s *Side) { s.In.Dossier.Cloud = &dossier.Cloud{Hosts: []string{"x"}} }, all, "what the bench stands in for is another cloud"},
		"another update image":             {func(s *Side) { s.In.Dossier.Images[1].SHA256 = "cc" }, all[2:], "the maker's images are others"},
		"another trust anchor":             {func(s *Side) { s.In.Dossier.Trust = []dossier.Anchor{{For: "firmware", File: "x"}} }, all[2:], "the trust anchors are others"},
		"its own operation": {func(s *Side) { s.In.Dossier.Operations["update-coap"] = dossier.Operation{} }, all,
			"operation update-coap is described otherwise, and nothing says that this step does not use it"},
		"a login that another step has": {func(s *Side) { delete(s.In.Dossier.Operations, "login-mqtt") }, all[1:], "operation login-mqtt is described otherwise"},
		"an operation nobody names": {func(s *Side) { s.In.Dossier.Operations["store-user-data"] = dossier.Operation{} }, all,
			"operation store-user-data is described otherwise, and nothing says that this step does not use it"},
		"a feature that its check depends on": {func(s *Side) { s.In.Dossier.Features["mqtt_login"] = dossier.Feature{Because: "gone"} }, all[1:2], "feature mqtt_login is declared otherwise"},
		"a row that it compares":              {func(s *Side) { s.In.Dossier.IXIT.AuthMech[0].Description = "other" }, all[:1], "row 1-AuthMech/AuthMech-1 is declared otherwise"},
		"a table that it compares": {func(s *Side) {
			s.Result.Requirements[2].Checks[0].Rows = []string{"7-UpdMech"}
			s.In.Dossier.IXIT.UpdMech = []dossier.UpdMech{{ID: "UpdMech-1"}}
		}, all[2:], "row 7-UpdMech is declared otherwise"},
		"a row that nothing compares": {func(s *Side) { s.In.Dossier.IXIT.UpdMech = []dossier.UpdMech{{ID: "UpdMech-1"}} }, nil, ""},
		"another specimen":            {func(s *Side) { s.In.Begin.Unit.Serial = "S2" }, all[:2], "another specimen has another label, and this step uses its logins"},
		"another probe version":       {func(s *Side) { s.In.Plan.Steps[2].Version = "99" }, all[2:], "probe update/genuine was version "},
		"other parameters":            {func(s *Side) { s.In.Plan.Steps[2].ID = "update/genuine{via=coap,wait_seconds=99}" }, []string{"update/genuine{via=coap,wait_seconds=99}"}, "its parameters are others than in the older run"},
		"asked by nobody any more":    {func(s *Side) { s.In.Plan.Steps = s.In.Plan.Steps[:2] }, nil, ""},
		"not asked any more":          {func(s *Side) { s.In.Plan.Steps[2].NotAsked = "needs" }, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := compare(t, c.change)
			var again []string
			for _, r := range d.Delta.Again {
				again = append(again, r.Step)
			}
			require.Equal(t, c.again, again)
			if len(again) > 0 {
				assert.Contains(t, d.Delta.Again[0].Why[0], c.why)
			}
			for _, step := range again {
				if r, ok := requirementOf[step]; ok {
					assert.Contains(t, d.Delta.Requirements, "s/"+r)
				}
			}
		})
	}
}

func TestOlderRunWithoutAnswer(t *testing.T) {
	for want, change := range map[string]func(*Side){
		"the older run has no answer: no address": func(s *Side) { s.In.Observations[1].Facts, s.In.Observations[1].Error = nil, "no address" },
		"the older run did not ask it":            func(s *Side) { s.In.Observations = append(s.In.Observations[:1:1], s.In.Observations[2]) },
	} {
		old := run(t)
		change(&old)
		d := Make(old, run(t), catalog.All())
		require.Len(t, d.Delta.Again, 1)
		assert.Equal(t, Retest{defaultsMQTT, []string{"credentials/mqtt-default"}, []string{want}}, d.Delta.Again[0])
	}
	// What a probe of ours that nobody knows rests on is not known either.
	d := Make(run(t), run(t), nil)
	assert.Len(t, d.Delta.Again, 3)
}

func TestReviewsAgain(t *testing.T) {
	reviewed := func(s *Side) {
		s.Result.Requirements[0].Cases = []verdict.Case{{Units: []verdict.Unit{{ID: "a", Review: &verdict.Review{}}}}}
	}
	for name, c := range map[string]struct {
		change func(*Side)
		again  bool
	}{
		"the same papers":  {func(*Side) {}, false},
		"another document": {func(s *Side) { s.In.Dossier.Documents = []dossier.Document{{ID: "d", SHA256: "x"}} }, true},
		"another firmware": {func(s *Side) { s.In.Dossier.Product.Firmware = "2" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := compare(t, func(s *Side) { reviewed(s); c.change(s) })
			if c.again {
				assert.Contains(t, d.Delta.Requirements, "s/5.1-1")
			} else {
				assert.Contains(t, d.Delta.Kept, "s/5.1-1")
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	const none verdict.Verdict = ""
	for name, c := range map[string]struct {
		old, now verdict.Verdict
		how      How
		worse    bool
	}{
		"pass to fail":              {verdict.Pass, verdict.Fail, Worse, true},
		"pass to inconclusive":      {verdict.Pass, verdict.Inconclusive, Worse, true},
		"inconclusive to fail":      {verdict.Inconclusive, verdict.Fail, Worse, true},
		"fail to inconclusive":      {verdict.Fail, verdict.Inconclusive, Better, false},
		"fail to pass":              {verdict.Fail, verdict.Pass, Better, false},
		"fail to not applicable":    {verdict.Fail, verdict.NotApplicable, Changed, false},
		"not applicable to pass":    {verdict.NotApplicable, verdict.Pass, Changed, false},
		"not applicable to fail":    {verdict.NotApplicable, verdict.Fail, Worse, true},
		"new":                       {none, verdict.Fail, New, false},
		"gone":                      {verdict.Pass, none, Gone, false},
		"fails for another reason":  {verdict.Fail, verdict.Fail, Reason, false},
		"passes for another reason": {verdict.Pass, verdict.Pass, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			old, now := run(t), run(t)
			for v, s := range map[*verdict.Verdict]*Side{&c.old: &old, &c.now: &now} {
				if *v == none {
					s.Result.Requirements = s.Result.Requirements[1:]
					continue
				}
				s.Result.Requirements[0].Verdict, s.Result.Requirements[0].Checks[0].Verdict = *v, *v
			}
			now.Result.Requirements[0].Reason = "other"
			d := Make(old, now, catalog.All())
			assert.Equal(t, c.worse, d.Worse)
			if c.how == "" {
				assert.Empty(t, d.Requirements)
				return
			}
			require.Len(t, d.Requirements, 1)
			assert.Equal(t, c.how, d.Requirements[0].How)
			assert.Equal(t, "s/5.1-1", d.Requirements[0].ID)
		})
	}
}

func TestObservationsAndSetting(t *testing.T) {
	d := compare(t, func(s *Side) {
		s.In.Observations[0].Facts = []byte(`{"right_accepted":false,"list":[1,2,3],"took_seconds":8}`)
		// The last attempt answers.
		s.In.Observations[1].Facts, s.In.Observations[1].Error = nil, lab.Interrupted
		again := s.In.Observations[1]
		again.ID, again.Attempt, again.Error, again.Facts = "o-002-2", 2, "", []byte(`{"right_accepted":true,"list":[1,2]}`)
		s.In.Observations = append(s.In.Observations, again)
		s.In.Begin.Tool.Version, s.In.End, s.Frames = "2", nil, 11
	})
	assert.Equal(t, []Observed{{defaultsHTTP, Changed, "o-001", "o-001", []Difference{
		{"list", []any{1.0, 2.0}, []any{1.0, 2.0, 3.0}}, {"right_accepted", true, false},
	}}}, d.Observations)
	assert.Equal(t, []Difference{{"frames captured", 10.0, 11.0}, {"tool", "1", "2"}}, d.Setting)
	assert.Equal(t, []string{"run r never came to its end"}, d.Caveats)
}

func TestValues(t *testing.T) {
	row := func(id string, v any) map[string]any { return map[string]any{"id": id, "v": v} }
	for name, c := range map[string]struct {
		old, now any
		want     []Difference
	}{
		"the same":            {map[string]any{"a": 1.0}, map[string]any{"a": 1.0}, []Difference{}},
		"a value":             {map[string]any{"a": map[string]any{"b": 1.0}}, map[string]any{"a": map[string]any{"b": 2.0}}, []Difference{{"a.b", 1.0, 2.0}}},
		"rows by id":          {map[string]any{"t": []any{row("x", 1.0), row("y", 1.0)}}, map[string]any{"t": []any{row("y", 2.0), row("x", 1.0)}}, []Difference{{"t[y].v", 1.0, 2.0}}},
		"a row less":          {map[string]any{"t": []any{row("x", 1.0), row("y", 1.0)}}, map[string]any{"t": []any{row("x", 1.0)}}, []Difference{{"t[y]", row("y", 1.0), nil}}},
		"rows with one id":    {map[string]any{"t": []any{row("x", 1.0), row("x", 2.0)}}, map[string]any{"t": []any{row("x", 1.0)}}, []Difference{{"t", []any{row("x", 1.0), row("x", 2.0)}, []any{row("x", 1.0)}}}},
		"a list without rows": {map[string]any{"t": []any{1.0}}, map[string]any{"t": []any{2.0}}, []Difference{{"t", []any{1.0}, []any{2.0}}}},
		"another shape":       {map[string]any{"t": []any{1.0}}, map[string]any{"t": "x"}, []Difference{{"t", []any{1.0}, "x"}}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, Values(c.old, c.now)) })
	}
}
