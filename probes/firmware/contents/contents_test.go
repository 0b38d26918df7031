package contents_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/probes/firmware/contents"
	"assay/probes/probetest"
)

var none = []any{}

func holding(files map[string]string) probetest.Script {
	return probetest.Script{Imaging: probetest.Imaging{Files: files}}
}

// lists wants a number of entries in one list, and that nothing else was found.
func lists(which string, n int) func(*testing.T, probes.Facts) {
	return func(t *testing.T, f probes.Facts) {
		facts := f.(contents.Facts)
		all := map[string][]string{
			"private_keys": facts.PrivateKeys, "secrets": facts.Secrets, "accounts": facts.Accounts, "fixed_logins": facts.FixedLogins,
			"certificates": facts.Certificates, "out_of_time": facts.OutOfTime, "test_keys": facts.TestKeys,
		}
		for name, list := range all {
			if name == which {
				assert.Len(t, list, n, name)
			} else {
				assert.Empty(t, list, name)
			}
		}
	}
}

func TestAskOfGoodImages(t *testing.T) {
	probetest.Run(t, contents.Kind(), []probetest.Case{
		{Name: "good", Want: map[string]any{
			"version": "1.0.0", "image": "1.0.0.bin", "envelope": "mcuboot", "opened": true, "complete": true, "left": 0, "left_out": none, "files": 5,
			"components": []any{"mbedtls 3.6.2-r1 pkg:opkg/mbedtls@3.6.2-r1", "thermostat 1.0 pkg:generic/thermostat@1.0"}, "component_count": 2, "without_version": none,
			"vulnerabilities_checked": true, "snapshot": "advisories", "snapshot_dated": "2026-10-31", "snapshot_age_days": 1, "snapshot_entries": 1,
			"affected": none, "programs": 0, "unhardened": none,
		}, Check: lists("", 0)},
		{Name: "without-a-snapshot", Script: probetest.Script{Without: []probes.Instrument{probes.InstrumentAdvisories}}, Want: map[string]any{
			"complete": true, "component_count": 2, "vulnerabilities_checked": false, "snapshot_entries": 0, "affected": none,
		}},
		{Name: "another-image-is-opaque", Script: probetest.Script{Imaging: probetest.Imaging{Blobs: []string{"1.1.0"}}}, Want: map[string]any{"complete": true}},
	})
}

func TestAskOfBadImages(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	old := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cloud"}, NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)}
	cert, err := x509.CreateCertificate(rand.Reader, old, old, key.Public(), key)
	require.NoError(t, err)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	young := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "cloud"}, NotBefore: old.NotBefore, NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)}
	weak, err := x509.CreateCertificate(rand.Reader, young, young, short.Public(), key)
	require.NoError(t, err)
	probetest.Run(t, contents.Kind(), []probetest.Case{
		{Name: "private-key", Script: holding(map[string]string{"etc/ssl/device.key": string(private)}), Want: map[string]any{"complete": true},
			Check: func(t *testing.T, f probes.Facts) {
				lists("private_keys", 1)(t, f)
				line := f.(contents.Facts).PrivateKeys[0]
				assert.Contains(t, line, "/etc/ssl/device.key at 0: ")
				assert.NotContains(t, line, strings.Split(string(private), "\n")[1])
			}},
		{Name: "account-without-a-password", Script: holding(map[string]string{"etc/passwd": "root::0:0:root:/:/bin/sh\n", "etc/shadow": ""}),
			Check: func(t *testing.T, f probes.Facts) { assert.NotEmpty(t, f.(contents.Facts).Accounts) }},
		{Name: "known-password", Script: holding(map[string]string{"etc/shadow": "root:$1$abcdefgh$irWbblnpmw.5z7wgBnprh0:20000:0:99999:7:::\n"}),
			Check: func(t *testing.T, f probes.Facts) {
				assert.NotEmpty(t, append(f.(contents.Facts).FixedLogins, f.(contents.Facts).Accounts...))
			}},
		{Name: "expired-certificate", Script: holding(map[string]string{"etc/ssl/cloud.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))}),
			Check: lists("out_of_time", 1)},
		{Name: "weak-certificate", Script: holding(map[string]string{"etc/ssl/cloud.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: weak}))}),
			Check: lists("certificates", 1)},
		{Name: "known-vulnerability", Script: probetest.Script{Imaging: probetest.Imaging{Advisories: map[string]string{"one.json": probetest.Advisory("mbedtls", "3.6.3")}}},
			Want: map[string]any{"vulnerabilities_checked": true}, Check: func(t *testing.T, f probes.Facts) {
				require.Len(t, f.(contents.Facts).Affected, 1)
				assert.Contains(t, f.(contents.Facts).Affected[0], "mbedtls 3.6.2-r1: OSV-2026-1")
			}},
		{Name: "no-software", Script: holding(map[string]string{"etc/os-release": "", "usr/lib/opkg/status": ""}), Want: map[string]any{"component_count": 0, "components": none}},
	})
}

// What cannot be looked into is not clean.
func TestAskOfImagesThatTellNothing(t *testing.T) {
	sealed := make([]byte, 8192)
	_, _ = rand.Read(sealed)
	probetest.Run(t, contents.Kind(), []probetest.Case{
		{Name: "opaque", Script: probetest.Script{Imaging: probetest.Imaging{Blobs: []string{"1.0.0"}}}, Want: map[string]any{
			"image": "1.0.0.bin", "opened": false, "complete": false, "component_count": 0, "size": 4096,
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.Greater(t, f.(contents.Facts).Left, int64(4000))
			assert.NotEmpty(t, f.(contents.Facts).LeftOut)
		}},
		{Name: "no-image-of-that-version", Script: probetest.Script{Imaging: probetest.Imaging{Declared: "1.0.1"}}, Want: map[string]any{
			"version": "1.0.1", "image": "", "opened": false, "complete": false, "vulnerabilities_checked": false,
		}},
		{Name: "opaque-in-part", Script: holding(map[string]string{"data.enc": string(sealed)}), Want: map[string]any{"opened": true, "complete": false}},
	})
}

func TestAskWantsTheSameSnapshot(t *testing.T) {
	bench, err := probetest.New(probetest.Script{})
	require.NoError(t, err)
	b := bench.Bench()
	b.Advisories = changed{b.Advisories.Snapshot()}
	_, err = probetest.Decode(t, contents.Kind(), nil).Ask(t.Context(), b)
	assert.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "was changed since the bench was built")
}

type changed struct{ s probes.Snapshot }

func (c changed) Snapshot() probes.Snapshot {
	c.s.SHA256 = strings.Repeat("0", 64)
	return c.s
}
