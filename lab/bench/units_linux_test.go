package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/refdevice"
	"assay/probes"
	"assay/profiles/dossier"
)

// insideUnits boots two thermostats on one segment and attaches two benches to them.
func insideUnits(t *testing.T) {
	noLeaks(t)
	p, o := product(t, defaults())
	o.Several = true
	first, err := Reference(t.Context(), o)
	require.NoError(t, err)
	defer first.Close()
	second := besides(t, p, o, first)
	defer second.Close()
	assert.NotEqual(t, first.Host(), second.Host())
	for n, b := range []*Bench{first, second} {
		id := b.Identity()
		assert.True(t, id.ByMAC && id.ByLabel, id)
		assert.Equal(t, p.Units[n].MAC, id.MAC)
		assert.NoError(t, b.Witness(t.Context()))
	}

	// What is done to one shows on the other in nothing.
	for n, b := range []*Bench{first, second} {
		require.Equal(t, probes.Done, do(t, b, "store-name", probes.Args{probes.ArgValue: p.Units[n].ID}).Outcome)
	}
	from, err := second.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	require.NoError(t, first.Restore(t.Context()))
	to, err := second.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, do(t, first, "read-name", nil).Text, "unit-1")
	assert.Contains(t, do(t, second, "read-name", nil).Text, "unit-2")
	w, err := second.Probes.Sniffer.Window(t.Context(), from, to)
	require.NoError(t, err)
	assert.True(t, w.Complete)

	attachedPair(t, o, first, second)
	require.NoError(t, second.Close())
	require.NoError(t, first.Close())
	assert.FileExists(t, filepath.Join(o.Dir, "capture-unit-2.pcapng"))
}

// besides boots the second unit of a product beside the first.
func besides(t *testing.T, p *refdevice.Product, o Options, first *Bench) *Bench {
	t.Helper()
	u := p.Units[1]
	o.Unit, o.Beside = u.ID, first
	o.Device = &Simulated{Config: u.Config, Flash: u.Flash, MAC: u.MAC, Args: []string{"__refdevice", "--config", u.Config}}
	b, err := Reference(t.Context(), o)
	require.NoError(t, err)
	return b
}

func attachedPair(t *testing.T, o Options, first, second *Bench) {
	run := t.TempDir()
	text := "assay: bench/v1\nmode: attached\ninterface: br0\nbutton: {command: [touch, of-the-first]}\n" +
		"units:\n  unit-2:\n    button: {command: [touch, of-the-second]}\n    flash: {file: second.bin}\n"
	file, err := ParseFile("bench.yaml", []byte(text), run)
	require.NoError(t, err)
	d := *o.Dossier
	d.Units = append([]dossier.Unit(nil), d.Units...)
	attach := func(hosts ...string) (a, b *Bench, err error) {
		own := d
		own.Units = append([]dossier.Unit(nil), d.Units...)
		own.Units[0].Host, own.Units[1].Host = hosts[0], hosts[1]
		at := Options{Dir: t.TempDir(), Dossier: &own, Unit: "unit-1", File: file, Log: func(s string) { t.Log(s) }}
		if a, err = Attached(t.Context(), at); err != nil {
			return nil, nil, err
		}
		at.Unit, at.Beside = "unit-2", a
		if b, err = Attached(t.Context(), at); err != nil {
			require.NoError(t, a.Close())
		}
		return a, b, err
	}
	a, b, err := attach(first.Host(), second.Host())
	require.NoError(t, err)
	assert.True(t, b.Identity().ByMAC && b.Identity().ByLabel)
	assert.Nil(t, a.Probes.Flash, "what is around one unit is not around another")
	assert.NotNil(t, b.Probes.Flash)
	require.Equal(t, probes.Done, do(t, b, "factory-reset-button", nil).Outcome)
	assert.NoFileExists(t, filepath.Join(run, "of-the-first"))
	assert.FileExists(t, filepath.Join(run, "of-the-second"))
	require.NoError(t, b.Close())
	require.NoError(t, a.Close())
	_, err = os.Stat(b.CaptureFile)
	require.NoError(t, err)
	assert.NotEqual(t, a.CaptureFile, b.CaptureFile)

	_, _, err = attach(second.Host(), first.Host())
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "which is that of unit-2; that of unit-1 is")

	has, missing := OffersAll(ModeAttached, file, &d, []string{"unit-1", "unit-2"})
	assert.Contains(t, has, probes.InstrumentButton)
	assert.NotContains(t, has, probes.InstrumentFlash, "the first has none")
	assert.NotContains(t, has, probes.InstrumentPower)
	assert.Equal(t, 1, count(missing, probes.InstrumentPower))

	// Each has its own cloud and its own cable on the reference bench, but the time is everybody's.
	has, missing = OffersAll(ModeReference, nil, &d, []string{"unit-1", "unit-2"})
	for _, i := range []probes.Instrument{probes.InstrumentBroker, probes.InstrumentLink, probes.InstrumentInterceptor + "/mqtts/expired"} {
		assert.Contains(t, has, i)
	}
	assert.NotContains(t, has, probes.InstrumentTime)
	assert.Equal(t, 1, count(missing, probes.InstrumentTime))
	has, _ = OffersAll(ModeReference, nil, &d, []string{"unit-1"})
	assert.Contains(t, has, probes.InstrumentTime)
}

func count(missing []Missing, i probes.Instrument) int {
	n := 0
	for _, m := range missing {
		if m.Instrument == i {
			n++
		}
	}
	return n
}
