package firmware_test

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/cms"
	"assay/firmware/format"
	"assay/firmware/rauc"
)

func raucVectors() adapter {
	return adapter{judge: judgeRAUC, generate: generateRAUC}
}

type raucContext struct {
	Keyring          string `yaml:"keyring"`
	Compatible       string `yaml:"compatible"`
	MinBundleVersion string `yaml:"min_bundle_version"`
	BundleFormats    string `yaml:"bundle_formats"`
	CRL              string `yaml:"crl"`
	CheckCRL         bool   `yaml:"check_crl"`
	CheckPurpose     string `yaml:"check_purpose"`
	Time             string `yaml:"time"`
}

func judgeRAUC(t *testing.T, c vectorCase) {
	if c.Verdict == "n/a" {
		require.True(t, strings.HasSuffix(c.File, ".raucm"), "no rule for the helper file %s", c.File)
		m, err := rauc.ParseManifest(c.bytes(t, c.File))
		require.NoError(t, err)
		require.NotEmpty(t, m.Compatible)
		return
	}
	judgeRow(t, c, adapter{trust: raucTrust, device: raucDevice})
}

// raucRow reads both contexts. Two settings of the manifest's are for some rows only, and
// say so behind their value: they hold for rows of certain classes, else where the row names them.
func raucRow(t *testing.T, c vectorCase) raucContext {
	t.Helper()
	var general, own raucContext
	if c.device != nil {
		require.NoError(t, yaml.NodeToValue(c.device, &general, yaml.Strict()))
	}
	if c.Context != nil {
		require.NoError(t, yaml.NodeToValue(c.Context, &own, yaml.Strict()))
	}
	some := func(value string, classes ...string) string {
		value, _, limited := strings.Cut(value, " for the ")
		if limited && !slices.Contains(classes, c.Class) {
			return ""
		}
		return value
	}
	own.BundleFormats = cmp.Or(own.BundleFormats, some(general.BundleFormats, "format-downgrade", "downgrade-of-scheme", "format-confusion"))
	own.CheckPurpose = cmp.Or(own.CheckPurpose, some(general.CheckPurpose, "wrong-purpose"))
	own.Keyring, own.CRL = cmp.Or(own.Keyring, general.Keyring), cmp.Or(own.CRL, general.CRL)
	own.Compatible = cmp.Or(own.Compatible, general.Compatible)
	own.MinBundleVersion = cmp.Or(own.MinBundleVersion, general.MinBundleVersion)
	own.CheckCRL = own.CheckCRL || general.CheckCRL
	own.Time = cmp.Or(own.Time, general.Time, "2026-11-23") // when the vectors were made
	return own
}

func raucTrust(t *testing.T, c vectorCase) firmware.Trust {
	x := raucRow(t, c)
	keyring := cmp.Or(c.Key, x.Keyring)
	trust, err := firmware.ParseTrust(firmware.Anchor{From: keyring, Bytes: c.bytes(t, keyring)})
	require.NoError(t, err)
	trust.At, err = time.Parse(time.DateOnly, x.Time)
	require.NoError(t, err)
	if trust.RequireCRLs = x.CheckCRL; !x.CheckCRL {
		trust.CRLs = nil // as RAUC: lists in the keyring count with check-crl only
	} else if len(trust.CRLs) == 0 && x.CRL != "" {
		more, err := firmware.ParseTrust(firmware.Anchor{From: x.CRL, Bytes: c.bytes(t, x.CRL)})
		require.NoError(t, err)
		trust.CRLs = more.CRLs
	}
	if c.DecryptKey != "" {
		trust.Recipients = []firmware.Anchor{{From: c.DecryptKey, Bytes: c.bytes(t, c.DecryptKey)}}
	}
	purposes := map[string]string{
		"": "", "smimesign": format.PurposeEmail, "codesign": format.PurposeCodeSigning, "codesign-rauc": format.PurposeCodeSigning, "any": format.PurposeAny,
	}
	require.Contains(t, purposes, x.CheckPurpose)
	trust.Purpose = purposes[x.CheckPurpose]
	return trust
}

func raucDevice(t *testing.T, c vectorCase) firmware.Device {
	x := raucRow(t, c)
	return firmware.Device{Version: x.MinBundleVersion, Is: map[string]string{"compatible": x.Compatible, "bundle-formats": x.BundleFormats}}
}

// generateRAUC makes the project's own set: each format, and a bundle for each family of reasons.
func generateRAUC(t *testing.T, dir string) manifest {
	p, err := cms.NewPKI(cms.PKIOptions{Intermediate: true})
	require.NoError(t, err)
	write := func(file string, b []byte) { require.NoError(t, os.WriteFile(filepath.Join(dir, file), b, 0o600)) }
	write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Root.Certificate.Raw}))
	sign := cms.SignOptions{Signers: []cms.Identity{p.Signer}, Certificates: p.Chain()[1:2]}
	spec := func(kind rauc.Kind) rauc.Spec {
		return rauc.Spec{Kind: kind, Payload: bytes.Repeat([]byte("firmware"), 4096), Compatible: "Board A", Version: "2026.11", Sign: sign}
	}
	var m manifest
	add := func(file, verdict, scope, class, context string, b []byte) {
		write(file, b)
		r := row{File: file, Format: "rauc", Verdict: verdict, Scope: scope, Class: class, Key: "root.pem"}
		if context != "" {
			require.NoError(t, yaml.Unmarshal([]byte(context), &r.Context))
		}
		m.Vectors = append(m.Vectors, r)
	}
	means := firmware.Means{Signer: p.Signer.Key, Chain: p.Chain(), Issuer: p.Issuer().Key}
	for _, kind := range []rauc.Kind{rauc.Plain, rauc.Verity, rauc.Crypt} {
		b, err := rauc.Build(spec(kind))
		require.NoError(t, err)
		add(string(kind)+".raucb", "accept", "signature", "", "", b)
		for _, variant := range rauc.Format().Variants {
			v, err := firmware.Tamper(firmware.FromBytes(b), variant, means)
			if err != nil {
				require.ErrorIs(t, err, firmware.ErrNotApplicable)
				continue
			}
			if v.Bytes != nil && v.Manifest.Device == nil {
				add(string(kind)+"-"+variant+".raucb", "reject", "signature", variant, "", v.Bytes)
			}
		}
	}
	b, err := rauc.Build(spec(rauc.Verity))
	require.NoError(t, err)
	device := "{compatible: Board A, min_bundle_version: '2026.09', time: '2026-08-01'}"
	add("device.raucb", "accept", "device", "", device, b)
	for class, context := range map[string]string{
		"wrong-device":     "{compatible: Board B, time: '2026-08-01'}",
		"downgrade":        "{min_bundle_version: '2026.12', time: '2026-08-01'}",
		"format-downgrade": "{bundle_formats: plain, time: '2026-08-01'}",
		"expired":          "{time: '2036-01-01'}",
		"revoked":          "{check_crl: true, crl: root.pem}", // nothing that revokes, and one is asked for
	} {
		add(class+".raucb", "reject", "device", class, context, b)
	}
	return m
}
