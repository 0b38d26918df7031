package vuln

import (
	"os/exec"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		ecosystem, a, b string
		want            int
	}{
		{"Debian", "1.0-1", "1.0-2", -1}, {"Debian:12", "1.0~rc1-1", "1.0-1", -1}, {"Debian", "1:0.9-1", "2.0-1", 1}, {"Debian", "1.0-1+deb12u1", "1.0-1", 1}, {"Debian", "1.0", "1.0-0", 0}, {"Debian", "1.10", "1.9", 1},
		{"Alpine:v3.18", "1.2.11-r3", "1.2.12-r0", -1}, {"Alpine", "1.2_rc1-r0", "1.2-r0", -1}, {"Alpine", "1.2_p1-r0", "1.2-r9", 1}, {"Alpine", "1.36.1-r10", "1.36.1-r9", 1}, {"Alpine", "1.1.1d-r0", "1.1.1k-r0", -1},
		{"rpm", "1.0-1.el9", "1.0-2.el9", -1}, {"Red Hat", "1.0~rc1-1", "1.0-1", -1}, {"rpm", "1.0^git1-1", "1.0-1", 1}, {"rpm", "1.0a-1", "1.0-1", 1}, {"rpm", "1:1-1", "2-1", 1}, {"rpm", "1.0-1", "1.0", 0},
		{"Go", "v1.2.3", "1.2.3", 0}, {"Go", "1.2.3-rc.1", "1.2.3", -1}, {"npm", "1.2.3-alpha.10", "1.2.3-alpha.9", 1}, {"Go", "1.2.3-1", "1.2.3-alpha", -1},
		{"", "1.1.1d", "1.1.1n", -1}, {"", "1.1.1", "1.1.1d", -1}, {"", "2019.78", "2020.81", -1}, {"", "1.30.1", "1.30", 1}, {"", "1.2", "1.2.0", 0}, {"", "2.0-rc1", "2.0", -1}, {"", "v3.6.2", "3.6.2", 0}, {"", "1.2.13", "1.2.9", 1}, {"", "8.2p1", "8.2", 1},
	} {
		assert.Equal(t, c.want, Compare(c.ecosystem, c.a, c.b), "%s: %s and %s", c.ecosystem, c.a, c.b)
		assert.Equal(t, -c.want, Compare(c.ecosystem, c.b, c.a), "%s: %s and %s", c.ecosystem, c.b, c.a)
	}
}

// TestCompareAsDpkg asks the ecosystem's own tool.
func TestCompareAsDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is not installed")
	}
	versions := []string{"1.0", "1.0-1", "1.0~rc1-1", "1:0.5-1", "1.0+b1-1", "1.0-1+deb12u2", "1.0-1~bpo12+1", "1.00-1", "2a-1", "2~-1", "10.1-1"}
	for _, a := range versions {
		for _, b := range versions {
			want := 0
			if exec.Command("dpkg", "--compare-versions", a, "lt", b).Run() == nil {
				want = -1
			} else if exec.Command("dpkg", "--compare-versions", a, "gt", b).Run() == nil {
				want = 1
			}
			assert.Equal(t, want, Compare("Debian", a, b), "%s and %s", a, b)
		}
	}
}

const (
	osvBusybox = `{"id":"OSV-1","aliases":["CVE-2021-1"],"modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"OSS-Fuzz","name":"busybox"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.34.0"}]}]}]}`
	osvZlib    = `{"id":"ALPINE-1","modified":"2026-03-02T00:00:00Z","affected":[{"package":{"ecosystem":"Alpine:v3.18","name":"zlib","purl":"pkg:apk/alpine/zlib"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2.12-r0"}]}]}]}`
	osvOld     = `{"id":"OSV-2","modified":"2025-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"","name":"busybox"},"versions":["1.29.0"],"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1.0"},{"last_affected":"1.30.0"}]}]}]}`
	osvGone    = `{"id":"OSV-3","modified":"2025-01-01T00:00:00Z","withdrawn":"2025-02-01T00:00:00Z","affected":[{"package":{"ecosystem":"","name":"busybox"},"versions":["1.30.1"]}]}`
)

func vexOf(status, purl, more string) string {
	return `{"document":{"category":"csaf_vex","csaf_version":"2.0","tracking":{"id":"V-1","current_release_date":"2026-05-01T00:00:00Z"}},
	 "product_tree":{"branches":[{"category":"vendor","name":"v","branches":[{"category":"product_name","name":"busybox","branches":[{"category":"product_version","name":"1.30.1","product":{"product_id":"P","name":"busybox 1.30.1","product_identification_helper":{"purl":"` + purl + `"}}}]}]}]},
	 "vulnerabilities":[{"cve":"CVE-2021-1","product_status":{"` + status + `":["P"]},"flags":[{"label":"vulnerable_code_not_in_execute_path","product_ids":["P"]}]` + more + `}]}`
}

var subjects = []Subject{
	{Name: "busybox", Version: "1.30.1-5", Ecosystem: "opkg", PURL: "pkg:opkg/busybox@1.30.1-5"},
	{Name: "zlib", Version: "1.2.11-r3", Ecosystem: "Alpine", PURL: "pkg:apk/alpine/zlib@1.2.11-r3"},
}

func match(t *testing.T, files map[string]string, release map[string]string) Result {
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := Load("snapshot-2026-05", folder)
	require.NoError(t, err)
	return s.Match(subjects, release)
}

func TestMatch(t *testing.T) {
	osv := map[string]string{"a/busybox.json": osvBusybox, "b.json": "[" + osvZlib + "," + osvOld + "]", "gone.json": osvGone, "readme.txt": "not looked at"}
	r := match(t, osv, nil)
	require.Len(t, r.Matches, 2)
	assert.Equal(t, Match{ID: "OSV-1", Aliases: []string{"CVE-2021-1"}, Component: "busybox", Version: "1.30.1-5", Status: Affected, Basis: "upstream version: from 0, fixed in 1.34.0", Files: []string{"a/busybox.json"}}, r.Matches[0])
	assert.Equal(t, "ALPINE-1", r.Matches[1].ID)
	assert.Contains(t, r.Matches[1].Basis, "release is not known")
	assert.Equal(t, "2026-03-02T00:00:00Z", r.Dated)
	assert.Len(t, r.Files, 2)
	assert.Len(t, r.Digest, 64)
	assert.Equal(t, 4, r.Entries)
	assert.Len(t, match(t, osv, map[string]string{"Alpine": "3.18"}).Matches, 2)
	assert.Len(t, match(t, osv, map[string]string{"Alpine": "3.19"}).Matches, 1, "of another release")
}

func TestVEX(t *testing.T) {
	for _, c := range []struct {
		name, purl, status, more string
		want                     Status
	}{
		{"not affected", "pkg:opkg/busybox@1.30.1-5", "known_not_affected", "", NotAffected},
		{"by name and upstream version", "", "known_not_affected", "", NotAffected},
		{"of another version", "pkg:opkg/busybox@1.33.0", "known_not_affected", "", Affected},
		{"of another package", "pkg:opkg/dropbear@1.30.1-5", "known_not_affected", "", Affected},
		{"fixed", "pkg:opkg/busybox@1.30.1-5", "fixed", "", Fixed},
		{"still looked into", "pkg:opkg/busybox@1.30.1-5", "under_investigation", "", Investigated},
		{"affected", "pkg:opkg/busybox@1.30.1-5", "known_affected", "", Affected},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := match(t, map[string]string{"osv.json": osvBusybox, "vex.json": vexOf(c.status, c.purl, c.more)}, nil)
			require.Len(t, r.Matches, 1)
			assert.Equal(t, c.want, r.Matches[0].Status)
			if c.want == NotAffected {
				assert.Equal(t, "vulnerable_code_not_in_execute_path", r.Matches[0].Reason)
				assert.Equal(t, []string{"osv.json", "vex.json"}, r.Matches[0].Files)
			}
		})
	}
	t.Run("documents that disagree do not clear", func(t *testing.T) {
		r := match(t, map[string]string{"osv.json": osvBusybox, "a.json": vexOf("known_affected", "pkg:opkg/busybox@1.30.1-5", ""), "b.json": vexOf("known_not_affected", "pkg:opkg/busybox@1.30.1-5", "")}, nil)
		require.Len(t, r.Matches, 1)
		assert.Equal(t, Affected, r.Matches[0].Status)
		assert.Contains(t, r.Matches[0].Reason, "disagree")
	})
	t.Run("without OSV", func(t *testing.T) {
		r := match(t, map[string]string{"a.json": vexOf("known_affected", "pkg:opkg/busybox@1.30.1-5", "")}, nil)
		require.Len(t, r.Matches, 1)
		assert.Equal(t, "CVE-2021-1", r.Matches[0].ID)
	})
}

func TestSnapshotIsReadStrictly(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "{", "something else": `{"hello":1}`, "no date": `{"id":"X"}`, "list of something else": `[1]`} {
		_, err := Load("s", fstest.MapFS{"x.json": {Data: []byte(text)}})
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.Contains(t, err.Error(), "x.json", name)
	}
	_, err := Load("s", fstest.MapFS{})
	require.ErrorIs(t, err, format.ErrMalformed)
	assert.Contains(t, NotChecked().Statement, "NOT CHECKED")
}

// FuzzCompare: an order is an order whatever the image writes as its version.
func FuzzCompare(f *testing.F) {
	f.Add("1.0~rc1-1", "1:1.0_p1-r2", byte(0))
	f.Fuzz(func(t *testing.T, a, b string, which byte) {
		e := []string{"Debian", "Alpine", "rpm", "Go", ""}[int(which)%5]
		if Compare(e, a, b) != -Compare(e, b, a) {
			t.Fatalf("%s: %q and %q", e, a, b)
		}
		if Compare(e, a, a) != 0 {
			t.Fatalf("%s: %q is not itself", e, a)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(osvBusybox)
	f.Add(vexOf("fixed", "pkg:opkg/busybox@1.30.1-5", ""))
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := Load("s", fstest.MapFS{"x.json": {Data: []byte(text)}}); err == nil {
			s.Match(subjects, nil)
		}
	})
}
