package firmware_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/authenticode"
	"assay/firmware/capsule"
	"assay/firmware/carrier"
	"assay/firmware/cms"
	"assay/firmware/nordic"
)

func surveyVectors() adapter {
	return adapter{judge: judgeSurvey, generate: generateSurvey}
}

type surveyContext struct {
	MonotonicCount     *uint64 `yaml:"monotonic_count,omitempty"`
	InstalledFwVersion *uint64 `yaml:"installed_fw_version,omitempty"`
}

// surveyFormats are the variants of the manifest, in the names of the front door.
func surveyFormats() map[string]string {
	return map[string]string{
		"authenticode": "authenticode", "uefi-capsule": "uefi-capsule", "nordic-dfu": "nordic-dfu",
		"hex": "hex", "srec": "srec", "ti.txt": "ti-txt", "uf2": "uf2", "tasmota": "gzip",
	}
}

// surveyTime is when the device of the manifest lives: it gives none.
var surveyTime = time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)

func judgeSurvey(t *testing.T, c vectorCase) {
	var x surveyContext
	c.context(t, &x)
	want, ok := surveyFormats()[c.Variant]
	require.True(t, ok, "variant %q", c.Variant)
	trust := firmware.Trust{}
	if c.Key != "" {
		trust = commonTrust(t, c)
	}
	trust.At = surveyTime
	report, err := firmware.Verify(commonInput(t, c), trust)
	assert.Equal(t, err == nil, report.Verified)
	if c.Verdict == "n/a" { // a carrier: recognised, said to have no authenticity, never verified
		require.ErrorIs(t, err, firmware.ErrUnsigned)
		assert.Equal(t, want, report.Image.Format)
		assert.Contains(t, strings.Join(report.Image.Notes, " "), "no authenticity")
		return
	}
	if err == nil {
		assert.Equal(t, want, report.Image.Format)
	}
	if err == nil && c.Scope == "device" {
		img, openErr := firmware.Open(commonInput(t, c), trust)
		require.NoError(t, openErr)
		err = img.Check(surveyDevice(c.Variant, x))
		require.NotErrorIs(t, err, firmware.ErrDevice)
	}
	t.Logf("%s: %v", c.Verdict, err)
	expect(t, c, report, err)
	if c.Verdict == "policy" && err == nil {
		assert.Contains(t, strings.Join(report.Image.Notes, " "), "CheckSum")
	}
}

func surveyDevice(variant string, x surveyContext) firmware.Device {
	var d firmware.Device
	switch variant {
	case "uefi-capsule":
		d.Counter = x.MonotonicCount
	case "nordic-dfu":
		d.Is = map[string]string{"hw-version": "52"} // the nRF52 of the manifest
		if x.InstalledFwVersion != nil {
			d.Version = fmt.Sprint(*x.InstalledFwVersion)
		}
	}
	return d
}

// A surveyImage is one good image with everything that Tamper may use.
type surveyImage struct {
	variant string
	good    []byte
	key     string
	means   firmware.Means
}

// generateSurvey makes a good image of each format, its variants, and the carriers.
func generateSurvey(t *testing.T, dir string) manifest {
	g := &generated{t: t, format: "survey", dir: dir}
	for _, s := range surveyImages(t, dir) {
		good := firmware.FromBytes(s.good)
		f, err := firmware.Detect(good)
		require.NoError(t, err)
		require.Equal(t, s.variant, f.Name)
		g.add(row{File: "ok-" + s.variant, Verdict: "accept", Scope: "device", Key: s.key, Variant: s.variant}, s.good)
		for _, variant := range f.Variants {
			bad, err := firmware.Tamper(good, variant, s.means)
			if errors.Is(err, firmware.ErrNotApplicable) || bad.Manifest.Device != nil {
				continue
			}
			require.NoError(t, err)
			b := bad.Bytes
			if bad.Files != nil {
				b = bad.Files[firmware.FileSecond]
			}
			g.add(row{File: "bad-" + s.variant + "-" + variant, Verdict: "reject", Scope: "signature", Key: s.key, Variant: s.variant}, b)
		}
	}
	program := bytes.Repeat([]byte("program "), 100)
	gz, err := carrier.Gzip(append([]byte{0xe9}, program...))
	require.NoError(t, err)
	for variant, b := range map[string][]byte{
		"hex": carrier.HEX(0x8000, program), "srec": carrier.SRecord(0x8000, program), "ti.txt": carrier.TI(0x8000, program),
		"uf2": carrier.UF2(0x2000, 1, program), "tasmota": gz,
	} {
		g.add(row{File: "raw." + variant, Verdict: "n/a", Scope: "signature", Variant: variant}, b)
		g.add(row{File: "bad." + variant, Verdict: "reject", Scope: "signature", Variant: variant}, b[:len(b)-5])
	}
	return manifest{Vectors: g.rows}
}

func surveyImages(t *testing.T, dir string) []surveyImage {
	write := func(name string, b []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		return name
	}
	pki, err := cms.NewPKI(cms.PKIOptions{At: surveyTime})
	require.NoError(t, err)
	root := write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Root.Certificate.Raw}))
	means := firmware.Means{Signer: pki.Signer.Key, Chain: pki.Chain(), Issuer: pki.Issuer().Key}
	efi, err := authenticode.Build(authenticode.Spec{Payload: []byte("code")})
	require.NoError(t, err)
	efi, err = authenticode.Sign(efi, pki.Signer, nil)
	require.NoError(t, err)
	update, err := capsule.Build(capsule.Spec{ImageType: "058b7d83-50d5-4c47-a195-60d86ad341c4", Count: 7, Image: []byte("image")}, &pki.Signer, nil)
	require.NoError(t, err)
	key := signers(t)["p256"]
	dfu, err := nordic.Build(nordic.Spec{Version: 12, Hardware: 52, Firmware: bytes.Repeat([]byte("app"), 99)}, key)
	require.NoError(t, err)
	return []surveyImage{
		{"authenticode", efi, root, means},
		{"uefi-capsule", update, root, means},
		{"nordic-dfu", dfu, write("nordic.pem", publicPEM(t, key.Public())), firmware.Means{Signer: key}},
	}
}
