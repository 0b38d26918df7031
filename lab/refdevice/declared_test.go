package refdevice

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"assay/profiles/dossier"
)

// An editor that has the schema finds nothing to say to the device's dossier, and finds a typing error.
func TestDossierFitsTheSchema(t *testing.T) {
	t.Parallel()
	b, err := dossier.Schema()
	require.NoError(t, err)
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(dossier.SchemaFile, parsed))
	schema, err := c.Compile(dossier.SchemaFile)
	require.NoError(t, err)

	p, err := Manufacture(t.TempDir(), ManufactureOptions{Now: time.Now()})
	require.NoError(t, err)
	text, err := os.ReadFile(p.Dossier)
	require.NoError(t, err)
	validate := func(text []byte) error {
		var v any
		require.NoError(t, yaml.Unmarshal(text, &v))
		b, err := json.Marshal(v)
		require.NoError(t, err)
		v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
		require.NoError(t, err)
		return schema.Validate(v)
	}
	require.NoError(t, validate(text))
	require.ErrorContains(t, validate(append(text, "colour: blue\n"...)), "colour")
	require.Error(t, validate(bytes.Replace(text, []byte("      factors: [password]"), []byte("      factor: [password]"), 1)))
}

// The device declares every port that it opens, and leaves nothing open in its dossier.
func TestDossierDeclaresThePorts(t *testing.T) {
	t.Parallel()
	ports := Ports{HTTPS: 18443, MQTT: 18884, CoAPS: 15684, CoAP: 15683}
	p, err := Manufacture(t.TempDir(), ManufactureOptions{Now: time.Now(), Ports: ports})
	require.NoError(t, err)
	d, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	require.Empty(t, d.Notes())
	declared := map[string]map[int]string{"11": {}, "13": {}, "28": {}}
	for _, l := range d.Listens() {
		declared[l.Row[:2]][l.Port] = l.Protocol
		require.True(t, l.InUse(), l.Row)
	}
	want := map[int]string{ports.HTTPS: "tcp", ports.MQTT: "tcp", ports.CoAPS: "udp"}
	for table, have := range declared {
		require.Equal(t, want, have, "table %s", table)
	}
	hosts := map[string]bool{}
	for _, c := range d.Contacts() {
		hosts[c.Host] = true
	}
	for _, h := range d.Cloud.Hosts {
		require.True(t, hosts[h], "%s is declared", h)
	}
	for _, id := range dossier.Provisions() {
		_, ok := d.Support(id)
		require.True(t, ok, id)
	}
}
