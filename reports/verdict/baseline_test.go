package verdict_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func baseline(t testing.TB) *profiles.Set {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	set, err := profiles.Load(profiles.Embedded(), "baseline", schemas)
	require.NoError(t, err)
	return set
}

// thermostat is a dossier with every operation that the baseline names.
func thermostat() *dossier.Dossier {
	d := product(map[string]dossier.Feature{"ssh_login": {Because: "no SSH server"}, "telnet_login": {Because: "no Telnet server"}})
	d.Operations = map[string]dossier.Operation{}
	for _, name := range []string{
		"login-http", "login-mqtt", "login-coap", "update-https", "update-coap", "read-version", "health", "factory-reset-command", "factory-reset-button",
	} {
		d.Operations[name] = dossier.Operation{}
	}
	d.IXIT.LogIntf = []dossier.LogIntf{
		{ID: "LogIntf-1", Description: "web", Status: "enabled", Listens: []dossier.Socket{{Protocol: "tcp", Port: 8443, Application: "https"}}},
		{ID: "LogIntf-2", Description: "broker", Status: "enabled", Listens: []dossier.Socket{{Protocol: "tcp", Port: 8884}}},
		{ID: "LogIntf-3", Description: "CoAP", Status: "enabled", Listens: []dossier.Socket{{Protocol: "udp", Port: 5684, Application: "coaps"}}},
	}
	return d
}

func planned(t testing.TB, d *dossier.Dossier, set *profiles.Set) []plan.Step {
	has := []probes.Instrument{
		probes.InstrumentDevice, probes.InstrumentUpdates, probes.InstrumentImages, probes.InstrumentBroker, probes.InstrumentSniffer,
		probes.InstrumentFlash, probes.InstrumentClock, probes.InstrumentScanner, probes.InstrumentInterceptor, probes.InstrumentPower,
	}
	for _, via := range probes.Vias {
		has = append(has, probes.InstrumentInterceptor+"/"+probes.Instrument(via))
		for _, scenario := range probes.Scenarios {
			has = append(has, probes.InstrumentInterceptor+"/"+probes.Instrument(via)+"/"+probes.Instrument(scenario))
		}
	}
	p, err := plan.Make(d, set, catalog.All(), has, nil)
	require.NoError(t, err)
	return p.Steps
}

type change map[string]any

// hiddenTelnet is what fails where a dossier denies the Telnet that a scan finds.
const hiddenTelnet = "credentials/telnet-bruteforce credentials/telnet-default credentials/telnet-derived credentials/telnet-open " +
	"exposure/undeclared exposure/undeclared-login"

// telnet is what a scan shows of a device with a login prompt that nobody declared.
func telnet(more ...change) change {
	c := change{
		"tcp_open": []string{"tcp/2323", "tcp/8443", "tcp/8884"}, "tcp_open_count": 3,
		"services": []string{"tcp/2323 telnet", "tcp/8443 tls", "tcp/8884 tls", "udp/5684 dtls"},
	}
	for _, m := range more {
		maps.Copy(c, m)
	}
	return c
}

// fine is what a good device shows each probe; what is not named is zero.
var fine = map[string]change{
	"credentials/defaults": {
		"right_accepted": true, "right_accepted_after": true, "wrong_refused": true, "outcome_none": "refused", "outcome_wrong": "refused", "outcome_right": "done",
		"defaults_tried": 40, "others_tried": 2, "derived_tried": 12,
	},
	"credentials/bruteforce": {"tries": 6, "wrong_refused": 5, "right_before": true, "right_later": true, "limited": true, "limited_by": "answer", "limited_after": 5},
	"exposure/services": {
		"ports_tried": 65535, "tcp_open": []string{"tcp/8443", "tcp/8884"}, "tcp_open_count": 2, "udp_asked": true, "udp_answering": []string{"udp/5684"},
		"udp_closed": []string{"udp/53", "udp/5683"}, "udp_silent": []string{"udp/5353"},
		"services": []string{"tcp/8443 tls", "tcp/8884 tls", "udp/5684 dtls"}, "complete": true, "alive_before": true, "alive_after": true, "seconds": 3.5,
	},
	"update/genuine": {
		"version_before": "1.0.0", "image_version": "1.1.0", "version_after": "1.1.0", "healthy_before": true, "healthy_after": true, "fetched": true, "accepted": true, "outcome": "done",
	},
	"update/refusal": {
		"ours_refuses": true, "genuine_before": true, "genuine_before_tried": true, "genuine_after": true, "genuine_after_tried": true, "fetched": true, "restarted": true,
		"forms_offered": 1, "forms_fetched": 1, "version_before": "1.1.0", "variant_version": "1.2.0", "version_after": "1.1.0", "healthy_after": true,
	},
	"wipe/residue": {
		"planted": 3, "planted_seen": 3, "reset_outcome": "done", "back": true, "label_login_after": true, "account_before": true, "account_outcome": "refused",
		"api_searched": true, "retained_searched": true, "broker_seen_before": true, "flash_searched": true, "flash_seen_before": true,
		"traffic_complete": true, "traffic_frames": 200,
	},
	"resilience/powercut": {
		"healthy_before": true, "silent_off": true, "stored": 2, "stored_seen": 2, "kept": 2, "healthy_after": true, "healthy_seconds": 3.2,
		"version_before": "1.0.0", "version_after": "1.0.0", "off_seconds": 5.0, "wait_seconds": 120.0,
	},
	"firmware/signature": {
		"images": 4, "verified": 4, "variants": 88, "variants_refused": 88, "least_strength": 128, "counters": 4, "signed_versions": 4, "formats": []string{"mcuboot"},
	},
	"firmware/contents": {
		"version": "1.0.0", "image": "firmware-1.0.0.bin", "opened": true, "complete": true, "size": 24576, "files": 6, "component_count": 2, "components": []string{"mbedtls 3.6.2-r1"},
		"vulnerabilities_checked": true, "snapshot_age_days": 3, "snapshot_entries": 40000, "programs": 12,
	},
	"firmware/installed": {
		"declared": "1.0.0", "outcome": "done", "reported": "1.0.0", "same": true, "image": "firmware-1.0.0.bin", "flash_read": true, "flash_bytes": 221184,
		"flash_holds": []string{"1.0.0"}, "holds": true,
	},
	"tls/impostor": {"genuine_before": true, "called": true, "calls": 2, "genuine_after": true, "alert": "bad certificate", "genuine_version": "TLS 1.3"},
	"tls/client":   {"called": true, "calls": 1, "lowest_known": true, "lowest": "TLS 1.2", "highest": "TLS 1.3", "names_host": true},
}

// observe makes an observation of a step: a good device with changes.
func observe(t testing.TB, set *profiles.Set, s plan.Step, attempt int, changes ...change) probes.Observation {
	facts := map[string]any{}
	for name, kind := range set.Schemas[s.Probe].Facts {
		facts[name] = map[string]any{"bool": false, "int": 0, "double": 0.0, "string": "", "list": []string{}}[string(kind)]
	}
	for _, c := range append([]change{fine[s.Probe]}, changes...) {
		for name, v := range c {
			if _, ok := facts[name]; !ok {
				require.Fail(t, "no such fact", "%s of %s", name, s.Probe)
			}
			facts[name] = v
		}
	}
	b, err := json.Marshal(facts)
	require.NoError(t, err)
	return probes.Observation{
		ID: fmt.Sprintf("o-%s-%d", s.ID, attempt), Step: s.ID, Attempt: attempt, Probe: s.Probe, Version: s.Version, With: s.With, Unit: "u1", Facts: b,
	}
}

// look gives what a device shows: a change applies to the steps of the probe that it names,
// and of those to the ones whose id contains the word after a blank.
func look(t testing.TB, d *dossier.Dossier, set *profiles.Set, changes map[string]change) []probes.Observation {
	var obs []probes.Observation
	for _, s := range planned(t, d, set) {
		o := observe(t, set, s, 1)
		for which, c := range changes {
			probe, word, _ := strings.Cut(which, " ")
			if s.Probe == probe && strings.Contains(s.ID, word) {
				o = observe(t, set, s, 1, c)
			}
		}
		if s.NotAsked != "" {
			o.Facts, o.NotAsked = nil, s.NotAsked
		}
		obs = append(obs, o)
	}
	return obs
}

// with returns the ids of checks, and of requirements, that have a verdict.
func with(r *verdict.Result, v verdict.Verdict) (checks, requirements []string) {
	seen := map[string]bool{}
	for _, one := range r.Requirements {
		if one.Verdict == v {
			requirements = append(requirements, one.ID)
		}
		for _, c := range one.Checks {
			if c.Verdict == v {
				seen[c.ID] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), requirements
}

func TestCleanDevice(t *testing.T) {
	set, d := baseline(t), thermostat()
	r := judge(t, d, set, look(t, d, set, nil)...)
	assert.Equal(t, verdict.Conformant, r.Conformity)
	_, passed := with(r, verdict.Pass)
	assert.Len(t, passed, 10)
	r = judge(t, d, set)
	_, open := with(r, verdict.Inconclusive)
	assert.Len(t, open, 10, "nothing seen, nothing passed")
	assert.Equal(t, verdict.Incomplete, r.Conformity)
}

// Each flaw fails exactly its checks; a check that the flaw takes the ground from is inconclusive.
func TestFlaws(t *testing.T) {
	set, d := baseline(t), thermostat()
	for _, c := range []struct {
		name         string
		changes      map[string]change
		fail, open   string
		requirements string
	}{
		{"default password", map[string]change{"credentials/defaults http": {"default_accepted": true, "default_pair": "admin/admin"}},
			"credentials/http-default", "", "5.1-1"},
		{"universal key", map[string]change{"credentials/defaults coap": {"universal_accepted": true}}, "credentials/coap-default", "", "5.1-1"},
		{"password from the MAC", map[string]change{"credentials/defaults http": {"derived_accepted": true, "derived_from": "mac"}}, "credentials/http-derived", "", "5.1-2"},
		{"open", map[string]change{"credentials/defaults mqtt": {"none_accepted": true, "outcome_none": "done", "defaults_tried": 0, "others_tried": 0, "derived_tried": 0}},
			"credentials/mqtt-open", "credentials/mqtt-default credentials/mqtt-derived", "5.5-5"},
		{"any password", map[string]change{
			"credentials/defaults http":   {"wrong_accepted": true, "wrong_refused": false, "outcome_wrong": "done", "defaults_tried": 0, "others_tried": 0, "derived_tried": 0},
			"credentials/bruteforce http": {"wrong_accepted": 12, "wrong_refused": 0, "tries": 12, "limited": false}},
			"credentials/http-open", "credentials/http-bruteforce credentials/http-default credentials/http-derived", "5.5-5"},
		{"no lock-out", map[string]change{"credentials/bruteforce mqtt": {"tries": 12, "wrong_refused": 12, "limited": false, "limited_after": 0, "right_during": true}},
			"credentials/mqtt-bruteforce", "", "5.1-5"},
		{"takes a tampered image", map[string]change{"update/refusal tampered": {"accepted": true, "version_after": "1.2.0", "genuine_after": false}},
			"update/tampered-coap update/tampered-https", "", "5.3-2 5.3-9 5.3-10"},
		{"takes it and dies", map[string]change{"update/refusal unsigned,via=coap": {"accepted": true, "version_after": "", "healthy_after": false, "genuine_before": false, "genuine_after": false, "genuine_after_tried": false}},
			"update/unsigned-coap", "", "5.3-2 5.3-9 5.3-10"},
		{"takes an older image", map[string]change{"update/refusal older": {"accepted": true, "version_after": "1.0.0"}}, "update/older-coap update/older-https", "", "5.3-2"},
		{"jams", map[string]change{"update/refusal wrong-key,via=https": {"genuine_after": false}}, "update/wrong-key-https", "", "5.3-2 5.3-9 5.3-10"},
		{"jams on a bench that cannot restart it", map[string]change{"update/refusal wrong-key,via=https": {"genuine_after": false, "restarted": false}}, "update/wrong-key-https", "", "5.3-2 5.3-9 5.3-10"},
		{"jams before the second form", map[string]change{"update/refusal tampered,via=https": {"forms_offered": 2, "genuine_after": false}}, "update/tampered-https", "", "5.3-2 5.3-9 5.3-10"},
		{"crashes", map[string]change{"update/refusal unsigned,via=https": {"healthy_after": false, "version_after": "", "genuine_after": false, "genuine_after_tried": false}},
			"update/unsigned-https", "", "5.3-2 5.3-9 5.3-10"},
		{"refuses genuine", map[string]change{
			"update/genuine https": {"accepted": false, "version_after": "1.0.0"},
			"update/refusal https": {"genuine_before": false, "genuine_after": false, "genuine_after_tried": false}},
			"update/genuine-https", "update/older-https update/tampered-https update/unsigned-https update/wrong-key-https", "5.3-2"},
		{"hidden Telnet", map[string]change{"exposure/services": telnet()}, hiddenTelnet, "", "5.1-1 5.1-2 5.1-5 5.5-5 5.6-1"},
		{"hidden Telnet, and the link broke", map[string]change{"exposure/services": telnet(change{"alive_after": false, "complete": false})},
			hiddenTelnet, "exposure/missing", "5.1-1 5.1-2 5.1-5 5.5-5 5.6-1"},
		{"plain CoAP too", map[string]change{"exposure/services": {"services": []string{"tcp/8443 tls", "tcp/8884 tls", "udp/5683 coap", "udp/5684 dtls"},
			"udp_answering": []string{"udp/5683", "udp/5684"}}}, "exposure/undeclared", "", "5.5-5 5.6-1"},
		{"no broker", map[string]change{"exposure/services": {"tcp_open": []string{"tcp/8443"}, "tcp_open_count": 1, "services": []string{"tcp/8443 tls", "udp/5684 dtls"}}},
			"exposure/missing", "", "5.6-1"},
		{"no CoAP", map[string]change{"exposure/services": {"udp_answering": []string{}, "udp_closed": []string{"udp/5684"}, "services": []string{"tcp/8443 tls", "tcp/8884 tls"}}},
			"exposure/missing", "", "5.6-1"},
		{"answers everywhere", map[string]change{"exposure/services": {"tcp_open_count": 65535, "tcp_open": []string{"tcp/1", "tcp/2"}, "services": []string{"tcp/1 unknown", "tcp/2 unknown"}}},
			"exposure/undeclared", "exposure/missing exposure/undeclared-login", "5.5-5 5.6-1"},
		{"leaves data in the API", map[string]change{"wipe/residue command": {"api_found": true}}, "wipe/api-command", "", "5.11-1"},
		{"leaves a copy in flash", map[string]change{"wipe/residue": {"flash_found": true, "flash_encodings": "base64"}}, "wipe/flash-button wipe/flash-command", "", "5.11-1"},
		{"leaves messages", map[string]change{"wipe/residue button": {"retained_found": true}}, "wipe/retained-button", "", "5.11-2"},
		{"leaks later", map[string]change{"wipe/residue button": {"traffic_found": true}}, "wipe/traffic-button", "", "5.11-1"},
		{"keeps accounts", map[string]change{"wipe/residue command": {"account_after": true, "account_outcome": "done"}}, "wipe/login-command", "", "5.11-1"},
		{"button keeps everything", map[string]change{"wipe/residue button": {"api_found": true, "flash_found": true, "account_after": true, "retained_found": true, "label_login_after": false}},
			"wipe/api-button wipe/flash-button wipe/login-button wipe/retained-button", "", "5.11-1 5.11-2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judge(t, d, set, look(t, d, set, c.changes)...)
			failed, requirements := with(r, verdict.Fail)
			open, _ := with(r, verdict.Inconclusive)
			assert.Equal(t, strings.Fields(c.fail), failed)
			assert.Equal(t, c.open, strings.Join(open, " "))
			assert.Equal(t, strings.Fields(c.requirements), requirements)
		})
	}
}

// Without its controls a good answer is worth nothing.
func TestUnfairTests(t *testing.T) {
	set, d := baseline(t), thermostat()
	for _, c := range []struct {
		name  string
		probe string
		facts change
		open  string // checks that are inconclusive on every variant of the step
	}{
		{"label's login never worked", "credentials/defaults", change{"right_accepted": false}, "open default derived"},
		{"label's login stopped working", "credentials/defaults", change{"right_accepted_after": false}, "open default derived"},
		{"list not tried", "credentials/defaults", change{"defaults_tried": 0}, "default"},
		{"one unit only", "credentials/defaults", change{"others_tried": 0}, "default"},
		{"nothing to derive from", "credentials/defaults", change{"derived_tried": 0}, "derived"},
		{"candidates without an answer", "credentials/defaults", change{"unanswered": 3}, "default derived"},
		{"a wrong login met no clear no", "credentials/defaults", change{"wrong_refused": false, "outcome_wrong": "unexpected"}, "open"},
		{"no recipe for nobody", "credentials/defaults", change{"outcome_none": ""}, "open"},
		{"nobody was answered oddly", "credentials/defaults", change{"outcome_none": "unexpected"}, "open"},
		{"guessing broke the interface", "credentials/bruteforce", change{"limited": false, "right_later": false}, "bruteforce"},
		{"guesses met silence", "credentials/bruteforce", change{"limited": false, "wrong_refused": 2}, "bruteforce"},
		{"image not fetched", "update/genuine", change{"fetched": false, "accepted": false, "version_after": "1.0.0"}, "genuine"},
		{"ill before", "update/genuine", change{"healthy_before": false}, "genuine"},
		{"our own verifier takes it", "update/refusal", change{"ours_refuses": false}, "tampered unsigned wrong-key older"},
		{"bad image not fetched", "update/refusal", change{"fetched": false}, "tampered unsigned wrong-key older"},
		{"takes nothing at all", "update/refusal", change{"genuine_before": false, "genuine_after": false}, "tampered unsigned wrong-key older"},
		{"no image left for afterwards", "update/refusal", change{"genuine_after": false, "genuine_after_tried": false}, "tampered unsigned wrong-key older"},
		{"not seen to start again", "update/refusal", change{"restarted": false}, "tampered unsigned wrong-key older"},
		{"not back after its restart", "update/refusal", change{"restarted": false, "genuine_after": false, "genuine_after_tried": false}, "tampered unsigned wrong-key older"},
		{"second form not fetched", "update/refusal", change{"forms_offered": 2}, "tampered unsigned wrong-key older"},
		{"not there before the scan", "exposure/services", change{"alive_before": false}, "undeclared undeclared-login missing"},
		{"not there after the scan", "exposure/services", change{"alive_after": false}, "undeclared undeclared-login missing"},
		{"link broke meanwhile", "exposure/services", change{"complete": false}, "undeclared undeclared-login missing"},
		{"a part of the ports", "exposure/services", change{"ports_tried": 1024}, "undeclared undeclared-login missing"},
		{"UDP not asked", "exposure/services", change{"udp_asked": false, "udp_answering": []string{}, "services": []string{"tcp/8443 tls"}}, "undeclared missing"},
		{"declared UDP port silent", "exposure/services", change{"udp_answering": []string{}, "udp_silent": []string{"udp/5684"}, "services": []string{"tcp/8443 tls", "tcp/8884 tls"}}, "missing"},
		{"no reset", "wipe/residue", change{"reset_outcome": "refused"}, "api flash traffic login retained"},
		{"never back", "wipe/residue", change{"back": false}, "api flash traffic login retained"},
		{"nothing planted", "wipe/residue", change{"planted": 0, "planted_seen": 0}, "api flash traffic login retained"},
		{"not read back before", "wipe/residue", change{"planted_seen": 2}, "api"},
		{"owner does not get in", "wipe/residue", change{"label_login_after": false}, "api login"},
		{"no dump", "wipe/residue", change{"flash_searched": false}, "flash"},
		{"encrypted storage", "wipe/residue", change{"flash_seen_before": false}, "flash"},
		{"capture with a gap", "wipe/residue", change{"traffic_complete": false}, "traffic"},
		{"capture of nothing", "wipe/residue", change{"traffic_frames": 0}, "traffic"},
		{"said its old name on its way down", "wipe/residue", change{"traffic_seen_before": true, "traffic_unclear": true}, "traffic"},
		{"no account added", "wipe/residue", change{"account_before": false, "account_outcome": ""}, "login"},
		{"cloud not ours", "wipe/residue", change{"retained_searched": false}, "retained"},
		{"never reached the cloud", "wipe/residue", change{"broker_seen_before": false}, "retained"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judge(t, d, set, look(t, d, set, map[string]change{c.probe: c.facts})...)
			failed, _ := with(r, verdict.Fail)
			assert.Empty(t, failed)
			open, _ := with(r, verdict.Inconclusive)
			kinds := map[string]bool{}
			for _, id := range open {
				kinds[kindOf(id)] = true
			}
			want := strings.Fields(c.open)
			if c.name == "nobody was answered oddly" || c.name == "a wrong login met no clear no" {
				assert.Len(t, open, 3)
			}
			assert.ElementsMatch(t, want, slices.Collect(maps.Keys(kinds)))
			for _, id := range open {
				assert.NotEmpty(t, check(t, r, id).Reason)
			}
		})
	}
}

// kindOf is a check's id without family, interface, path and way of resetting.
func kindOf(id string) string {
	_, name, _ := strings.Cut(id, "/")
	for _, word := range []string{"http-", "mqtt-", "coap-", "-https", "-coap", "-command", "-button"} {
		name = strings.TrimPrefix(strings.TrimSuffix(name, word), word)
	}
	return name
}

// A device without a network login has nothing to try, and says so with a reason.
func TestDeviceWithoutWeb(t *testing.T) {
	set, d := baseline(t), thermostat()
	delete(d.Operations, "login-http")
	d.Features["http_login"] = dossier.Feature{Because: "there is no web page"}
	r := judge(t, d, set, look(t, d, set, nil)...)
	assert.Equal(t, verdict.Conformant, r.Conformity)
	assert.Equal(t, verdict.NotApplicable, check(t, r, "credentials/http-open").Verdict)

	d = thermostat() // who can be logged in to over HTTP has a login over HTTP
	d.Features["http_login"] = dossier.Feature{Because: "there is no web page"}
	r = judge(t, d, set, look(t, d, set, nil)...)
	assert.Equal(t, verdict.NonConformant, r.Conformity)
	assert.Contains(t, requirement(t, r, "5.1-1").Reason, "the dossier denies http_login, but observation")
}

// Whatever an observation holds, the judge neither crashes nor lets it pass for a good answer.
func FuzzJudge(f *testing.F) {
	set, d := baseline(f), thermostat()
	all := look(f, d, set, nil)
	for _, o := range all {
		f.Add(o.Step, o.Probe, o.Version, []byte(o.With), []byte(o.Facts), o.Attempt)
	}
	f.Add("update/genuine", "update/genuine", "0", []byte(`{"via":1}`), []byte(`{"accepted":true,"accepted":false}`), -1)
	f.Fuzz(func(t *testing.T, step, probe, version string, with, facts []byte, attempt int) {
		o := probes.Observation{ID: "o", Step: step, Probe: probe, Version: version, With: with, Facts: facts, Attempt: attempt}
		r := judge(t, d, set, o)
		if r.Conformity == verdict.Conformant {
			t.Fatal("one observation cannot make a device conformant")
		}
		_, err := json.Marshal(r)
		require.NoError(t, err)
	})
}

func BenchmarkJudge(b *testing.B) {
	set, d := baseline(b), thermostat()
	obs := look(b, d, set, nil)
	for b.Loop() {
		if _, err := verdict.Judge(d, set, verdict.Record{Observations: obs}, day); err != nil {
			b.Fatal(err)
		}
	}
}

// The cut of the supply is no part of the baseline: what it shows counts in the pre-test, and only where it was a cut.
func TestPowerCut(t *testing.T) {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	set, err := profiles.Load(profiles.Embedded(), "pre-test", schemas)
	require.NoError(t, err)
	d := thermostat()
	for name, c := range map[string]struct {
		shows            change
		outage, recovery verdict.Verdict // of 5.9-1 and of 5.9-2
		fail, open       string
	}{
		"comes back":               {nil, verdict.Pass, verdict.Pass, "", ""},
		"stays dark":               {change{"healthy_after": false, "kept": 0, "version_after": ""}, verdict.Fail, verdict.Fail, "recovers", "settings version"},
		"forgets":                  {change{"kept": 1, "lost": []string{"name"}}, verdict.Pass, verdict.Fail, "settings", ""},
		"falls back":               {change{"version_after": "0.9.0"}, verdict.Pass, verdict.Fail, "version", ""},
		"goes on without supply":   {change{"silent_off": false}, verdict.Inconclusive, verdict.Inconclusive, "", "recovers settings version"},
		"one setting not told":     {change{"kept": 1}, verdict.Pass, verdict.Inconclusive, "", "settings"},
		"nothing that it can keep": {change{"stored": 0, "stored_seen": 0, "kept": 0}, verdict.Pass, verdict.Inconclusive, "", "settings"},
	} {
		t.Run(name, func(t *testing.T) {
			r := judge(t, d, set, look(t, d, set, map[string]change{"resilience/powercut": c.shows})...)
			assert.Equal(t, c.outage, requirement(t, r, "5.9-1").Verdict)
			assert.Equal(t, c.recovery, requirement(t, r, "5.9-2").Verdict)
			for v, ids := range map[verdict.Verdict]string{verdict.Fail: c.fail, verdict.Inconclusive: c.open} {
				var got []string
				for _, id := range []string{"recovers", "settings", "version"} {
					if check(t, r, "resilience/powercut-"+id).Verdict == v {
						got = append(got, id)
					}
				}
				assert.Equal(t, strings.Fields(ids), append([]string{}, got...), v)
			}
		})
	}
}

// The scan's first version knew one address of the device: what it saw is judged as it was, without the facts that came later.
func TestOldScanIsJudged(t *testing.T) {
	set, d := baseline(t), thermostat()
	for name, c := range map[string]struct {
		facts change
		want  verdict.Verdict
	}{"clean": {nil, verdict.Pass}, "hidden Telnet": {telnet(), verdict.Fail}, "link broke": {change{"complete": false}, verdict.Inconclusive}} {
		obs := look(t, d, set, map[string]change{"exposure/services": c.facts})
		for i, o := range obs {
			if o.Probe != "exposure/services" {
				continue
			}
			facts := map[string]any{}
			require.NoError(t, json.Unmarshal(o.Facts, &facts))
			for _, later := range []string{"addresses", "unscanned", "ipv6_only"} {
				require.Contains(t, facts, later)
				delete(facts, later)
			}
			var err error
			obs[i].Version = "1"
			obs[i].Facts, err = json.Marshal(facts)
			require.NoError(t, err)
		}
		assert.Equal(t, c.want, check(t, judge(t, d, set, obs...), "exposure/undeclared").Verdict, name)
	}
}
