package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/evidence"
	"assay/lab/refdevice"
	"assay/probes"
	"assay/reports"
	"assay/reports/verdict"
)

const passerbyMAC = "02:00:5e:00:53:99"

// switchScript is a switch between eth1 and the cables, in a namespace of its own. It says nothing itself.
const switchScript = `ip link add switch type bridge mcast_snooping 0
for port in trunk port0 port1 port2; do
	until ip link show dev $port; do sleep 0.05; done
	[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/$port/disable_ipv6
	ip link set dev $port master switch up
done >/dev/null 2>&1
[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/switch/disable_ipv6
ip link set dev switch up
exec sleep infinity
`

// cord makes a cable from a port of the switch.
func cord(t *testing.T, port, far, mac string) {
	t.Helper()
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port}, PeerName: far, PeerHardwareAddr: hardware(t, mac)}))
}

// wireUnits plugs two units of one product into a switch at eth1, of which the second trusts whoever calls itself its cloud, and
// somebody who is no unit. Each unit has its own hand.
func wireUnits(t *testing.T) *wired {
	t.Helper()
	w := &wired{dir: t.TempDir()}
	var err error
	w.product, err = refdevice.Manufacture(filepath.Join(w.dir, "product"), refdevice.ManufactureOptions{Now: time.Now()})
	require.NoError(t, err)
	c, err := refdevice.LoadConfig(w.product.Units[1].Config)
	require.NoError(t, err)
	c.Flaws = []string{string(refdevice.SkipsTLSVerification)}
	flawed, err := json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(w.product.Units[1].Config, flawed, 0o600))
	hand := written(t, w.dir, "hand.sh", fmt.Sprintf(`# What a hand does at one unit: one line to it, and wait until it is done.
cd %s/$1
do_it() {
	before=$(grep -c "^ok $1" answers)
	echo "$1" >line
	until [ "$(grep -c "^ok $1" answers)" -gt "$before" ]; do sleep 0.02; done
}
do_it "power off"; cp pristine flash; do_it "power on"
`, w.dir))
	text := slurp(w.product.Dossier)
	require.Contains(t, text, "\noperations:\n")
	text = strings.Replace(text, "\noperations:\n", "\noperations:\n  restore:\n    steps:\n      - command: {run: [sh, "+hand+", '{{unit}}']}\n        seconds: 20\n", 1)
	w.dossier = w.product.Dossier
	require.NoError(t, os.WriteFile(w.dossier, []byte(text), 0o600))
	w.bench = written(t, w.dir, "gateway.yaml", "assay: bench/v1\nmode: gateway\ninterface: eth1\n")
	for n, u := range w.product.Units[:2] {
		place := filepath.Join(w.dir, u.ID)
		require.NoError(t, os.Mkdir(place, 0o700))
		require.NoError(t, syscall.Mkfifo(filepath.Join(place, "line"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(place, "pristine"), []byte(slurp(u.Flash)), 0o600))
		require.NoError(t, os.Symlink(u.Flash, filepath.Join(place, "flash")))
		started(t, fmt.Sprintf("port%d", n), u, filepath.Join(place, "line"), filepath.Join(place, "answers"))
	}
	cord(t, "port2", "far", passerbyMAC)
	passerby, lan := &cable{}, &cable{}
	passerby.begin(t, "far", "10.77.0.250/24", nil, "bash", "-c", "while :; do echo hello >/dev/udp/10.77.0.1/9; sleep 0.2; done")
	cord(t, "eth1", "trunk", "02:00:5e:00:53:01")
	lan.begin(t, "trunk", "", nil, "sh", "-ec", switchScript)
	for n := range 3 {
		link, err := netlink.LinkByName(fmt.Sprintf("port%d", n))
		require.NoError(t, err)
		require.NoError(t, netlink.LinkSetNsPid(link, lan.device.Process.Pid))
	}
	return w
}

// ownProfile asks over MQTT whether a unit talks to a cloud that nobody vouches for, and nothing else.
func ownProfile(t *testing.T, dir string) string {
	t.Helper()
	text := `assay: profile/v1
id: own
version: "1"
title: Whom does it take for its cloud
reviews: none
because: a program asks
standards: [{standard: etsi-en-303-645, requirements: [5.5-1]}]
without:
`
	for _, via := range probes.Vias {
		for _, s := range probes.Scenarios {
			if s == probes.Genuine || s == probes.PassThrough || s == probes.UnknownCA && via == probes.ViaMQTTS || s == probes.OldVersion && via == probes.ViaCoAPS {
				continue
			}
			text += fmt.Sprintf("  - {check: tls/%s-%s, because: one impostor is enough here}\n", s, via)
		}
		text += fmt.Sprintf("  - {check: tls/offer-ciphers-%s, because: one impostor is enough here}\n", via)
		if via != probes.ViaCoAPS {
			text += fmt.Sprintf("  - {check: tls/offer-versions-%s, because: one impostor is enough here}\n", via)
		}
	}
	return written(t, dir, "own.yaml", text)
}

// insideGatewayUnits tests two units on one gateway: the verdict names the one that is flawed, the other is not accused, and who is
// no unit is told as a stranger.
func insideGatewayUnits(t *testing.T) {
	loopbackUp(t)
	w := wireUnits(t)
	out := filepath.Join(t.TempDir(), "runs")
	r := launch(t, nil, "run", w.dossier, "--bench", w.bench, "--unit", "all", "--profile", ownProfile(t, w.dir), "--out", out, "--format", "json")
	require.Equal(t, exitNonConformant, r.code(), r.told())
	v := r.report()
	require.Len(t, v.Units, 2)
	assert.Zero(t, v.Dropped)
	check := theCheck(t, v, "tls/unknown-ca-mqtts")
	assert.Equal(t, verdict.Fail, check.Verdict)
	assert.Contains(t, check.Reason, "unit-2")
	assert.NotContains(t, check.Reason, "unit-1")
	said := map[string]bool{}
	for _, o := range v.Observations {
		if o.Probe != "tls/impostor" {
			continue
		}
		var f struct {
			Data    bool `json:"data_received"`
			Genuine bool `json:"genuine_after"`
		}
		require.NoError(t, json.Unmarshal(o.Facts, &f), "%+v", o)
		assert.True(t, f.Genuine, o.Unit)
		said[o.Unit] = f.Data
		assert.Equal(t, "capture.pcapng", o.Frames.File)
	}
	assert.Equal(t, map[string]bool{"unit-1": false, "unit-2": true}, said)
	for n, u := range w.product.Units[:2] {
		assert.Contains(t, r.told(), fmt.Sprintf("%s answers at 10.77.0.10%d, proven by its MAC address %s and its label", u.ID, n, u.MAC))
	}
	assert.Contains(t, r.told(), passerbyMAC+" was on eth1 too, which no unit of the dossier has")
	dir := sealedRun(t, out)
	ev, err := evidence.Open(filepath.Join(dir, filepath.Base(dir)+".assay"))
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(ev.Records, func(r evidence.Record) bool {
		return r.Kind == evidence.KindNote && strings.Contains(string(r.Body), `"strangers":[{"mac":"`+passerbyMAC+`"}]`)
	}), "the record tells, too")
	asFound(t)
}

func theCheck(t *testing.T, r *reports.Report, id string) verdict.Check {
	t.Helper()
	for _, q := range r.Profiles[0].Requirements {
		for _, c := range q.Checks {
			if c.ID == id {
				return c
			}
		}
	}
	require.Fail(t, "no check "+id)
	return verdict.Check{}
}
