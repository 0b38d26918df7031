package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"assay/lab/bench/states"
	"assay/probes"
	"assay/probes/resilience/powercut"
	"assay/profiles/dossier"
)

// plugOf is a Shelly of generation 1 before a reference device.
func plugOf(t *testing.T, world *Bench) string {
	t.Helper()
	on := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("turn") {
		case "on":
			on = assert.NoError(t, world.switched.On(r.Context()))
		case "off":
			on = !assert.NoError(t, world.switched.Off(r.Context()))
		}
		fmt.Fprintf(w, `{"ison":%v}`, on)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// serialLine is a pair of pseudo terminals.
func serialLine(t *testing.T) (*os.File, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(int(f.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	return f, fmt.Sprintf("/dev/pts/%d", n)
}

// insideInstruments attaches a bench with a plug and a console to a device that a reference bench made.
func insideInstruments(t *testing.T) {
	_, o := product(t, defaults())
	world, err := Reference(t.Context(), o)
	require.NoError(t, err)
	defer world.Close()
	assert.True(t, world.Identity().ByMAC)

	device, port := serialLine(t)
	run := t.TempDir()
	text := "assay: bench/v1\nmode: attached\ninterface: br0\nconsole: {port: " + port + "}\n" +
		"power: {shelly: {generation: 1, http: '" + plugOf(t, world) + "'}}\n"
	file, err := ParseFile("bench.yaml", []byte(text), run)
	require.NoError(t, err)
	d := *o.Dossier
	d.Units = append([]dossier.Unit(nil), d.Units...)
	d.Units[0].Host = world.Host()
	a := Options{Dir: run, Dossier: &d, Unit: o.Unit, File: file, Log: func(s string) { t.Log(s) }}
	b, err := Attached(t.Context(), a)
	require.NoError(t, err)
	defer b.Close()
	id := b.Identity()
	assert.True(t, id.ByMAC, id)
	assert.True(t, id.ByLabel, id)
	assert.Equal(t, d.Units[0].MAC, id.MAC)
	require.NoError(t, b.Witness(t.Context()))

	// It is brought back by the cheapest way that there is.
	require.Equal(t, probes.Done, do(t, b, "store-name", probes.Args{probes.ArgValue: "Kitchen"}).Outcome)
	require.NoError(t, b.Restore(t.Context()))
	deeds, ok := b.Restored().([]states.Deed)
	require.True(t, ok)
	require.Len(t, deeds, 1)
	assert.Equal(t, "factory-reset-command", deeds[0].Move)
	assert.Equal(t, states.FactoryDefault, deeds[0].To)
	assert.Nil(t, b.Restored())
	assert.NotContains(t, do(t, b, "read-name", nil).Text, "Kitchen")

	// Off and back, with a question asked in between.
	asked, err := (&powercut.Probe{OffSeconds: 1, SettleSeconds: 0.5, WaitSeconds: 20}).Ask(t.Context(), b.Probes)
	require.NoError(t, err)
	f := asked.(powercut.Facts)
	assert.True(t, f.SilentOff && f.HealthyAfter && f.Stored == 5 && f.Kept == 5 && f.VersionAfter == "1.0.0", f)
	require.NoError(t, b.switched.Off(t.Context()))
	require.NoError(t, b.Restore(t.Context()))
	deeds, _ = b.Restored().([]states.Deed)
	require.Len(t, deeds, 2)
	assert.Equal(t, "power on", deeds[0].Move)

	_, err = device.WriteString("panic: flash worn out\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		said, err := os.ReadFile(filepath.Join(run, "console.log"))
		return err == nil && assert.ObjectsAreEqual(true, len(said) > 60)
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, b.switched.Off(t.Context()))
	require.NoError(t, b.Close())
	assert.False(t, world.switched.Dark(), "no device is left dark")
	require.Equal(t, []string{filepath.Join(run, "console.log")}, b.Logs())
	said, err := os.ReadFile(b.Logs()[0])
	require.NoError(t, err)
	assert.Contains(t, string(said), "| panic: flash worn out\n")

	// Another unit's MAC address, and another unit's label.
	impostors(t, world, a)
}

func impostors(t *testing.T, world *Bench, a Options) {
	require.NoError(t, world.awaitUp(t.Context()))
	swap := func(change func(one, two *dossier.Unit)) error {
		d := *a.Dossier
		d.Units = append([]dossier.Unit(nil), d.Units...)
		change(&d.Units[0], &d.Units[1])
		o := a
		o.Dossier, o.Dir = &d, t.TempDir()
		o.File = &File{Assay: "bench/v1", Mode: ModeAttached, Interface: "br0", Name: "bench.yaml"}
		b, err := Attached(t.Context(), o)
		if err == nil {
			require.NoError(t, b.Close())
		}
		return err
	}
	err := swap(func(one, two *dossier.Unit) { one.MAC, two.MAC = two.MAC, one.MAC })
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "which is that of unit-2; that of unit-1 is ")
	err = swap(func(one, _ *dossier.Unit) { one.MAC = "02:00:5e:10:ff:ff" })
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "which no unit of the dossier has")
	err = swap(func(one, two *dossier.Unit) { one.Logins, two.Logins = two.Logins, one.Logins })
	require.ErrorIs(t, err, probes.ErrBench)
	assert.Regexp(t, `takes the (http|mqtt|coap) login of unit-2 and refuses that of unit-1`, err.Error())
	require.NoError(t, swap(func(one, _ *dossier.Unit) { one.MAC = "" }), "nothing declared is nothing disproved")
}
