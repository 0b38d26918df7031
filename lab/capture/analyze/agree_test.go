package analyze

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shark is what tshark finds in a capture.
type shark struct {
	packets  int
	tcp, udp map[string]bool
	names    map[string]bool
	mqtt     map[string]Count
	ja3      map[string]bool
	coap     int
	sni      map[string]bool
}

func tsharkReads(t *testing.T, path string) shark {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark: apt-get install tshark")
	}
	out, err := exec.CommandContext(t.Context(), program, "-n", "-r", path, "-T", "fields", "-E", "separator=|",
		"-e", "tcp.stream", "-e", "udp.stream", "-e", "dns.qry.name", "-e", "mqtt.msgtype", "-e", "tls.handshake.ja3", "-e", "coap.code", "-e", "tls.handshake.extensions_server_name").Output()
	require.NoError(t, err)
	s := shark{tcp: map[string]bool{}, udp: map[string]bool{}, names: map[string]bool{}, mqtt: map[string]Count{}, ja3: map[string]bool{}, sni: map[string]bool{}}
	for _, row := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		f := strings.Split(row, "|")
		require.Len(t, f, 7, row)
		s.packets++
		for i, set := range map[int]map[string]bool{0: s.tcp, 1: s.udp, 2: s.names, 4: s.ja3, 6: s.sni} {
			for _, value := range strings.Split(f[i], ",") {
				if value != "" {
					set[value] = true
				}
			}
		}
		for _, kind := range strings.Split(f[3], ",") {
			if kind != "" {
				s.mqtt[kind]++
			}
		}
		if f[5] != "" {
			s.coap += len(strings.Split(f[5], ","))
		}
	}
	return s
}

func TestAgreesWithTshark(t *testing.T) {
	path, packets := generate(t, 30_000)
	a, err := File(t.Context(), path, Options{})
	require.NoError(t, err)
	s := tsharkReads(t, path)
	assert.EqualValues(t, packets, a.Capture.Packets)
	assert.EqualValues(t, s.packets, a.Capture.Packets)
	assert.EqualValues(t, len(s.tcp), a.Totals["tcp flows"])
	assert.EqualValues(t, len(s.udp), a.Totals["udp flows"])
	var names []string
	for _, n := range a.DNS {
		names = append(names, n.Name)
		assert.Positive(t, n.Queries)
		assert.Len(t, n.Answers, min(len(n.Answers), 32))
	}
	assert.Len(t, names, len(s.names))
	for name := range s.names {
		assert.Contains(t, names, name)
	}
	for number, name := range map[int]string{1: "connect", 2: "connack", 3: "publish", 4: "puback", 8: "subscribe", 9: "suback", 12: "ping request", 13: "ping response", 14: "disconnect"} {
		assert.Equal(t, s.mqtt[fmt.Sprint(number)], a.Totals["mqtt "+name], name)
		assert.Positive(t, a.Totals["mqtt "+name], name)
	}
	assert.EqualValues(t, s.coap, a.Totals["coap messages"])
	var fingerprints []string
	for _, session := range a.TLS {
		if session.Protocol == "TLS" && !slices.Contains(fingerprints, session.JA3) {
			fingerprints = append(fingerprints, session.JA3)
			assert.True(t, s.ja3[session.JA3], session.JA3)
		}
	}
	assert.NotEmpty(t, fingerprints)
	assert.Equal(t, map[string]bool{"cloud.example": true}, s.sni)
	assert.Empty(t, a.Notes)
	t.Logf("%d packets, %d + %d flows, %d names, MQTT %v", s.packets, len(s.tcp), len(s.udp), len(s.names), s.mqtt)
}
