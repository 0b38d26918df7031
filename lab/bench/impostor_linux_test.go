package bench

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/refdevice"
	"assay/probes"
	"assay/probes/tls/client"
	"assay/probes/tls/impostor"
)

const impostorTest = "impostor-"

// impostorFlaws are the devices that are confronted with every impostor, the clean one first.
func impostorFlaws() []refdevice.FlawName {
	return []refdevice.FlawName{
		"", refdevice.SkipsTLSVerification, refdevice.IgnoresHostName, refdevice.IgnoresExpiry, refdevice.IgnoresPurpose,
		refdevice.AcceptsWeakKeys, refdevice.AcceptsOldTLS,
	}
}

// insideImpostor confronts one device with every impostor, over each of its two ways to its cloud: it must be caught by exactly
// the checks that the flaw names.
func insideImpostor(t *testing.T, flaw refdevice.FlawName) {
	noLeaks(t)
	var o refdevice.ManufactureOptions
	want := []string{}
	if flaw != "" {
		o.Flaws = []string{string(flaw)}
		for _, f := range refdevice.Flaws() {
			if f.Name == flaw {
				want = f.Checks
			}
		}
		require.NotEmpty(t, want)
	}
	_, made := product(t, o)
	b, err := Reference(t.Context(), made)
	require.NoError(t, err)
	defer b.Close()
	caught := []string{}
	for _, via := range []string{probes.ViaMQTTS, probes.ViaHTTPS} {
		offered := ask[client.Facts](t, b, client.Kind(), map[string]any{"via": via})
		require.True(t, offered.Called, via)
		assert.True(t, offered.LowestKnown, via)
		assert.Empty(t, offered.WeakCiphers, via)
		assert.True(t, offered.NamesHost && strings.HasSuffix(offered.SNI, ".thermostat.example"), "%+v", offered)
		if offered.OffersOld {
			caught = append(caught, "tls/offer-versions-"+via)
		}
		for _, s := range probes.Scenarios {
			if s == probes.Genuine || s == probes.PassThrough {
				continue
			}
			f := ask[impostor.Facts](t, b, impostor.Kind(), map[string]any{"via": via, "scenario": string(s), "tries": 1})
			assert.True(t, f.Called && f.GenuineBefore && f.GenuineAfter && !f.Resumed, "controls of %s: %+v", s, f)
			assert.Equal(t, f.HandshakeFinished, f.DataReceived, "%s: %+v", s, f)
			if f.DataReceived {
				assert.Equal(t, map[string]string{probes.ViaMQTTS: "mqtt", probes.ViaHTTPS: "http"}[via], f.DataProtocol, string(s))
				caught = append(caught, "tls/"+string(s)+"-"+via)
			} else if s != probes.OldVersion { // there the bench refuses, not the device
				assert.NotEmpty(t, f.Alert, string(s))
			}
		}
	}
	slices.Sort(caught)
	slices.Sort(want)
	assert.Equal(t, want, caught)
	assert.True(t, b.Healthy(t.Context()))
	lines := strings.Split(strings.TrimSpace(string(b.KeyLog())), "\n")
	assert.Greater(t, len(lines), 50)
	_ = b.Close() // a capture whose cable goes first complains, and has everything all the same
	kept, err := os.ReadFile(filepath.Join(made.Dir, keysName))
	require.NoError(t, err)
	assert.Equal(t, string(b.KeyLog()), string(kept))
	if flaw == "" {
		decrypts(t, b.CaptureFile, filepath.Join(made.Dir, keysName))
	}
	assert.Regexp(t, `(?m)^(CLIENT_RANDOM|CLIENT_TRAFFIC_SECRET_0) [0-9a-f]{64} [0-9a-f]+$`, string(kept))
}

// decrypts has tshark read the device's words to its genuine cloud out of the capture.
func decrypts(t *testing.T, capture, keys string) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Log("without tshark nobody else reads the capture")
		return
	}
	cmd := exec.CommandContext(t.Context(), tshark, "-n", "-r", capture, "-o", "tls.keylog_file:"+keys,
		"-d", "tcp.port==8883,tls", "-Y", "mqtt.msgtype == 1 || http.request", "-T", "fields", "-e", "_ws.col.Protocol")
	said, err := cmd.Output()
	require.NoError(t, err)
	// There were twenty of each, and more; where a connection was cut short the other side may not have what it takes.
	assert.GreaterOrEqual(t, strings.Count(string(said), "MQTT"), 15, "a CONNECT for each time that the cloud was genuine: %s", said)
	assert.GreaterOrEqual(t, strings.Count(string(said), "HTTP"), 15, "and a request")
}

// ask puts a probe's question on a real bench.
func ask[F any](t *testing.T, b *Bench, k probes.Kind, with map[string]any) F {
	t.Helper()
	text, err := json.Marshal(with)
	require.NoError(t, err)
	p := k.New()
	require.NoError(t, json.Unmarshal(text, p))
	facts, err := p.Ask(t.Context(), b.Probes)
	require.NoError(t, err, "%s %s", k.Name, text)
	return facts.(F)
}
