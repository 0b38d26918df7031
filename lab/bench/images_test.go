package bench

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/probes"
	"assay/profiles/dossier"
)

func TestImagesAreChosenByVersion(t *testing.T) {
	p, o := product(t, defaults())
	set, err := loadImages(o.Dossier)
	require.NoError(t, err)
	newer, err := set.Newer("1.0.0")
	require.NoError(t, err)
	_, err = firmware.Verify(firmware.FromBytes(newer.Bytes), set.Trust())
	require.NoError(t, err)
	older, err := set.Older("1.0.0")
	require.NoError(t, err)
	assert.Equal(t, []string{"0.9.0", "1.1.0"}, []string{older.Version, newer.Version})

	last := p.Images[len(p.Images)-1].Version
	spelt, err := set.Newer("v1.0.0")
	require.NoError(t, err)
	assert.Equal(t, newer.Version, spelt.Version)
	_, err = set.Newer(last)
	require.ErrorIs(t, err, probes.ErrNoImage)
	_, err = set.Older("0.0.1")
	require.ErrorIs(t, err, probes.ErrNoImage)
	_, err = set.Newer("what the device says")
	require.ErrorIs(t, err, probes.ErrBench)
}

func TestImagesAreVerifiedBeforeTheRun(t *testing.T) {
	_, o := product(t, defaults())
	first := o.Dossier.Images[0]
	genuine, err := os.ReadFile(inDossier(o.Dossier, first.File))
	require.NoError(t, err)
	tampered, err := firmware.Tamper(firmware.FromBytes(genuine), firmware.Tampered, firmware.Means{})
	require.NoError(t, err)
	place := filepath.Join(t.TempDir(), "tampered.bin")
	require.NoError(t, os.WriteFile(place, tampered.Bytes, 0o600))

	for name, c := range map[string]struct {
		change func(*dossier.Dossier)
		want   string
	}{
		"missing":    {func(d *dossier.Dossier) { d.Images[0].File = "nowhere.bin" }, "dossier images[0], file nowhere.bin: open "},
		"other hash": {func(d *dossier.Dossier) { d.Images[0].SHA256 = "00" }, "dossier images[0], file " + first.File + ": sha256 is "},
		"tampered": {func(d *dossier.Dossier) { d.Images[0].File, d.Images[0].SHA256 = place, "" },
			"dossier images[0], file " + place + ": not genuine under the dossier's trust for firmware: "},
		"other version": {func(d *dossier.Dossier) { d.Images[0].Version = "7.0.0" },
			"dossier images[0], file " + first.File + ": the image is version 0.9.0, the dossier says 7.0.0"},
		"no key": {func(d *dossier.Dossier) { d.Trust = nil }, "dossier trust: images are named, but no key `for: firmware`"},
	} {
		d := *o.Dossier
		d.Images = append(d.Images[:0:0], d.Images...)
		c.change(&d)
		_, err := loadImages(&d)
		require.ErrorIs(t, err, ErrInput, name)
		assert.ErrorContains(t, err, c.want, name)
	}
	set, err := loadImages(&dossier.Dossier{})
	require.NoError(t, err)
	assert.Nil(t, set)
}

// reducedLacks is what the reduced bench does not have.
var reducedLacks = []probes.Instrument{probes.InstrumentLink, probes.InstrumentSniffer, probes.InstrumentScanner, probes.InstrumentInterceptor}

func instruments(missing []Missing) []probes.Instrument {
	var out []probes.Instrument
	for _, m := range missing {
		out = append(out, m.Instrument)
	}
	return out
}

func TestOffersAreKnownBeforeTheRun(t *testing.T) {
	_, o := product(t, defaults())
	has, missing := Offers(ModeReference, nil, o.Dossier)
	whole := func(i probes.Instrument) bool { return !strings.Contains(string(i), "/") }
	assert.False(t, slices.ContainsFunc(missing, func(m Missing) bool { return whole(m.Instrument) }), "%v", missing)
	assert.Len(t, slices.DeleteFunc(has, func(i probes.Instrument) bool { return !whole(i) }), 14)
	_, missing = Offers(ModeReduced, nil, o.Dossier)
	assert.Equal(t, reducedLacks, instruments(missing))
	_, missing = Offers(ModeAttached, &File{}, &dossier.Dossier{})
	var lacks []probes.Instrument
	for _, m := range missing {
		assert.NotEmpty(t, m.Because, m.Instrument)
		assert.NotEmpty(t, m.Mend, m.Instrument)
		lacks = append(lacks, m.Instrument)
	}
	assert.Subset(t, lacks, []probes.Instrument{
		probes.InstrumentImages, probes.InstrumentUpdates, probes.InstrumentBroker, probes.InstrumentFlash,
		probes.InstrumentPower, probes.InstrumentButton,
	})
}

func TestFlashCommandFailsAloud(t *testing.T) {
	f := flashCommand{command{argv: []string{"sh", "-c", "printf half; echo no device >&2; exit 3"}}}
	d, err := f.Dump(t.Context())
	if err != nil {
		t.Skip("needs a shell: " + err.Error())
	}
	b := make([]byte, 16)
	n, _ := d.Read(b)
	assert.Equal(t, "half", string(b[:n]))
	for err == nil {
		_, err = d.Read(b)
	}
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "no device")
	require.NoError(t, d.Close())
}

func TestDeadInterfaceIsSaidSo(t *testing.T) {
	_, err := liveInterface("nosuch0")
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "interface nosuch0 does not exist")
	var hint interface{ Hint() string }
	require.ErrorAs(t, err, &hint)
	assert.Contains(t, hint.Hint(), "this machine has")
}
