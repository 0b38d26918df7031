package main

import (
	"fmt"
	"html"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/reports/verdict"
)

// Attached mode against devices that nobody here wrote: Debian's mosquitto and libcoap's server,
// each in a network namespace of its own.

// A mechanism is what a dossier says about the one way to log in to a stranger.
type mechanism struct {
	name, username, password, other string
	recipe                          string // the operation login-<name>
	more                            string // further operations
	features                        string // further features
	lockout                         string // declared
}

// attach writes dossier, bench file and profile for a device and returns the arguments of `assay run`.
func attach(t *testing.T, c *cable, m mechanism, requirements string, benchMore ...string) (args []string, out string) {
	t.Helper()
	dir := t.TempDir()
	features := []string{"passwords: {present: true}", "preinstalled_passwords: {present: true}", "network_authentication: {present: true}",
		"remote_configuration: {present: true}", "brute_force_protection_possible: {present: true}", m.name + "_login: {present: true}"}
	for _, other := range []string{"http", "mqtt", "coap", "ssh", "telnet"} {
		if other != m.name {
			features = append(features, other+"_login: {present: false, because: it only speaks "+m.name+"}")
		}
	}
	number := 0
	_, err := fmt.Sscanf(c.near, "lab%d", &number)
	require.NoError(t, err)
	dossier := written(t, dir, "dossier.yaml", `assay: dossier/v1
product: {manufacturer: Strangers, model: `+m.name+`, firmware: "1"}
units:
  - {id: one, serial: S-0001, mac: "`+fmt.Sprintf(strangerMAC, number)+`", host: `+c.host+`, logins: {`+m.name+`: {username: "`+m.username+`", password: "`+m.password+`"}}}
  - {id: two, serial: S-0002, logins: {`+m.name+`: {username: "`+m.username+`", password: "`+m.other+`"}}}
features:
  `+strings.Join(features, "\n  ")+"\n"+m.features+`
ixit:
  1-AuthMech:
    - {id: AuthMech-1, description: the only login, interface: `+m.name+m.lockout+`}
operations:
  login-`+m.name+`:
    row: 1-AuthMech/AuthMech-1
`+m.recipe+m.more)
	file := written(t, dir, "bench.yaml", "assay: bench/v1\nmode: attached\ninterface: "+c.near+"\n"+strings.Join(benchMore, "\n"))
	profile := written(t, dir, "own.yaml", `assay: profile/v1
id: own
version: "1"
title: What is asked of a stranger
reviews: none
because: a program asks
standards: [{standard: etsi-en-303-645, requirements: [`+requirements+`]}]
`+noScan(requirements))
	out = filepath.Join(dir, "runs")
	return []string{"run", dossier, "--bench", file, "--profile", profile, "--out", out, "--format", "json"}, out
}

// noScan leaves the scan out: ten strangers at once on two processors are asked about their logins here,
// and a scan of all of their ports has a test of its own.
func noScan(requirements string) string {
	without := ""
	if strings.Contains(requirements, "5.1-1") || strings.Contains(requirements, "5.1-5") {
		without += "  - {check: exposure/undeclared-login, because: the scan has a test of its own}\n"
	}
	if strings.Contains(requirements, "5.5-5") {
		without += "  - {check: exposure/undeclared, because: the scan has a test of its own}\n"
	}
	if without != "" {
		without = "without:\n" + without
	}
	return without
}

const (
	unique   = "Vq7mK2xRt9Ls"
	anothers = "Zk3nPw8sYh5D"
)

func mqttLogin(c *cable, username, password string) mechanism {
	return mechanism{name: "mqtt", username: username, password: password, other: anothers, recipe: `    steps:
      - mqtt: {url: "mqtt://{{host}}", username: "{{username}}", password: "{{password}}"}
        refused: reply.connack == 4 || reply.connack == 5
    anonymous:
      - mqtt: {url: "mqtt://{{host}}"}
        refused: reply.connack == 4 || reply.connack == 5
`}
}

const coapOpenToo = `    anonymous:
      - coap: {url: "coap://{{host}}/time"}
        seconds: 1
`

func coapLogin(key, anonymous string) mechanism {
	// libcoap drops what it cannot decrypt, so that every wrong key costs the whole time.
	return mechanism{name: "coap", username: "S-0001", password: key, other: anothers, recipe: `    steps:
      - coap: {url: "coaps://{{host}}/time", identity: "{{username}}", key: "{{password}}"}
        seconds: 0.25
` + anonymous}
}

// mosquitto plugs a broker in. Its configuration may name the folder it is written to.
func mosquitto(t *testing.T, number int, passwords map[string]string, config string) *cable {
	t.Helper()
	dir := t.TempDir()
	if passwords != nil {
		config += "allow_anonymous false\npassword_file " + filepath.Join(dir, "passwords") + "\n"
		args := []string{"-c", "-b", filepath.Join(dir, "passwords")}
		for name, password := range passwords {
			said, err := exec.CommandContext(t.Context(), installed("mosquitto_passwd"), append(args, name, password)...).CombinedOutput()
			require.NoError(t, err, string(said))
			args = []string{"-b", filepath.Join(dir, "passwords")}
		}
	} else {
		config += "allow_anonymous true\n"
	}
	// Started by root it would become another user, who cannot read the test's folder.
	file := written(t, dir, "mosquitto.conf", "listener 1883\nuser root\n"+strings.ReplaceAll(config, "DIR", dir))
	return plug(t, number, nil, 1883, "mosquitto", "-c", file)
}

// libcoap plugs a CoAP server in that speaks DTLS too, or not.
func libcoap(t *testing.T, number int, program ...string) *cable {
	t.Helper()
	if program[0] == "coap-server-notls" {
		return plug(t, number, nil, 5683, program...)
	}
	return plug(t, number, nil, 5684, program...)
}

type wanted map[string]verdict.Verdict

// insideAttached runs a profile against each stranger.
func insideAttached(t *testing.T) {
	owner := map[string]string{"owner": unique}
	for name, c := range map[string]struct {
		number       int
		device       func(t *testing.T, number int) (*cable, mechanism)
		requirements string
		code         int
		conformity   verdict.Conformity
		want         wanted
		speaks       string // what tshark finds between them
	}{
		"mosquitto with a password file": {1, func(t *testing.T, n int) (*cable, mechanism) {
			c := mosquitto(t, n, owner, "")
			return c, mqttLogin(c, "owner", unique)
		}, "5.1-1, 5.5-5", exitDone, verdict.Conformant,
			wanted{"5.1-1": verdict.Pass, "5.5-5": verdict.Pass, "credentials/mqtt-default": verdict.Pass, "credentials/mqtt-open": verdict.Pass},
			`mqtt.msgtype == 1 && mqtt.username == "owner" && eth.src == LAB`},
		"mosquitto has no lock-out": {2, func(t *testing.T, n int) (*cable, mechanism) {
			c := mosquitto(t, n, owner, "")
			return c, mqttLogin(c, "owner", unique)
		}, "5.1-1, 5.1-2, 5.1-5, 5.5-5", exitNonConformant, verdict.NonConformant,
			wanted{"5.1-1": verdict.Pass, "5.1-2": verdict.Pass, "5.1-5": verdict.Fail, "5.5-5": verdict.Pass},
			`mqtt.conack.val == 5 && eth.src == DEVICE`},
		"mosquitto without a password file": {3, func(t *testing.T, n int) (*cable, mechanism) {
			c := mosquitto(t, n, nil, "")
			return c, mqttLogin(c, "owner", unique)
		}, "5.1-1, 5.5-5", exitNonConformant, verdict.NonConformant,
			wanted{"5.1-1": verdict.Inconclusive, "5.5-5": verdict.Fail},
			`mqtt.conack.val == 0 && eth.src == DEVICE`},
		"mosquitto with a default login": {4, func(t *testing.T, n int) (*cable, mechanism) {
			c := mosquitto(t, n, map[string]string{"owner": unique, "admin": "admin"}, "")
			return c, mqttLogin(c, "owner", unique)
		}, "5.1-1, 5.5-5", exitNonConformant, verdict.NonConformant,
			wanted{"5.1-1": verdict.Fail, "5.5-5": verdict.Pass}, `mqtt.username == "admin"`},
		"mosquitto with a default login on its label": {5, func(t *testing.T, n int) (*cable, mechanism) {
			c := mosquitto(t, n, map[string]string{"admin": "admin"}, "")
			return c, mqttLogin(c, "admin", "admin")
		}, "5.1-1", exitNonConformant, verdict.NonConformant, wanted{"5.1-1": verdict.Fail}, `mqtt`},
		"libcoap with a key": {6, func(t *testing.T, n int) (*cable, mechanism) {
			// libcoap itself cannot be told to leave the plain port alone.
			c := plug(t, n, []string{shutPort + "=5683"}, 5684, "coap-server-openssl", "-k", unique, "-v", "3")
			return c, coapLogin(unique, coapOpenToo)
		}, "5.1-1, 5.5-5", exitDone, verdict.Conformant,
			wanted{"5.1-1": verdict.Pass, "5.5-5": verdict.Pass}, `dtls && eth.src == DEVICE`},
		"libcoap, and nobody says how to try it without a key": {10, func(t *testing.T, n int) (*cable, mechanism) {
			return libcoap(t, n, "coap-server-openssl", "-k", unique, "-v", "3"), coapLogin(unique, "")
		}, "5.1-1, 5.5-5", exitIncomplete, verdict.Incomplete,
			wanted{"5.1-1": verdict.Pass, "5.5-5": verdict.Inconclusive}, `dtls && eth.src == DEVICE`},
		"libcoap answers without a key too": {7, func(t *testing.T, n int) (*cable, mechanism) {
			return libcoap(t, n, "coap-server-openssl", "-k", unique, "-v", "3"), coapLogin(unique, coapOpenToo)
		}, "5.1-1, 5.5-5", exitNonConformant, verdict.NonConformant,
			wanted{"5.1-1": verdict.Inconclusive, "5.5-5": verdict.Fail}, `coap.code == 69 && eth.src == DEVICE`},
		"libcoap with a default key": {8, func(t *testing.T, n int) (*cable, mechanism) {
			c := plug(t, n, []string{shutPort + "=5683"}, 5684, "coap-server-openssl", "-k", "admin", "-v", "3")
			return c, coapLogin("admin", coapOpenToo)
		}, "5.1-1", exitNonConformant, verdict.NonConformant, wanted{"5.1-1": verdict.Fail}, `dtls && eth.src == DEVICE`},
		"libcoap without any security": {9, func(t *testing.T, n int) (*cable, mechanism) {
			m := coapLogin(unique, coapOpenToo)
			m.recipe = strings.Replace(m.recipe, `coap: {url: "coaps://{{host}}/time", identity: "{{username}}", key: "{{password}}"}`, `coap: {url: "coap://{{host}}/time"}`, 1)
			return libcoap(t, n, "coap-server-notls", "-v", "3"), m
		}, "5.5-5", exitNonConformant, verdict.NonConformant, wanted{"5.5-5": verdict.Fail}, `coap && eth.src == DEVICE`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device, m := c.device(t, c.number)
			args, out := attach(t, device, m, c.requirements)
			r := launch(t, nil, args...)
			require.Equal(t, c.code, r.code())
			v := r.report()
			assert.Equal(t, c.conformity, v.Profiles[0].Conformity)
			got := verdicts(v)
			for id, want := range c.want {
				assert.Equal(t, want, got[id], id)
			}
			dir := sealedRun(t, out)
			assert.Zero(t, v.Dropped)
			for _, o := range v.Observations {
				if o.NotAsked == "" {
					assert.NotNil(t, o.Frames, o.ID)
				}
			}
			sees(t, dir, device, c.speaks)
		})
	}
}

// sees lets tshark look for frames in a run's capture.
func sees(t *testing.T, dir string, device *cable, filter string) {
	t.Helper()
	program := installed("tshark")
	if program == "" {
		t.Log("no tshark here to read the capture with: apt-get install tshark")
		return
	}
	near, err := net.InterfaceByName(device.near)
	require.NoError(t, err)
	number := 0
	_, err = fmt.Sscanf(device.near, "lab%d", &number)
	require.NoError(t, err)
	filter = strings.NewReplacer("LAB", near.HardwareAddr.String(), "DEVICE", fmt.Sprintf(strangerMAC, number)).Replace(filter)
	assert.Positive(t, frames(t, program, filepath.Join(dir, "capture.pcapng"), filter), filter)
}

// frames counts what tshark finds.
func frames(t *testing.T, program, file, filter string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-n", "-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number")
	said, err := cmd.Output()
	require.NoError(t, err, filter)
	return len(strings.Fields(string(said)))
}

// A broker as a device with a memory: what its owner stores is a retained message.
const noteKeeper = `  health:
    steps:
      - mqtt: {url: "mqtt://{{host}}", username: "{{login.mqtt.username}}", password: "{{login.mqtt.password}}"}
  store-note:
    steps:
      - mqtt: {url: "mqtt://{{host}}", username: "{{login.mqtt.username}}", password: "{{login.mqtt.password}}", publish: home/note, payload: "{{value}}", retain: true}
  read-note:
    steps:
      - mqtt: {url: "mqtt://{{host}}", username: "{{login.mqtt.username}}", password: "{{login.mqtt.password}}", subscribe: home/note, listen: 0.3}
  factory-reset-command:
    steps:
      - mqtt: {url: "mqtt://{{host}}", username: "{{login.mqtt.username}}", password: "{{login.mqtt.password}}", publish: home/note, payload: "", retain: true}
`

// insideUnprivileged runs the same profile twice: once by somebody who may capture, once by somebody who may not.
func insideUnprivileged(t *testing.T) {
	program, home := asNobody(t)
	device := mosquitto(t, 1, map[string]string{"owner": unique}, "")
	m := mqttLogin(device, "owner", unique)
	m.more = noteKeeper
	m.features = "  reset_by_command: {present: true}\n  reset_by_button: {present: false, because: it has no button}\n"
	for name, c := range map[string]struct {
		change  func(*exec.Cmd)
		traffic verdict.Verdict
	}{
		"may capture": {nil, verdict.Pass},
		"may not": {func(cmd *exec.Cmd) {
			cmd.Path = program
			cmd.Dir = home
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}, verdict.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			args, out := attach(t, device, m, "5.1-1, 5.11-1")
			if c.change != nil {
				require.NoError(t, os.Rename(filepath.Dir(args[1]), filepath.Join(home, "lab")))
				for i, a := range args {
					args[i] = strings.Replace(a, filepath.Dir(out), filepath.Join(home, "lab"), 1)
				}
				out = filepath.Join(home, "runs")
				args[7] = out
			}
			r := launch(t, c.change, args...)
			require.Equal(t, exitIncomplete, r.code())
			v := r.report()
			got := verdicts(v)
			assert.Equal(t, verdict.Pass, got["5.1-1"])
			assert.Equal(t, c.traffic, got["wipe/traffic-command"])
			assert.Equal(t, verdict.Inconclusive, got["5.11-1"], "nothing reads its storage")
			dir := sealedRun(t, out)
			if c.change == nil {
				assert.NotContains(t, r.told(), "setcap")
				assert.FileExists(t, filepath.Join(dir, "capture.pcapng"))
				return
			}
			assert.Contains(t, r.told(), "without sniffer: this user may not capture packets")
			assert.Contains(t, r.told(), "sudo setcap cap_net_raw+ep "+program)
			page := html.UnescapeString(slurp(filepath.Join(dir, "report.html")))
			assert.True(t, strings.Contains(page, "sudo setcap cap_net_raw+ep "+program), "the report says it too")
			assert.NoFileExists(t, filepath.Join(dir, "capture.pcapng"))
		})
	}
}

// insideDeadInterface is about what lies between bench and device: absent, down, or lost during the run.
func insideDeadInterface(t *testing.T) {
	device := mosquitto(t, 1, map[string]string{"owner": unique}, "")
	m := mqttLogin(device, "owner", unique)
	link, err := netlink.LinkByName(device.near)
	require.NoError(t, err)
	nothingLeft := func(out string) {
		left, err := filepath.Glob(filepath.Join(out, "*", "journal.jsonl"))
		require.NoError(t, err)
		assert.Empty(t, left, "no empty record stays behind")
	}

	t.Run("absent", func(t *testing.T) {
		absent := *device
		absent.near = "lab99"
		args, out := attach(t, &absent, m, "5.1-1")
		r := assay(t, exitBench, args...)
		assert.Contains(t, r.told(), "assay: put up the bench: build the attached bench: interface lab99 does not exist")
		assert.Regexp(t, `assay: hint: bench.yaml names the interface; this machine has .*lab1`, r.told())
		nothingLeft(out)
	})
	t.Run("down", func(t *testing.T) {
		require.NoError(t, netlink.LinkSetDown(link))
		args, out := attach(t, device, m, "5.1-1")
		r := assay(t, exitBench, args...)
		require.NoError(t, netlink.LinkSetUp(link))
		assert.Contains(t, r.told(), "interface lab1 is down")
		assert.Contains(t, r.told(), "assay: hint: sudo ip link set lab1 up")
		nothingLeft(out)
	})
	t.Run("nobody there", func(t *testing.T) {
		elsewhere := *device
		elsewhere.host = "198.51.100.7"
		args, out := attach(t, &elsewhere, m, "5.1-1")
		began := time.Now()
		r := assay(t, exitBench, args...)
		assert.Less(t, time.Since(began), 40*time.Second)
		assert.Contains(t, r.told(), "the device at 198.51.100.7 answers none of login-mqtt")
		assert.Contains(t, r.told(), "assay: hint: is it switched on, at that address")
		nothingLeft(out)
	})
	t.Run("stopped while looking for it", func(t *testing.T) {
		elsewhere := *device
		elsewhere.host = "203.0.113.7" // behind the device, which forwards nothing
		require.NoError(t, netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IPv4(203, 0, 113, 0), Mask: net.CIDRMask(24, 32)}, Gw: net.ParseIP(device.host)}))
		args, out := attach(t, &elsewhere, m, "5.1-1")
		r := launch(t, nil, args...)
		require.Eventually(t, func() bool {
			found, _ := filepath.Glob(filepath.Join(out, "*", "capture.pcapng"))
			return len(found) > 0
		}, 20*time.Second, time.Millisecond)
		require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
		assert.Equal(t, exitIncomplete, r.code())
		assert.Contains(t, r.told(), "assay: stopped before the bench was up; nothing was observed")
		nothingLeft(out)
	})
	t.Run("lost during the run", func(t *testing.T) {
		args, out := attach(t, device, m, "5.1-1, 5.1-5, 5.5-5")
		r := launch(t, nil, args...)
		r.tells("saw credentials/bruteforce")
		require.NoError(t, netlink.LinkDel(link))
		require.Equal(t, exitNonConformant, r.code())
		got := verdicts(r.report())
		assert.Equal(t, verdict.Fail, got["5.1-5"], "that was seen before")
		assert.Equal(t, verdict.Inconclusive, got["5.1-1"])
		assert.Equal(t, verdict.Inconclusive, got["5.5-5"])
		assert.Contains(t, r.told(), "capture on lab1: the interface is gone")
		sealedRun(t, out)
	})
}
