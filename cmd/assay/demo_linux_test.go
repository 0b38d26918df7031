package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/capture/analyze"
	"assay/lab/evidence"
)

// TestDemoWithoutPrivilege runs the demo as somebody who may do nothing, and reads its capture with another tool.
func TestDemoWithoutPrivilege(t *testing.T) {
	needBench(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "runs")
	var change func(*exec.Cmd)
	if os.Geteuid() == 0 {
		program, home := asNobody(t)
		out = filepath.Join(home, "runs")
		change = func(c *exec.Cmd) {
			c.Path, c.Dir = program, home
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			c.Env = append(c.Env, "HOME="+home, "TMPDIR="+home)
		}
	}
	began := time.Now()
	r := launch(t, change, "demo", "--format", "json", "--out", out)
	require.Equal(t, exitDone, r.code())
	t.Logf("took %v", time.Since(began).Round(time.Second))
	nobodyLeft(t, out)
	v := r.report()
	assert.EqualValues(t, "conformant", v.Profiles[0].Conformity)
	assert.Zero(t, v.Dropped)
	dir := sealedRun(t, out)

	ev, err := evidence.Open(filepath.Join(dir, v.Run+".assay"))
	require.NoError(t, err)
	log, found := ev.Find("device-unit-1.log")
	require.True(t, found, "what the device said is evidence")
	assert.Positive(t, log.Size)

	t.Run("tshark", func(t *testing.T) {
		program := installed("tshark")
		if program == "" {
			t.Skip("needs tshark: apt-get install tshark")
		}
		// One pass over the whole capture; a display filter each would read it a dozen times.
		cmd := exec.CommandContext(t.Context(), program, "-n", "-r", filepath.Join(dir, "capture.pcapng"), "-T", "fields", "-E", "separator=|",
			"-e", "eth.src", "-e", "frame.protocols", "-e", "tcp.dstport", "-e", "udp.dstport", "-e", "udp.srcport", "-e", "ip.dst",
			"-e", "tcp.stream", "-e", "udp.stream", "-e", "dns.qry.name", "-e", "mqtt.msgtype")
		said, err := cmd.Output()
		require.NoError(t, err)
		seen, told := map[string]int{}, newTold()
		rows := strings.Split(strings.TrimSpace(string(said)), "\n")
		for _, row := range rows {
			f := strings.Split(row, "|")
			require.Len(t, f, 10, row)
			if !has(f[1], "icmp") && !has(f[1], "icmpv6") { // which quotes packets: they are not sent again
				if has(f[1], "tls") && f[9] != "" { // the capture has the keys at its head
					told.decrypted++
					f[9] = ""
				}
				told.add(f[6:])
			}
			if to := net.ParseIP(f[5]); to != nil && !to.IsMulticast() && !to.Equal(net.IPv4bcast) && !strings.HasPrefix(f[5], "192.0.2.") {
				t.Errorf("a frame wants to leave the segment: %s", row)
			}
			if f[0] != v.Unit.MAC {
				continue
			}
			for what, is := range map[string]bool{
				"DHCP": has(f[1], "dhcp"), "DNS": has(f[1], "dns"), "NTP": has(f[1], "ntp"), "MQTT over TLS": has(f[1], "tls") && f[2] == "8883",
				"DTLS": has(f[1], "dtls") && f[4] == "5684", "CoAP": has(f[1], "coap") && f[3] == "5683",
			} {
				if is {
					seen[what]++
				}
			}
		}
		t.Logf("from %s: %v", v.Unit.MAC, seen)
		for _, what := range []string{"DHCP", "DNS", "NTP", "MQTT over TLS", "DTLS", "CoAP"} {
			assert.Positive(t, seen[what], what)
		}
		assert.EqualValues(t, v.Frames, len(rows), "the report counts what is there")
		a, err := analyze.File(t.Context(), filepath.Join(dir, "capture.pcapng"), analyze.Options{})
		require.NoError(t, err)
		assert.EqualValues(t, len(rows), a.Capture.Packets)
		told.agrees(t, a)
		assert.Positive(t, told.decrypted, "tshark reads the device's MQTT with no option")
	})
}

// told is what tshark tells of flows, names and MQTT messages.
type told struct {
	sets      [3]map[string]bool // TCP streams, UDP streams, names
	mqtt      int                // messages in clear
	decrypted int                // frames with messages that tshark read with the capture's own keys
}

func newTold() *told {
	return &told{sets: [3]map[string]bool{{}, {}, {}}}
}

func (s *told) add(fields []string) {
	for i, set := range s.sets {
		for _, value := range strings.Split(fields[i], ",") {
			if value != "" {
				set[value] = true
			}
		}
	}
	if fields[3] != "" {
		s.mqtt += len(strings.Split(fields[3], ","))
	}
}

// agrees holds our own analysis against it.
func (s *told) agrees(t *testing.T, a *analyze.Analysis) {
	t.Helper()
	assert.EqualValues(t, len(s.sets[0]), a.Totals["tcp flows"])
	assert.EqualValues(t, len(s.sets[1]), a.Totals["udp flows"])
	names := map[string]bool{}
	for _, n := range a.DNS {
		if n.Code != "announced" {
			names[n.Name] = true
		}
	}
	assert.Equal(t, s.sets[2], names)
	mqtt := 0
	for name, n := range a.Totals {
		if strings.HasPrefix(name, "mqtt ") && name != "mqtt sessions" {
			mqtt += int(n)
		}
	}
	assert.Equal(t, s.mqtt, mqtt, "MQTT messages")
	t.Logf("agreed on %d TCP and %d UDP flows, %d names, %d MQTT messages", len(s.sets[0]), len(s.sets[1]), len(names), mqtt)
}

// has tells whether a frame's protocols, as tshark lists them, have one.
func has(protocols, one string) bool { return slices.Contains(strings.Split(protocols, ":"), one) }
