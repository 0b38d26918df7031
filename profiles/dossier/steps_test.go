package dossier_test

import (
	"os"
	"strings"
	"testing"

	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every transport reads, an editor takes it for right, and evidence has no key of it.
func TestSteps(t *testing.T) {
	d, err := parse(t, "steps.yaml")
	require.NoError(t, err)
	text, err := os.ReadFile("testdata/steps.yaml")
	require.NoError(t, err)
	require.NoError(t, validate(t, compiled(t), text))
	wrong := strings.Replace(string(text), "version: 5", "version: 4", 1)
	require.Error(t, validate(t, compiled(t), []byte(wrong)))

	health := d.Operations["health"].Steps
	assert.Contains(t, health[0].HTTP.TLS.Key.Reveal(), "PRIVATE KEY")
	assert.Equal(t, "5", health[3].MQTT.Version)
	assert.Equal(t, 2, *health[3].MQTT.QoS)
	assert.InDelta(t, 35, telnet(d).Takes(), 0, "5 for the connection, 20 for the first line, 5 for each of the others")
	boot := d.Operations["stop-boot"].Steps[0]
	assert.Empty(t, *boot.Serial.Dialogue[1].Send)
	assert.InDelta(t, 70, boot.Takes(), 0)

	out := string(d.Redacted())
	for _, s := range []string{"PRIVATE KEY", "label-secret-1", strings.Fields(health[0].HTTP.TLS.Key.Reveal())[3][:32]} {
		assert.NotContains(t, out, s)
	}
	assert.Contains(t, out, `"key": "withheld"`)
	assert.Equal(t, 4, strings.Count(out, `: "withheld"`), "two certificates' keys, SSH's, the label's password")
	again, err := dossier.ParseRecorded("d.json", []byte(out))
	require.NoError(t, err)
	assert.Equal(t, d.Operations["stop-boot"], again.Operations["stop-boot"])
	assert.Contains(t, health[3].MQTT.TLS.Key.Reveal(), "PRIVATE KEY", "the dossier itself is left alone")
}

func telnet(d *dossier.Dossier) *dossier.Step { return &d.Operations["login-telnet"].Steps[0] }
