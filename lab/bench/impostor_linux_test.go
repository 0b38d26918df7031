package bench

import (
	"encoding/json"
	"os"
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
	require.NoError(t, b.Close())
	kept, err := os.ReadFile(filepath.Join(made.Dir, keysName))
	require.NoError(t, err)
	assert.Equal(t, string(b.KeyLog()), string(kept))
	assert.Regexp(t, `(?m)^(CLIENT_RANDOM|CLIENT_TRAFFIC_SECRET_0) [0-9a-f]{64} [0-9a-f]+$`, string(kept))
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
