package verdict_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/reports/verdict"
)

// firmwareProfiles ask among them every check of firmware that a run can ask.
var firmwareProfiles = []string{"pre-test", "eu-cra", "en-18031"}

// Each check of firmware passes a good image, fails a bad one, and is inconclusive where nothing could be seen.
func TestFirmware(t *testing.T) {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	const signature, contents, installed = "firmware/signature", "firmware/contents", "firmware/installed"
	left := change{"complete": false, "left": 4096}
	blind := func(list string) change { // found, though not all was looked into
		return change{list: []string{"image!/etc: something"}, "complete": false}
	}
	sets := map[string]*profiles.Set{}
	for _, id := range firmwareProfiles {
		if sets[id], err = profiles.Load(profiles.Embedded(), id, schemas); err != nil {
			require.NoError(t, err)
		}
	}
	for _, c := range []struct {
		check, probe string
		fail, open   []change
	}{
		{"signed", signature, []change{{"verified": 3}, {"verified": 0, "variants": 0, "variants_refused": 0}},
			[]change{{"variants_accepted": []string{"tampered"}}, {"images": 0, "verified": 0}, {"variants": 0}}},
		{"strong-signature", signature, []change{{"disallowed": []string{"sha1"}}, {"least_strength": 80}}, []change{{"least_strength": 0}, {"images": 0, "verified": 0}}},
		{"covers-what-runs", signature, []change{{"uncovered_in_use": []string{"payload"}}}, []change{{"verified": 3}, {"images": 0, "verified": 0}}},
		{"rollback-order", signature, []change{{"falling": []string{"1.1.0 has 2"}}, {"counters": 3}},
			[]change{{"images": 1, "verified": 1, "counters": 1}, {"counters": 0, "signed_versions": 0}, {"verified": 3}}},
		{"no-private-keys", contents, []change{blind("private_keys"), blind("test_keys")}, []change{left, {"size": 0}}},
		{"no-secrets", contents, []change{blind("secrets")}, []change{left, {"size": 0}}},
		{"no-open-accounts", contents, []change{blind("accounts")}, []change{left, {"size": 0}}},
		{"no-fixed-logins", contents, []change{blind("fixed_logins")}, []change{left, {"size": 0}}},
		{"certificates", contents, []change{blind("certificates")}, []change{left, {"size": 0}}},
		{"components", contents, []change{{"component_count": 0}, {"without_version": []string{"busybox"}}}, []change{left, {"size": 0}}},
		{"no-known-vulnerabilities", contents, []change{blind("affected")}, []change{
			left, {"vulnerabilities_checked": false}, {"snapshot_age_days": 32}, {"snapshot_age_days": -1}, {"component_count": 0},
			{"without_version": []string{"busybox"}}, {"under_investigation": []string{"CVE-2026-1"}}}},
		{"hardening", contents, []change{blind("unhardened")}, []change{left, {"programs": 0}}},
		{"declared-version", installed, []change{{"same": false, "reported": "1.1.0"}}, []change{{"reported": "", "same": false}, {"outcome": "refused"}}},
		{"declared-image", installed, []change{{"holds": false, "flash_holds": []string{"1.1.0"}}}, []change{
			{"flash_read": false}, {"holds": false, "flash_holds": []string{}}, {"holds_newer": true, "flash_holds": []string{"1.0.0", "1.1.0"}}, {"image": "", "holds": false}}},
	} {
		t.Run(c.check, func(t *testing.T) {
			asked := false
			for _, set := range sets {
				if _, ok := set.Check("firmware/" + c.check); !ok {
					continue
				}
				asked = true
				d := thermostat()
				says := func(ch change) verdict.Check {
					return check(t, judge(t, d, set, look(t, d, set, map[string]change{c.probe: ch})...), "firmware/"+c.check)
				}
				assert.Equal(t, verdict.Pass, says(nil).Verdict)
				for _, ch := range c.fail {
					assert.Equal(t, verdict.Fail, says(ch).Verdict, "%v", ch)
				}
				for _, ch := range c.open {
					got := says(ch)
					assert.Equal(t, verdict.Inconclusive, got.Verdict, "%v", ch)
					assert.NotEmpty(t, strings.TrimSpace(got.Reason))
				}
			}
			assert.True(t, asked, "no profile asks it")
		})
	}
}
