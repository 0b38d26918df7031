package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/lab/evidence"
	"assay/reports/verdict"
)

// firewall is what somebody else's program does to this machine's rules.
func firewall(t *testing.T, rules string) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "nft", rules).CombinedOutput()
	require.NoError(t, err, string(said))
}

// insideGatewayGoesBad is a good device on a bench that is bad before the run, then is mended, and goes bad in the middle of it.
func insideGatewayGoesBad(t *testing.T) {
	if installed("nft") == "" {
		t.Skip("needs nft: apt-get install nftables")
	}
	loopbackUp(t)
	w := wire(t)
	out := filepath.Join(t.TempDir(), "runs")
	profile := written(t, w.dir, "short.yaml", "assay: profile/v1\nid: short\nversion: \"1\"\ntitle: Logins\nreviews: none\nbecause: this is about the bench\n"+
		"standards: [{standard: etsi-en-303-645, requirements: [5.1-1, 5.1-5, 5.5-5]}]\n")
	firewall(t, "add table inet somebody; add chain inet somebody in { type filter hook input priority 5 ; }; add rule inet somebody in tcp dport 8444 drop")
	r := launch(t, nil, "run", w.dossier, "--profile", profile, "--bench", w.bench, "--out", out)
	require.Equal(t, exitBench, r.code())
	assert.Contains(t, r.told(), "the bench failed its test with a known-good device before the run: image over https: want ")
	assert.Contains(t, r.told(), "assay doctor")
	assert.NotContains(t, r.told(), "[ 1/", "nothing was asked")
	asFound(t)
	firewall(t, "flush table inet somebody")

	all, err := filepath.Glob(filepath.Join(out, "*"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	r = launch(t, nil, "resume", all[0], "--dossier", w.dossier, "--bench", w.bench, "--format", "json")
	r.tells("[ 3/")
	// Only frames of the known-good device are lost: whatever the device under test did, it did to a sound bench. Who could know?
	firewall(t, "add rule inet somebody in ether saddr 02:a5:5a:5e:1f:01 tcp dport 8444 drop")
	require.Equal(t, exitIncomplete, r.code())
	assert.Contains(t, r.told(), "the bench is not sound: image over https: want ")
	v := r.report()
	assert.Equal(t, verdict.Incomplete, v.Profiles[0].Conformity)
	for _, one := range v.Profiles[0].Requirements {
		assert.NotEqual(t, verdict.Fail, one.Verdict, "%s: %s", one.ID, one.Reason)
		for _, c := range one.Checks {
			assert.NotEqual(t, verdict.Pass, c.Verdict, c.ID)
		}
	}
	asFound(t)
	ev, err := evidence.Open(filepath.Join(all[0], filepath.Base(all[0])+".assay"))
	require.NoError(t, err)
	in, err := lab.Read(ev)
	require.NoError(t, err)
	var when []string
	for _, s := range in.SelfTests {
		when = append(when, s.When)
		assert.Equal(t, s.Wrong() == "", s.Sound)
	}
	assert.Equal(t, []string{"before", "before", "after"}, when)
	for _, o := range in.Observations {
		assert.Empty(t, o.Facts, o.ID)
	}
	raw, err := ev.Observations()
	require.NoError(t, err)
	facts := 0
	for _, o := range raw {
		if len(o.Facts) > 0 {
			facts++
		}
	}
	assert.Greater(t, facts, 5, "what was seen stays on record")
	_, err = os.Stat(filepath.Join(all[0], "report.html"))
	require.NoError(t, err)
	html := slurp(filepath.Join(all[0], "report.html"))
	assert.Contains(t, html, lab.WentBad)
}
