package traffic

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/capture/analyze"
)

func sample(lanes int) *analyze.Analysis {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	a := &analyze.Analysis{
		File: "x<y>.pcapng", Capture: analyze.Capture{Format: "pcapng", Packets: 1234567, Bytes: 50 << 20, First: at, Last: at.Add(time.Minute), Seconds: 60},
		Notes: []string{"something was left out"}, Totals: map[string]analyze.Count{"tcp flows": 1},
	}
	for i := range lanes {
		f := analyze.Flow{Transport: "tcp", Client: "192.0.2.100:40000", Server: fmt.Sprintf("192.0.2.1:%d", 1000+i), Protocol: "TLS", Encrypted: true, State: "closed",
			ClientPackets: uint64(i + 1), First: at.Add(time.Duration(i) * time.Second / 10), Last: at.Add(30 * time.Second)}
		if i%2 == 1 {
			f.Protocol, f.Encrypted = "MQTT", false
		}
		a.Flows = append(a.Flows, f)
	}
	a.Flows = append(a.Flows, analyze.Flow{Client: "192.0.2.100:1", Server: "192.0.2.1:1", State: "refused", First: at})
	a.Credentials = []analyze.Credential{{Protocol: "FTP", User: "</td><script>", Secret: "x* (2 characters)"}}
	a.TLS = []analyze.TLSSession{{Client: "192.0.2.100:1", Server: "192.0.2.1:2"}, {Client: "192.0.2.100:3", Server: "192.0.2.1:2"}}
	return a
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Text(&b, sample(40)))
	text := b.String()
	assert.Contains(t, text, "x<y>.pcapng: pcapng, 1,234,567 packets, 50 MB, 60.000 s from 2026-11-25 12:00:00 UTC")
	assert.Contains(t, text, "note: something was left out")
	assert.Contains(t, text, "... and 26 more; --format json has them")
	assert.Less(t, strings.Index(text, "Credentials"), strings.Index(text, "TLS and DTLS"), "the most important first")
	assert.NotContains(t, text, "HTTP", "empty sections are left out")
	assert.Contains(t, text, "TLS and DTLS (1)", "like sessions are one row")
}

func TestPage(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, HTML(&b, sample(100)))
	page := b.String()
	assert.Contains(t, page, "The 60 busiest of 100 conversations.")
	assert.Equal(t, 60, strings.Count(page, "<g><title>"))
	assert.Equal(t, 30, strings.Count(page, "url(#clear)"), "what is in clear is striped")
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "x<y>")
	require.NoError(t, HTML(&b, &analyze.Analysis{}), "a capture of nothing")
}

func TestLanesAreJoinedWhereNobodyCouldTell(t *testing.T) {
	at := time.Unix(1000, 0)
	l := lane{spans: []stretch{{at.Add(5 * time.Second), at.Add(6 * time.Second)}, {at, at.Add(time.Second)}, {at.Add(1500 * time.Millisecond), at.Add(1600 * time.Millisecond)}}}
	l.merge(time.Second)
	assert.Equal(t, []stretch{{at, at.Add(1600 * time.Millisecond)}, {at.Add(5 * time.Second), at.Add(6 * time.Second)}}, l.spans)
}
