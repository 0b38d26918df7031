package verdict_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/reports/verdict"

	"github.com/stretchr/testify/require"
)

const cases = 1000

// flaws are answers that make some check of a probe fail, whatever else is random.
var flaws = map[string][]change{
	"credentials/defaults": {
		{"default_accepted": true}, {"universal_accepted": true}, {"derived_accepted": true}, {"none_accepted": true}, {"wrong_accepted": true},
	},
	"credentials/bruteforce": {{"limited": false, "tries": 12, "wrong_refused": 12}},
	"exposure/services":      {telnet(), {"services": []string{"udp/161 snmp"}}, {"tcp_open": []string{"tcp/8443"}, "tcp_open_count": 1}, {"udp_answering": []string{}, "udp_closed": []string{"udp/5684"}}},
	"update/genuine":         {{"accepted": false}, {"healthy_after": false}},
	"update/refusal":         {{"accepted": true}, {"genuine_after": false}, {"healthy_after": false}, {"version_after": "9.9.9"}},
	"resilience/powercut":    {{"healthy_after": false}, {"kept": 1, "lost": []string{"name"}}, {"version_after": "0.9.0"}},
	"firmware/signature":     {{"verified": 3}, {"disallowed": []string{"sha1"}}, {"uncovered_in_use": []string{"payload"}}},
	"firmware/contents":      {{"private_keys": []string{"image!/key"}}, {"affected": []string{"mbedtls"}}},
	"firmware/installed":     {{"same": false, "reported": "1.1.0"}, {"holds": false, "flash_holds": []string{"1.1.0"}}},
	"tls/client":             {{"weak_ciphers": []string{"TLS_RSA_WITH_RC4_128_SHA"}}, {"offers_old": true}},
	"tls/impostor":           {{"data_received": true, "handshake_finished": true}},
	"wipe/residue":           {{"api_found": true}, {"flash_found": true}, {"traffic_found": true}, {"retained_found": true}, {"account_after": true}},
}

// bends are answers that take the ground from some check of a probe.
var bends = map[string][]change{
	"credentials/defaults":   {{"right_accepted": false}, {"others_tried": 0}, {"outcome_none": "unexpected"}, {"derived_tried": 0}},
	"credentials/bruteforce": {{"right_later": false}, {"wrong_accepted": 1}},
	"exposure/services":      {{"alive_before": false}, {"complete": false}, {"ports_tried": 9}, {"udp_answering": []string{}}},
	"update/genuine":         {{"fetched": false}},
	"update/refusal":         {{"ours_refuses": false}, {"fetched": false}},
	"resilience/powercut":    {{"silent_off": false}, {"healthy_before": false}, {"stored_seen": 0, "stored": 0, "kept": 0}, {"kept": 1}, {"version_before": ""}},
	"firmware/signature":     {{"variants_accepted": []string{"tampered"}}, {"images": 0, "verified": 0}},
	"firmware/contents":      {{"complete": false}, {"vulnerabilities_checked": false}},
	"firmware/installed":     {{"flash_read": false, "flash_holds": []string{}, "holds": false}, {"reported": "", "outcome": "silent"}},
	"tls/client":             {{"called": false}, {"lowest_known": false}},
	"tls/impostor":           {{"genuine_before": false}, {"genuine_after": false}, {"called": false}},
	"wipe/residue":           {{"back": false}, {"flash_searched": false}, {"traffic_complete": false}, {"planted": 0}},
}

// deniable are the features that a random dossier may deny.
var deniable = []string{
	"passwords", "preinstalled_passwords", "network_authentication", "updatable", "network_updates", "remote_configuration", "updates_possible",
	"brute_force_protection_possible", "service_stores_personal_data", "http_login", "mqtt_login", "coap_login", "ssh_login", "telnet_login", "update_https", "update_coap",
	"reset_by_command", "reset_by_button", "unused_interfaces",
}

// A story is one random product and what a runner wrote down about it.
type story struct {
	d     *dossier.Dossier
	steps []plan.Step
	obs   []probes.Observation
}

type teller struct {
	t   *testing.T
	r   *rand.Rand
	set *profiles.Set
}

func (w teller) one(in int) bool { return w.r.IntN(in) == 0 }

func (w teller) pick(list []change) change { return list[w.r.IntN(len(list))] }

// story makes a random product. Clean ones come often, or hardly anything would ever pass.
func (w teller) story() story {
	d := thermostat()
	if !w.one(3) {
		for range w.r.IntN(4) {
			f := dossier.Feature{Because: "it has none"}
			if w.one(5) {
				f.Because = ""
			}
			d.Features[deniable[w.r.IntN(len(deniable))]] = f
		}
	}
	for _, op := range []string{"login-http", "login-mqtt", "update-coap", "factory-reset-button"} {
		if w.one(4) {
			delete(d.Operations, op)
			if !w.one(3) {
				d.Features[map[string]string{"login-http": "http_login", "login-mqtt": "mqtt_login", "update-coap": "update_coap", "factory-reset-button": "reset_by_button"}[op]] =
					dossier.Feature{Because: "it has none"}
			}
		}
	}
	s := story{d: d, steps: planned(w.t, d, w.set)}
	trouble := w.r.IntN(3) * 4 // in how many of 24 steps something is odd
	for _, step := range s.steps {
		s.obs = append(s.obs, w.attempts(step, trouble)...)
	}
	w.r.Shuffle(len(s.obs), func(i, j int) { s.obs[i], s.obs[j] = s.obs[j], s.obs[i] })
	return s
}

// attempts is what a runner writes down about a step: it asks again after a failure of the bench and
// after a run was cut short, never after an answer or the planner's no.
func (w teller) attempts(step plan.Step, trouble int) []probes.Observation {
	if step.NotAsked != "" {
		return []probes.Observation{notAsked(observe(w.t, w.set, step, 1), step.NotAsked)}
	}
	var obs []probes.Observation
	for w.r.IntN(24) < trouble && len(obs) < 3 {
		o := observe(w.t, w.set, step, len(obs)+1)
		if w.one(3) {
			o = notAsked(o, "the run was cancelled before this step")
		} else {
			o = failed(o, "the cable fell off")
		}
		obs = append(obs, o)
	}
	if len(obs) > 0 && w.one(4) {
		return obs
	}
	return append(obs, w.answer(step, len(obs)+1, trouble))
}

func (w teller) answer(step plan.Step, attempt, trouble int) probes.Observation {
	var changes []change
	if w.r.IntN(24) < trouble {
		changes = append(changes, w.pick(flaws[step.Probe]))
	}
	if w.r.IntN(24) < trouble {
		changes = append(changes, w.pick(bends[step.Probe]))
	}
	o := observe(w.t, w.set, step, attempt, changes...)
	if w.r.IntN(200) < trouble {
		o.Facts = json.RawMessage(`{"nonsense":1}`)
	}
	return o
}

// A property is what holds for every story and the verdicts on it.
type property func(t *testing.T, w teller, s story, whole *verdict.Result)

func TestProperties(t *testing.T) {
	set := baseline(t)
	seen := map[verdict.Conformity]int{}
	cases := cases
	if testing.Short() {
		cases /= 10
	}
	for i := range cases {
		w := teller{t, rand.New(rand.NewPCG(303645, uint64(i))), set}
		s := w.story()
		whole := judge(t, s.d, set, s.obs...)
		seen[whole.Conformity]++
		for _, holds := range []property{droppingNeverHelps, droppingManyNeverHelps, addingAFlawNeverHelps, sameBytes} {
			holds(t, w, s, whole)
		}
		if t.Failed() {
			t.Fatalf("case %d", i)
		}
	}
	for _, c := range []verdict.Conformity{verdict.Conformant, verdict.NonConformant, verdict.Incomplete} {
		require.Greater(t, seen[c], cases/20, "the stories must be about all kinds of devices: %v", seen)
	}
}

// rank orders verdicts from worst to best; not applicable is as good as a pass for conformity.
func rank(v verdict.Verdict) int {
	return map[verdict.Verdict]int{verdict.Fail: 0, verdict.Inconclusive: 1, verdict.NotApplicable: 2, verdict.Pass: 2}[v]
}

func conforms(c verdict.Conformity) int {
	return map[verdict.Conformity]int{verdict.NonConformant: 0, verdict.Incomplete: 1, verdict.ConformantWithWaivers: 2, verdict.Conformant: 2}[c]
}

// Removing any observation never makes anything pass, or the run conformant, that was not before.
func droppingNeverHelps(t *testing.T, w teller, s story, whole *verdict.Result) {
	for i := range s.obs[:3] { // of a shuffled record
		lost := fmt.Sprintf("without %s attempt %d", s.obs[i].Step, s.obs[i].Attempt)
		less := judge(t, s.d, w.set, slices.Delete(slices.Clone(s.obs), i, i+1)...)
		noBetter(t, lost, whole, less)
		for k, r := range less.Requirements {
			for n, c := range r.Checks {
				if before := whole.Requirements[k].Checks[n]; c.Verdict == verdict.Pass && rank(before.Verdict) < rank(verdict.Pass) {
					t.Errorf("%s: %s becomes a pass: %s", lost, c.ID, before.Reason)
				}
			}
		}
	}
}

func noBetter(t *testing.T, lost string, whole, less *verdict.Result) {
	if conforms(less.Conformity) == 2 && conforms(whole.Conformity) != 2 {
		t.Errorf("%s: %s becomes %s", lost, whole.Conformity, less.Conformity)
	}
	for k, r := range less.Requirements {
		if before := whole.Requirements[k]; r.Verdict == verdict.Pass && before.Verdict != verdict.Pass {
			t.Errorf("%s: %s becomes a pass: %s", lost, r.ID, before.Reason)
		}
	}
}

// Nor does removing many at once.
func droppingManyNeverHelps(t *testing.T, w teller, s story, whole *verdict.Result) {
	rest := slices.DeleteFunc(slices.Clone(s.obs), func(probes.Observation) bool { return w.one(4) })
	noBetter(t, "without many", whole, judge(t, s.d, w.set, rest...))
}

// One more observation, of a flaw, never improves what it is about. Where the step had been
// answered before it improves nothing at all.
func addingAFlawNeverHelps(t *testing.T, w teller, s story, before *verdict.Result) {
	step := s.steps[w.r.IntN(len(s.steps))]
	attempt, answered := 1, false
	for _, o := range s.obs {
		if o.Step == step.ID {
			attempt = max(attempt, o.Attempt+1)
			answered = answered || len(o.Facts) > 0
		}
	}
	flaw := observe(t, w.set, step, attempt, w.pick(flaws[step.Probe]))
	first := flaw
	first.Attempt = 1
	alone := judge(t, thermostat(), w.set, first)
	after := judge(t, s.d, w.set, append(slices.Clone(s.obs), flaw)...)
	if answered && conforms(after.Conformity) > conforms(before.Conformity) {
		t.Errorf("a flaw of %s: %s becomes %s", step.ID, before.Conformity, after.Conformity)
	}
	for k, r := range after.Requirements {
		about := false // the requirement wants a check that this very observation fails
		for n, c := range r.Checks {
			fails := alone.Requirements[k].Checks[n].Verdict == verdict.Fail
			about = about || fails
			if b := before.Requirements[k].Checks[n]; (fails || answered) && rank(c.Verdict) > rank(b.Verdict) {
				t.Errorf("a flaw of %s: check %s is %s instead of %s", step.ID, c.ID, c.Verdict, b.Verdict)
			}
		}
		if b := before.Requirements[k]; (about || answered) && rank(r.Verdict) > rank(b.Verdict) {
			t.Errorf("a flaw of %s: %s is %s instead of %s (%s)", step.ID, r.ID, r.Verdict, b.Verdict, b.Reason)
		}
	}
}

// The order of the record does not matter, and judging twice gives the same bytes.
func sameBytes(t *testing.T, w teller, s story, whole *verdict.Result) {
	bytes := func(r *verdict.Result) string {
		b, err := json.Marshal(r)
		require.NoError(t, err)
		return string(b)
	}
	first := bytes(whole)
	if first != bytes(judge(t, s.d, w.set, s.obs...)) {
		t.Error("judging twice differs")
	}
	mixed := slices.Clone(s.obs)
	w.r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if first != bytes(judge(t, s.d, w.set, mixed...)) {
		t.Error("the order matters")
	}
}

// A package of the set and a recorded dossier give the same bytes as those they were made of.
func TestSameBytesFromTheRecord(t *testing.T) {
	set := baseline(t)
	again, err := profiles.LoadPackage(set.Files())
	require.NoError(t, err)
	for i := range 50 {
		s := teller{t, rand.New(rand.NewPCG(1, uint64(i))), set}.story()
		s.d.Assay, s.d.Product = dossier.Version, dossier.Product{Manufacturer: "m", Model: "m", Firmware: "1"}
		for name := range s.d.Operations {
			s.d.Operations[name] = dossier.Operation{Steps: []dossier.Step{{Button: &dossier.ButtonStep{Name: "b"}}}}
		}
		d, err := dossier.ParseRecorded("d", s.d.Redacted())
		require.NoError(t, err)
		one, err := json.Marshal(judge(t, s.d, set, s.obs...))
		require.NoError(t, err)
		two, err := json.Marshal(judge(t, d, again, s.obs...))
		require.NoError(t, err)
		require.Equal(t, string(one), string(two), fmt.Sprint(i))
	}
}
