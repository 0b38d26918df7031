package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/mcuboot"
	"assay/reports/image"
)

// maker is a folder with a genuine image, an older one, and the maker's keys.
func maker(t *testing.T) string {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	written(t, dir, "maker.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	written(t, dir, "maker.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	for name, minor := range map[string]uint8{"new.bin": 2, "old.bin": 1} {
		b, err := mcuboot.Build(mcuboot.Spec{Version: mcuboot.Version{Major: 1, Minor: minor}, SecurityCounter: uint32(minor), Payload: []byte("the program")}, key)
		require.NoError(t, err)
		written(t, dir, name, string(b))
	}
	written(t, dir, "empty.bin", "")
	written(t, dir, "text.bin", "not an image")
	return dir
}

func TestFirmwareVerify(t *testing.T) {
	dir := maker(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, c := range map[string]struct {
		code int
		args []string
		says []string
	}{
		"genuine":           {exitDone, []string{at("new.bin"), "--key", at("maker.pem")}, []string{"new.bin: VERIFIED\n", "1. key", "from maker.pem", "NOT COVERED", "rollback counter"}},
		"for the device":    {exitDone, []string{at("new.bin"), "--trust", at("maker.pem"), "--device", "version=1.1.0", "--device", "counter=1"}, []string{"VERIFIED, and the device may take it"}},
		"older":             {exitNonConformant, []string{at("old.bin"), "--trust", at("maker.pem"), "--device", "counter=2"}, []string{"GENUINE, BUT REFUSED BY THE DEVICE: ", "security counter 1, at least 2 is needed"}},
		"no trust":          {exitNonConformant, []string{at("new.bin")}, []string{"NOT VERIFIED: ", "no trusted key"}},
		"no image":          {exitUnusable, []string{at("text.bin")}, []string{"text.bin: open image of 12 bytes: no known firmware format", "hint: known are mcuboot"}},
		"empty":             {exitUnusable, []string{at("empty.bin")}, []string{"no known firmware format"}},
		"nothing there":     {exitUnusable, []string{at("none.bin")}, []string{"does not exist"}},
		"private key":       {exitUnusable, []string{at("new.bin"), "--trust", at("maker.key")}, []string{"read trust anchor maker.key: PEM block 1: a private key: give its public half"}},
		"no key":            {exitUnusable, []string{at("new.bin"), "--trust", at("text.bin")}, []string{"read trust anchor text.bin: neither PEM nor DER"}},
		"no time":           {exitUnusable, []string{at("new.bin"), "--at", "yesterday"}, []string{`--at "yesterday" is no time`, "hint: write 2026-11-25"}},
		"no purpose":        {exitUnusable, []string{at("new.bin"), "--purpose", "fun"}, []string{"--purpose fun is not known"}},
		"no pair":           {exitUnusable, []string{at("new.bin"), "--device", "counter"}, []string{`--device "counter" is no key=value`}},
		"no number":         {exitUnusable, []string{at("new.bin"), "--device", "counter=x"}, []string{`--device "counter=x" is no number`}},
		"no word of it":     {exitUnusable, []string{at("new.bin"), "--trust", at("maker.pem"), "--device", "colour=00112233445566778899aabbccddeeff"}, []string{`"colour" is not known of an mcuboot device`}},
		"no signature file": {exitUnusable, []string{at("new.bin"), "--signature", at("none.sig")}, []string{"signature " + at("none.sig") + " does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := assay(t, c.code, append([]string{"firmware", "verify"}, c.args...)...)
			for _, s := range c.says {
				assert.Contains(t, r.said()+r.told(), s)
			}
		})
	}
	var v image.Verification
	said := assay(t, exitDone, "firmware", "verify", at("new.bin"), "--trust", at("maker.pem"), "--format", "json").said()
	require.NoError(t, json.Unmarshal([]byte(said), &v))
	assert.True(t, v.Verified)
	assert.Len(t, v.Chain, 3)
}

func TestFirmwareTamper(t *testing.T) {
	dir := maker(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	out := at("set")
	said := assay(t, exitDone, "firmware", "tamper", at("new.bin"), "--out", out, "--trust", at("maker.pem"), "--key", at("maker.key"), "--older", at("old.bin"), "--format", "json").said()
	var set image.Refusals
	require.NoError(t, json.Unmarshal([]byte(said), &set))
	require.Greater(t, len(set.Variants), 4)
	var kept image.Refusals
	require.NoError(t, json.Unmarshal([]byte(slurp(filepath.Join(out, "manifest.json"))), &kept))
	assert.Equal(t, set, kept)
	for _, r := range set.Variants {
		assert.NotEmpty(t, r.Ours, r.Variant)
		for _, f := range r.Files {
			args := []string{"firmware", "verify", filepath.Join(out, f.Name), "--trust", at("maker.pem")}
			if r.Device != nil || filepath.Base(f.Name) == firmware.FileFirst {
				continue // genuine: only a device refuses it, or the second of the pair is what it must refuse
			}
			require.FileExists(t, filepath.Join(out, f.Name))
			if code := launch(t, nil, args...).code(); code != exitNonConformant {
				assert.Equal(t, exitUnusable, code, r.Variant)
			}
		}
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no folder":     {[]string{at("new.bin")}, "tamper needs a folder"},
		"folder exists": {[]string{at("new.bin"), "--out", out}, "exists already"},
		"no variant":    {[]string{at("new.bin"), "--out", at("x"), "--variant", "worse"}, `--variant "worse" is not known`},
		"not genuine":   {[]string{filepath.Join(out, "tampered.bin"), "--out", at("x"), "--trust", at("maker.pem")}, "is not genuine under the trust given"},
		"public key":    {[]string{at("new.bin"), "--out", at("x"), "--key", at("maker.pem")}, `unexpected PEM block "PUBLIC KEY", want a private key`},
		"no image":      {[]string{at("text.bin"), "--out", at("x")}, "no known firmware format"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, assay(t, exitUnusable, append([]string{"firmware", "tamper"}, c.args...)...).told(), c.says)
			_, err := os.Stat(at("x"))
			assert.ErrorIs(t, err, os.ErrNotExist)
		})
	}
}
