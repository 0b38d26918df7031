package bench

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"assay/lab/drive"
	"assay/probes"
	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A device that answers, but refuses what the dossier asks for its health, is not silent: who waits for it says what it said.
func TestWaitTellsWhatTheDeviceAils(t *testing.T) {
	for name, wait := range map[string]func(*Bench, context.Context) error{
		"up":   (*Bench).awaitUp,
		"well": func(b *Bench, ctx context.Context) error { return b.awaitWell(ctx, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, enough := context.WithCancel(t.Context())
			defer enough()
			asked := 0
			door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked++; asked == 2 {
					enough() // this look is cut short, and tells nothing of the device
				}
				w.WriteHeader(http.StatusUnauthorized)
			}))
			defer door.Close()
			b := &Bench{Probes: &probes.Bench{Clock: Clock{}}}
			host := strings.TrimPrefix(door.URL, "http://")
			b.knows(func() string { return host })
			d := &dossier.Dossier{Units: []dossier.Unit{{ID: "u1"}}, Operations: map[string]dossier.Operation{
				probes.Health: {Steps: []dossier.Step{{HTTP: &dossier.HTTPStep{URL: door.URL}}}},
			}}
			var err error
			b.driver, err = drive.New(drive.Options{Dossier: d, Unit: "u1", Host: b.Host, Clock: Clock{}})
			require.NoError(t, err)
			err = wait(b, ctx)
			require.ErrorIs(t, err, probes.ErrBench)
			assert.ErrorContains(t, err, "operation health: refused (")
			assert.ErrorContains(t, err, "401")
		})
	}
}
