package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/profiles/dossier"
)

// insideGatewayDiscovers drafts a dossier of a device that the bench knows nothing about, and compares it with
// what the device's maker declares.
func insideGatewayDiscovers(t *testing.T) {
	loopbackUp(t)
	w := wire(t)
	bench := written(t, w.dir, "discover.yaml", "assay: bench/v1\nmode: gateway\ninterface: eth1\n")
	out := filepath.Join(t.TempDir(), "draft.yaml")
	r := assay(t, exitDone, "init", "--discover", "--bench", bench, "--seconds", "8", "--out", out)
	assert.Contains(t, r.told(), "assay plan "+out)
	asFound(t)
	want, err := dossier.Read(w.product.Dossier)
	require.NoError(t, err)
	got, err := dossier.Read(out)
	require.NoError(t, err)
	assert.Equal(t, w.product.Units[0].MAC, got.Units[0].MAC)
	assert.Equal(t, offered(want), offered(got))
	assert.Contains(t, contacted(got), dossier.Endpoint{Host: "cloud.thermostat.example", Protocol: "tcp", Port: 8883, Application: "mqtts"})
	assert.Subset(t, contacted(want), contacted(got))
	assert.Empty(t, got.Listens(), "what was only seen is not declared")
	assert.Empty(t, got.Contacts())
	assert.Contains(t, slurp(out), "found open by the scan")
	assert.NotContains(t, slurp(out), "# Limits: the scan")
	assert.Regexp(t, `versions: \[TLS 1.2, TLS 1.3\] # guess: only offered`, slurp(out), "of its cloud, which never answered")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".assay-discover-*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	// The capture that stays beside it says the same by itself.
	again := filepath.Join(t.TempDir(), "again.yaml")
	capture := strings.TrimSuffix(out, ".yaml") + ".pcapng"
	assay(t, exitDone, "init", "--discover", "--capture", capture, "--out", again)
	from, err := dossier.Read(again)
	require.NoError(t, err)
	assert.Equal(t, contacted(got), contacted(from))
	assert.Equal(t, offered(want), offered(from))

	// Ctrl-C ends the watching early, and what was seen is written.
	early := filepath.Join(t.TempDir(), "early.yaml")
	r = launch(t, nil, "init", "--discover", "--bench", bench, "--device", w.product.Units[0].MAC, "--seconds", "600", "--out", early)
	r.tells("watching " + w.product.Units[0].MAC)
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, exitDone, r.code(), r.told())
	_, err = dossier.Read(early)
	require.NoError(t, err)
	assert.Contains(t, slurp(early), "the watching was ended early")
	assert.Contains(t, assay(t, exitUnusable, "init", "--discover", "--bench", bench, "--out", early).told(), "exists")
}

// insideAttachedDiscovers drafts a dossier of a stranger's broker, which has its address already.
func insideAttachedDiscovers(t *testing.T) {
	loopbackUp(t)
	c := mosquitto(t, 1, nil, "")
	bench := written(t, t.TempDir(), "bench.yaml", "assay: bench/v1\nmode: attached\ninterface: "+c.near+"\n")
	out := filepath.Join(t.TempDir(), "draft.yaml")
	assay(t, exitDone, "init", "--discover", "--bench", bench, "--host", c.host, "--seconds", "1", "--out", out)
	got, err := dossier.Read(out)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf(strangerMAC, 1), got.Units[0].MAC)
	assert.Equal(t, c.host, got.Units[0].Host)
	assert.Equal(t, []dossier.Socket{{Protocol: "tcp", Port: 1883, Application: "mqtt"}}, offered(got))
	assert.Empty(t, contacted(got))
	assert.Contains(t, slurp(out), "mqtt_login: {present: true} # guess: mqtt answers at tcp port 1883, found open by the scan")
}

// offered lists what table 28 says the device answers at.
func offered(d *dossier.Dossier) []dossier.Socket {
	var out []dossier.Socket
	for _, row := range d.IXIT.LogIntf {
		out = append(out, row.Listens...)
	}
	return out
}

func contacted(d *dossier.Dossier) []dossier.Endpoint {
	var out []dossier.Endpoint
	for _, row := range d.IXIT.LogIntf {
		out = append(out, row.Contacts...)
	}
	return out
}
