package refdevice

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/profiles/dossier"
)

func TestManufacture(t *testing.T) {
	t.Parallel()
	p, err := Manufacture(t.TempDir(), ManufactureOptions{Now: time.Now()})
	require.NoError(t, err)
	require.Len(t, p.Units, 2)
	one, two := p.Units[0], p.Units[1]
	require.NotEqual(t, one.Serial, two.Serial)
	require.NotEqual(t, one.MAC, two.MAC)
	require.NotEqual(t, one.Label.AdminPassword, two.Label.AdminPassword)
	require.NotEqual(t, one.Label.MQTTPassword, two.Label.MQTTPassword)
	require.NotEqual(t, one.Label.PSK, two.Label.PSK)
	require.Len(t, one.Label.AdminPassword, labelLength)

	public, err := os.ReadFile(p.FirmwarePublic)
	require.NoError(t, err)
	trust, err := firmware.ParseTrust(firmware.Anchor{From: p.FirmwarePublic, Bytes: public})
	require.NoError(t, err)
	for i, version := range []string{"0.9.0", "1.0.0", "1.1.0", "1.2.0"} {
		b, err := os.ReadFile(p.Images[i].File)
		require.NoError(t, err)
		report, err := firmware.Verify(firmware.FromBytes(b), trust)
		require.NoError(t, err)
		require.Equal(t, version, report.Image.Version)
		require.Equal(t, uint64(i+1), *report.Image.SecurityCounter)
	}
	chip, err := os.ReadFile(one.Flash)
	require.NoError(t, err)
	require.Len(t, chip, flashSize)
	for _, secret := range []string{one.Label.AdminPassword, one.Label.MQTTPassword} {
		require.NotContains(t, string(chip), secret, "the flash holds hashes of the label's passwords")
	}
	info, err := os.Stat(p.FirmwareKey)
	require.NoError(t, err)
	if runtime.GOOS != "windows" { // which has no such bits
		require.Zero(t, info.Mode().Perm()&0o077, "keys are their owner's")
	}
}

func TestManufactureRefuses(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]ManufactureOptions{
		"manufacture: no date":                          {},
		`flaw "typo" is unknown`:                        {Now: time.Now(), Flaws: []string{"typo"}},
		"manufacture: 1000 units, want 1 to 100":        {Now: time.Now(), Units: 1000},
		"manufacture: make image 0.9.0: unexpected EOF": {Now: time.Now(), Rand: bytes.NewReader([]byte("short"))},
	} {
		_, err := Manufacture(t.TempDir(), o)
		require.ErrorContains(t, err, want)
	}
}

// The dossier is a model for those who write their own: it must read strictly.
func TestDossierReads(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ManufactureOptions{
		"dhcp":     {Units: 3},
		"loopback": {Units: 1, Network: Network{Mode: ModeLoopback, Host: "127.0.0.1"}},
	} {
		o.Now = time.Now()
		p, err := Manufacture(t.TempDir(), o)
		require.NoError(t, err, name)
		text, err := os.ReadFile(p.Dossier)
		require.NoError(t, err)
		require.NotContains(t, string(text), "@", "every placeholder is filled in")
		d, err := dossier.Read(p.Dossier)
		require.NoError(t, err, name)
		require.Len(t, d.Units, o.Units)
		for i, u := range p.Units {
			require.Equal(t, u.Label.AdminPassword, d.Units[i].Logins["http"].Password.Reveal())
			require.Equal(t, u.Label.MQTTPassword, d.Units[i].Logins["mqtt"].Password.Reveal())
			require.Equal(t, hexSecret+u.Label.PSK, d.Units[i].Logins["coap"].Password.Reveal())
		}
		require.Len(t, d.Images, 4)
		require.NotNil(t, d.Cloud)
	}
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	p, err := Manufacture(t.TempDir(), ManufactureOptions{Now: time.Now(), Flaws: []string{"open-http"}})
	require.NoError(t, err)
	c, err := LoadConfig(p.Units[0].Config)
	require.NoError(t, err)
	require.Equal(t, p.Units[0].Flash, c.Flash)
	require.Equal(t, []string{"open-http"}, c.Flaws)
	require.ErrorContains(t, c.check(), "no clock")
	c.Now = time.Now
	require.NoError(t, c.check())
	for want, change := range map[string]func(*Config){
		"serial and flash":          func(c *Config) { c.Serial = "" },
		"mac":                       func(c *Config) { c.MAC = "nonsense" },
		"cloud":                     func(c *Config) { c.Cloud = "cloud.thermostat.example" },
		"want host:port":            func(c *Config) { c.Cloud = "cloud:99999" },
		"0 is not a port":           func(c *Config) { c.Ports.MQTT = 0 },
		"neither dhcp nor loopback": func(c *Config) { c.Network.Mode = "wifi" },
		"needs an interface":        func(c *Config) { c.Network.Interface = "" },
		"network host":              func(c *Config) { c.Network = Network{Mode: ModeLoopback} },
		"network server":            func(c *Config) { c.Network = Network{Mode: ModeLoopback, Host: "127.0.0.1", NTP: "time"} },
	} {
		bad := c
		change(&bad)
		require.ErrorContains(t, Run(t.Context(), bad, strings.NewReader(""), io.Discard), want)
	}
	typo := filepath.Join(t.TempDir(), "device.json")
	require.NoError(t, os.WriteFile(typo, []byte(`{"serail":"x"}`), 0o600))
	_, err = LoadConfig(typo)
	require.ErrorContains(t, err, `unknown field "serail"`)
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, Run(t.Context(), w.config, strings.NewReader("power on\nnonsense\n"), io.Discard), "end of stdin")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, _ := io.Pipe()
	require.ErrorIs(t, Run(ctx, w.config, in, io.Discard), context.Canceled)
	w.config.Flash += ".missing"
	in, out := io.Pipe()
	go func() { _, _ = io.WriteString(out, "start\n") }()
	require.ErrorContains(t, Run(t.Context(), w.config, in, io.Discard), "open flash")
}
