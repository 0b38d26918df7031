package discover

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/capture/analyze"
	"assay/probes"
	"assay/profiles/dossier"
)

const (
	mac  = "02:00:5e:00:53:01"
	host = "192.0.2.100"
)

// traffic is what an analysis tells of a device and its network.
func traffic(change func(*analyze.Analysis)) *analyze.Analysis {
	a := &analyze.Analysis{
		Endpoints: []analyze.Endpoint{{Address: host, MACs: []string{mac}}, {Address: "192.0.2.1", MACs: []string{"02:00:5e:00:53:ff"}}},
		DHCP:      []analyze.DHCPClient{{MAC: mac, HostName: "gate", VendorClass: "udhcp 1.36", Address: host, Server: "192.0.2.1", Router: "192.0.2.1", Resolvers: []string{"192.0.2.1"}, Frame: 1}},
	}
	change(a)
	return a
}

func flow(transport, client, server, protocol string, frame uint64) analyze.Flow {
	return analyze.Flow{Transport: transport, Client: client, Server: server, Protocol: protocol, Frame: frame}
}

func TestDraft(t *testing.T) {
	const cloud = "198.51.100.7"
	for _, tt := range []struct {
		name     string
		o        Observation
		listens  []dossier.Socket
		contacts []dossier.Endpoint
		says     []string
		never    []string
	}{
		{
			name: "nothing was seen", o: Observation{Host: host},
			says: []string{`host: "192.0.2.100" # guess: `, `# mac: "02:00:00:12:34:56"`}, never: []string{"mac: \"02:00:5e"},
		},
		{
			name: "a scan alone",
			o: Observation{Host: host, Inside: map[int]probes.Speech{4443: probes.SpeaksHTTP}, Scan: &probes.Scan{
				TCP: []probes.Port{{Number: 22, State: probes.PortOpen, Speaks: probes.SpeaksSSH}, {Number: 4443, State: probes.PortOpen, Speaks: probes.SpeaksTLS}},
				UDP: []probes.Port{{Number: 53, State: probes.PortClosed}, {Number: 123, State: probes.PortSilent}, {Number: 5684, State: probes.PortOpen, Speaks: probes.SpeaksDTLS}},
			}},
			listens: []dossier.Socket{{Protocol: "tcp", Port: 22, Application: "ssh"}, {Protocol: "tcp", Port: 4443, Application: "https"}, {Protocol: "udp", Port: 5684, Application: "coaps"}},
			says:    []string{"http_login: {present: true} # guess: https answers at tcp port 4443, found open by the scan", "coap_login: {present: true} # guess:", "interface: [LogIntf-2] # guess:", "ssh_login: {present: true} # guess: ssh answers at tcp port 22"},
			never:   []string{"mqtt_login: {present: true} # guess", "telnet_login: {present: true} # guess"},
		},
		{
			name: "services and handshakes of a capture",
			o: Observation{MAC: mac, Traffic: traffic(func(a *analyze.Analysis) {
				a.Services = []analyze.Service{{Server: host + ":8883", Transport: "tcp", Protocol: "TLS", Frame: 12}, {Server: "192.0.2.1:80", Transport: "tcp", Protocol: "HTTP", Frame: 3}, {Server: host + ":68", Transport: "udp", Protocol: "DHCP", Frame: 2}}
				a.TLS = []analyze.TLSSession{
					{Protocol: "TLS", Client: "192.0.2.1:4000", Server: host + ":8883", Frame: 12, Version: "TLS 1.2", CipherSuite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
					{Protocol: "TLS", Client: "192.0.2.1:4001", Server: host + ":8883", Frame: 15, Version: "TLS 1.3", CipherSuite: "0x1399"},
					{Protocol: "TLS", Client: "192.0.2.1:4002", Server: host + ":8883", Frame: 16, Offered: []string{"TLS 1.0"}},
				}
			})},
			listens: []dossier.Socket{{Protocol: "tcp", Port: 8883, Application: "mqtts"}},
			says: []string{
				`mac: "02:00:5e:00:53:01" # guess: seen in frame 1`, `host name "gate", vendor class "udhcp 1.36", seen in frame 1`,
				"versions: [TLS 1.2, TLS 1.3] # guess: agreed upon, seen in frames 12-15, there may be more;",
				"suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256] # guess:", "role: server # guess: seen in frame 12;",
			},
		},
		{
			name: "hosts it calls",
			o: Observation{MAC: mac, Traffic: traffic(func(a *analyze.Analysis) {
				a.Names = []analyze.Name{{Name: "old.example", Address: cloud, Source: "DNS", Frame: 5}, {Name: "Updates.example.", Address: cloud, Source: "DNS", Frame: 20}, {Name: "ntp.example", Address: "192.0.2.1", Source: "DNS", Frame: 3}}
				a.DNS = []analyze.DNSName{{Name: "quiet.example", Protocol: "DNS", Clients: []string{host}}, {Name: "old.example", Protocol: "DNS", Clients: []string{host}}, {Name: "others.example", Protocol: "DNS", Clients: []string{"192.0.2.9"}}}
				a.Flows = []analyze.Flow{
					flow("udp", host+":5001", "192.0.2.1:53", "DNS", 2), flow("udp", host+":5002", "192.0.2.1:123", "NTP", 4),
					flow("tcp", host+":5003", cloud+":8883", "TLS", 8), flow("tcp", host+":5004", cloud+":443", "TLS", 22),
					flow("udp", host+":5005", "203.0.113.9:123", "NTP", 30), flow("udp", host+":5353", "224.0.0.251:5353", "mDNS", 31),
					flow("tcp", host+":5006", cloud+":1884", "TCP", 40), flow("tcp", "192.0.2.1:9", host+":80", "TCP", 41),
				}
				a.TLS = []analyze.TLSSession{{Protocol: "TLS", Client: host + ":5003", Server: cloud + ":8883", Frame: 9, ServerName: "cloud.example", Offered: []string{"TLS 1.3", "TLS 1.2", "0x7f1c"}}}
				a.ClearText = []analyze.ClearText{{Protocol: "NTP", Client: host, Server: "203.0.113.9:123", Frame: 30}}
			})},
			contacts: []dossier.Endpoint{
				{Host: "203.0.113.9", Protocol: "udp", Port: 123, Application: "ntp"}, {Host: "cloud.example", Protocol: "tcp", Port: 8883, Application: "mqtts"},
				{Host: "ntp.example", Protocol: "udp", Port: 123, Application: "ntp"},
				{Host: "updates.example", Protocol: "tcp", Port: 443, Application: "https"}, {Host: "updates.example", Protocol: "tcp", Port: 1884},
			},
			says: []string{
				"versions: [TLS 1.2, TLS 1.3] # guess: only offered, seen in frame 9", "cloud_mqtts: {present: true} # guess:", "update_https: {present: true} # guess:",
				"via: [https] # guess:", "# Names asked for that no call to was seen: quiet.example", "# Names asked for that no call to was seen: old.example", "# In clear: NTP",
			},
			never: []string{"others.example", "0x7f1c"},
		},
		{
			name: "a device that names its hosts to break out",
			o: Observation{MAC: mac, Notes: []string{"a\nfeatures: {}"}, Traffic: traffic(func(a *analyze.Analysis) {
				a.DHCP[0].HostName = "x\"}\nfeatures: {http_login: {present: false, because: no}}\u0085y"
				a.Flows = []analyze.Flow{flow("tcp", host+":5003", cloud+":443", "TLS", 8)}
				a.TLS = []analyze.TLSSession{{Protocol: "TLS", Client: host + ":5003", Server: cloud + ":443", Frame: 9, ServerName: "a\", application: b}]\n# @IXIT@"}}
			})},
			never: []string{"\nfeatures: {"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Made = Made{At: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Tool: "assay test", Capture: "c.pcapng", Digest: strings.Repeat("ab", 32)}
			b, err := Draft(tt.o)
			require.NoError(t, err)
			d, err := dossier.Parse("d.yaml", b, t.TempDir())
			require.NoError(t, err)
			var listens []dossier.Socket
			var contacts []dossier.Endpoint
			for _, row := range d.IXIT.LogIntf {
				listens, contacts = append(listens, row.Listens...), append(contacts, row.Contacts...)
				assert.Equal(t, dossier.Placeholder, row.Description)
			}
			assert.Equal(t, tt.listens, listens)
			assert.Equal(t, tt.contacts, contacts)
			assert.Empty(t, d.Listens(), "a guess declares nothing")
			assert.Empty(t, d.Contacts())
			assert.NotEmpty(t, d.Notes())
			for name, f := range d.Features {
				assert.True(t, f.Present, name)
			}
			assert.Contains(t, string(b), "on 2026-11-25T12:00:00Z")
			for _, want := range tt.says {
				assert.True(t, strings.Contains(string(b), want), want)
			}
			for _, bad := range tt.never {
				assert.False(t, strings.Contains(string(b), bad), bad)
			}
			guessesAreMarked(t, b)
		})
	}
}

// guessesAreMarked compares with the empty template: every line that it has not is a guess, or tells how the draft was made.
func guessesAreMarked(t *testing.T, draft []byte) {
	t.Helper()
	empty, err := dossier.Template()
	require.NoError(t, err)
	known := map[string]bool{}
	for line := range bytes.Lines(empty) {
		known[string(line)] = true
	}
	for line := range bytes.Lines(draft) {
		text := string(line)
		if !known[text] && !strings.HasPrefix(text, "# ") && !strings.HasPrefix(text, "    - id: ") {
			assert.Contains(t, text, "# guess: ")
		}
	}
}

// TestMany is a device that calls everybody: the draft stays readable.
func TestMany(t *testing.T) {
	o := Observation{MAC: mac, Traffic: traffic(func(a *analyze.Analysis) {
		for i := range 5000 {
			a.Flows = append(a.Flows, flow("tcp", host+":5003", "198.51.100.7:"+strconv.Itoa(i+1), "TCP", uint64(i)))
		}
	})}
	b, err := Draft(o)
	require.NoError(t, err)
	d, err := dossier.Parse("d.yaml", b, "")
	require.NoError(t, err)
	assert.Len(t, d.IXIT.LogIntf, maxContacts)
}
