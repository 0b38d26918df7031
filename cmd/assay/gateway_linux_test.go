package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/bench/doctor"
	"assay/lab/refdevice"
	"assay/reports/verdict"
)

// A wired is a reference device that nobody but the gateway's bench file knows how to reach: plugged by a
// cable into eth1, with a button and a plug that programs of the lab work.
type wired struct {
	product *refdevice.Product
	dir     string
	bench   string
	dossier string
}

// wire manufactures a device, puts its cable into eth1 and gives it power.
func wire(t *testing.T, flaws ...string) *wired {
	t.Helper()
	w := &wired{dir: t.TempDir()}
	var err error
	w.product, err = refdevice.Manufacture(filepath.Join(w.dir, "product"), refdevice.ManufactureOptions{Now: time.Now(), Flaws: flaws})
	require.NoError(t, err)
	unit := w.product.Units[0]
	line, answers, pristine := filepath.Join(w.dir, "line"), filepath.Join(w.dir, "answers"), filepath.Join(w.dir, "pristine")
	require.NoError(t, syscall.Mkfifo(line, 0o600))
	flash, err := os.ReadFile(unit.Flash)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(pristine, flash, 0o600))

	hand := written(t, w.dir, "hand.sh", fmt.Sprintf(`# What a hand does at the device: one line to it, and wait until it is done.
do_it() {
	before=$(grep -c "^ok $2" %[1]s)
	echo "$1" >%[2]s
	until [ "$(grep -c "^ok $2" %[1]s)" -gt "$before" ]; do sleep 0.02; done
}
case "$1" in
button) do_it "button $2 $3" "button $2" ;;
power) do_it "power $2" "power $2" ;;
restore) do_it "power off" "power off"; cp %[3]s %[4]s; do_it "power on" "power on" ;;
esac
`, answers, line, pristine, unit.Flash))
	text := slurp(w.product.Dossier)
	require.Contains(t, text, "\noperations:\n")
	text = strings.Replace(text, "\noperations:\n", "\noperations:\n  restore:\n    steps:\n      - command: {run: [sh, "+hand+", restore]}\n        seconds: 20\n", 1)
	w.dossier = w.product.Dossier
	require.NoError(t, os.WriteFile(w.dossier, []byte(text), 0o600))
	w.bench = written(t, w.dir, "gateway.yaml", "assay: bench/v1\nmode: gateway\ninterface: eth1\nflash: {file: "+unit.Flash+"}\nbutton: {command: [sh, "+hand+", button, '{{button}}', '{{seconds}}']}\npower: {command: [sh, "+hand+", power, '{{state}}']}\n")
	started(t, "eth1", unit, line, answers)
	return w
}

// started starts the device's process in a network namespace of its own, at the far end of a cable.
func started(t *testing.T, near string, unit refdevice.Unit, line, answers string) {
	t.Helper()
	hw, err := net.ParseMAC(unit.MAC)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: near}, PeerName: "eth0", PeerHardwareAddr: hw}))
	stdin, err := os.OpenFile(line, os.O_RDWR, 0)
	require.NoError(t, err)
	stdout, err := os.Create(answers)
	require.NoError(t, err)
	log, err := os.Create(answers + ".log")
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, refdeviceVerb, "--config", unit.Config)
	cmd.Args[0] = "assay"
	cmd.Env = withoutBench(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, log
	begun, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the device dies with the thread that started it
		err := cmd.Start()
		begun <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	require.NoError(t, <-begun)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = stdin.Close()
		if t.Failed() {
			said := slurp(answers + ".log")
			t.Logf("device: %s", said[max(0, len(said)-4000):])
		}
	})
	link, err := netlink.LinkByName("eth0")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetNsPid(link, cmd.Process.Pid))
	_, err = stdin.WriteString("start\n")
	require.NoError(t, err)
}

// loopbackUp is what a machine has that a new namespace has not.
func loopbackUp(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(lo))
}

// insideGateway takes a device without flaws through the baseline on a gateway, and leaves the interface as it was.
func insideGateway(t *testing.T) {
	loopbackUp(t)
	w := wire(t)
	w.bench = written(t, w.dir, "gateway.yaml", slurp(w.bench)+"capture: {rotate: {mebibytes: 4, minutes: 60}}\n")
	out := filepath.Join(t.TempDir(), "runs")
	r := launch(t, nil, "run", w.dossier, "--bench", w.bench, "--out", out, "--format", "json")
	require.Equal(t, exitDone, r.code())
	v := r.report()
	assert.Equal(t, verdict.Conformant, v.Profiles[0].Conformity)
	assert.Zero(t, v.Dropped)
	assert.Contains(t, r.told(), "the bench takes eth1 as its own")
	assert.Equal(t, 2, strings.Count(r.told(), "the bench is sound: a known-good device met what was to be expected"), "before and after")
	dir := sealedRun(t, out)
	if program := installed("tshark"); program != "" {
		file := filepath.Join(dir, "capture.pcapng")
		first, err := exec.CommandContext(t.Context(), program, "-n", "-r", file, "-c", "1", "-T", "fields", "-e", "frame.protocols").Output()
		require.NoError(t, err)
		assert.Regexp(t, "dhcp|arp|icmpv6", string(first), "the capture begins with what a device says first")
		all, err := exec.CommandContext(t.Context(), program, "-n", "-r", file, "-c", "3000", "-T", "fields", "-e", "frame.protocols", "-e", "dns.a").Output()
		require.NoError(t, err)
		for _, want := range []string{"dhcp", "dns\t10.77.0.1", "tls", "ntp"} {
			assert.Contains(t, string(all), want)
		}
	}
	asFound(t)
	rotates(t, dir)
}

// asFound wants eth1 without an address and down, as it was.
func asFound(t *testing.T) {
	t.Helper()
	link, err := netlink.LinkByName("eth1")
	require.NoError(t, err)
	assert.Zero(t, link.Attrs().Flags&net.FlagUp)
	addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	require.NoError(t, err)
	assert.Empty(t, addresses)
}

// insideGatewayEnds is about runs that somebody ends, and about what doctor says before and after.
func insideGatewayEnds(t *testing.T) {
	loopbackUp(t)
	w := wire(t)
	examine := func(code int, args ...string) map[string]doctor.Finding {
		r := assay(t, code, append([]string{"doctor", w.dossier, "--format", "json", "--bench"}, args...)...)
		var report doctor.Report
		require.NoError(t, json.Unmarshal([]byte(r.said()), &report))
		assert.Equal(t, code == exitDone, report.Usable)
		found := map[string]doctor.Finding{}
		for _, f := range report.Findings {
			found[f.Check] = f
			if f.Level != doctor.OK {
				assert.NotEmpty(t, f.Verdicts, f.Check)
				assert.NotEmpty(t, f.Mend, f.Check)
			}
		}
		return found
	}
	found := examine(exitDone, w.bench)
	for check, want := range map[string]string{
		"privileges": "may own an interface", "interface": "eth1: driver veth", "owner": "nobody else's", "address": "the bench takes 10.77.0.1/24",
		"offload": "the bench switches it off", "ports": "free", "uplink": "none",
		"self-test": "a known-good device can be plugged in",
	} {
		assert.Equal(t, doctor.OK, found[check].Level, "%s: %+v", check, found[check])
		assert.Contains(t, found[check].Says, want)
	}
	require.Contains(t, found, "clock")
	require.Contains(t, found, "disk")
	require.Contains(t, found, "link")
	absent := written(t, w.dir, "absent.yaml", "assay: bench/v1\nmode: gateway\ninterface: eth7\n")
	assert.Equal(t, doctor.Problem, examine(exitBench, absent)["interface"].Level)
	down := written(t, w.dir, "down.yaml", "assay: bench/v1\nmode: attached\ninterface: eth1\n")
	assert.Contains(t, examine(exitBench, down)["interface"].Mend, "ip link set eth1 up")
	bad := written(t, w.dir, "bad.yaml", "assay: bench/v1\nmode: gateway\n")
	assert.Contains(t, assay(t, exitUnusable, "doctor", "--bench", bad).told(), "bad.yaml:1: key interface")
	offline := written(t, w.dir, "offline.yaml", "assay: bench/v1\nmode: offline\n")
	assert.Contains(t, assay(t, exitUnusable, "run", w.dossier, "--bench", offline).told(), "hint: `assay capture analyze`")

	if os.Geteuid() == 0 {
		byCapabilities(t, w)
	}
	// Ctrl-C in the middle of the run: what was seen is sealed, the interface is as it was found.
	out := filepath.Join(t.TempDir(), "runs")
	r := launch(t, nil, "run", w.dossier, "--bench", w.bench, "--out", out)
	r.tells("[ 2/")
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, exitIncomplete, r.code())
	sealedRun(t, out)
	asFound(t)

	// A run that is killed leaves its address; the next one knows it for its own.
	killed := filepath.Join(t.TempDir(), "runs")
	r = launch(t, nil, "run", w.dossier, "--bench", w.bench, "--out", killed)
	r.tells("[ 1/")
	require.NoError(t, r.cmd.Process.Kill())
	r.code()
	link, err := netlink.LinkByName("eth1")
	require.NoError(t, err)
	left, err := netlink.AddrList(link, netlink.FAMILY_V4)
	require.NoError(t, err)
	require.Len(t, left, 1)
	assert.Equal(t, doctor.OK, examine(exitDone, w.bench)["owner"].Level)
	out = filepath.Join(t.TempDir(), "runs")
	r = launch(t, nil, "run", w.dossier, "--bench", w.bench, "--out", out, "--verbose")
	r.tells("[ 1/")
	assert.Contains(t, r.told(), "the address 10.77.0.1/24 of an earlier run that was killed was found on eth1")
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, exitIncomplete, r.code())
	left, err = netlink.AddrList(link, netlink.FAMILY_V4)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// byCapabilities examines the gateway as an ordinary user, without and with the capabilities that doctor names.
func byCapabilities(t *testing.T, w *wired) {
	t.Helper()
	program, home := asNobody(t)
	look := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), program, "doctor", "--bench", filepath.Join(home, "b.yaml"), "--out", home)
		cmd.Args[0] = "assay"
		cmd.Env = append(withoutBench(os.Environ()), "HOME="+home, "TMPDIR="+home)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	written(t, home, "b.yaml", "assay: bench/v1\nmode: gateway\ninterface: eth1\n")
	said, err := look()
	require.Error(t, err)
	const grant = "cap_net_admin,cap_net_raw,cap_net_bind_service+ep"
	assert.Contains(t, said, "✗ privileges: this user may not run a gateway: cap_net_admin, cap_net_raw, cap_net_bind_service is missing")
	assert.Contains(t, said, "sudo setcap "+grant+" "+program)
	if out, err := exec.CommandContext(t.Context(), "setcap", grant, program).CombinedOutput(); err != nil {
		t.Logf("no file capabilities here: %s", out)
		return
	}
	said, err = look()
	require.NoError(t, err, said)
	assert.Contains(t, said, "✓ privileges: this user may own an interface")
	assert.Contains(t, said, "✓ self-test: a known-good device can be plugged in", "with these capabilities alone")
}
