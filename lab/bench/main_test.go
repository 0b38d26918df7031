package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/lab/refdevice"
	"assay/profiles/dossier"
)

// TestMain makes this test binary what the program is: the preflight's trial, the device's process, or the tests.
func TestMain(m *testing.M) {
	ctx := context.Background()
	if code, yes := Trial(ctx); yes {
		os.Exit(code)
	}
	if len(os.Args) == 4 && os.Args[1] == "__refdevice" {
		os.Exit(deviceProcess(ctx, os.Args[3]))
	}
	if len(os.Args) == 2 && os.Args[1] == "__hold" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	if len(os.Args) == 2 && (os.Args[1] == "__flood-dhcp" || os.Args[1] == "__flood-dns") {
		if err := flood(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "__web" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the world") })))
		os.Exit(1)
	}
	flag.Parse()
	os.Exit(m.Run())
}

func deviceProcess(ctx context.Context, config string) int {
	c, err := refdevice.LoadConfig(config)
	if err == nil {
		c.Now, c.Answers = time.Now, os.Stdout
		err = refdevice.Run(ctx, c, os.Stdin, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// product manufactures a thermostat and tells how a bench starts its first unit.
func product(t *testing.T, o refdevice.ManufactureOptions) (*refdevice.Product, Options) {
	t.Helper()
	dir := t.TempDir()
	o.Now = time.Now()
	p, err := refdevice.Manufacture(filepath.Join(dir, "product"), o)
	require.NoError(t, err)
	d, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	run := filepath.Join(dir, "run")
	require.NoError(t, os.Mkdir(run, 0o755))
	unit := p.Units[0]
	return p, Options{
		Dir: run, Dossier: d, Unit: unit.ID, Log: func(s string) { t.Log(s) },
		Device: &Simulated{Config: unit.Config, Flash: unit.Flash, MAC: unit.MAC, Args: []string{"__refdevice", "--config", unit.Config}},
	}
}

func defaults() refdevice.ManufactureOptions { return refdevice.ManufactureOptions{} }
