package swupdate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

const keyFile = "4fca193c559bc0002689e6dde78c5f5f09c24dbee0ffeb2cafa6ef55c0ecdb0b 77bc532eb29f86c5f806ff0d77f04045\n"

// sealAES is openssl enc -aes-256-cbc -K -iv.
func sealAES(t testing.TB, plain []byte) []byte {
	key, iv, err := readKey([]byte(keyFile))
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	b := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
	return b
}

func TestEncryptedDescription(t *testing.T) {
	recipient, err := cms.NewPKI(cms.PKIOptions{Kind: "rsa-2048"})
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(recipient.Signer.Key)
	require.NoError(t, err)
	good := made(t, fullSpec(), "ec")
	for how, k := range map[string]struct {
		seal func(plain []byte) []byte
		key  []byte
	}{
		sealedAES: {func(plain []byte) []byte { return sealAES(t, plain) }, []byte(keyFile)},
		sealedCMS: {func(plain []byte) []byte {
			b, err := cms.Seal(plain, recipient.Signer.Certificate)
			require.NoError(t, err)
			return b
		}, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
	} {
		t.Run(how, func(t *testing.T) {
			with, without := trust(t, "ec"), trust(t, "ec")
			with.Recipients = []format.Anchor{{From: "other.key", Bytes: []byte("no key")}, {From: "the.key", Bytes: k.key}}
			b := rewritten(t, good, func(w *work) { w.files[0].Data = k.seal(w.files[0].Data) })
			img := opened(t, b)
			require.Equal(t, how, img.Describe().Encrypted)
			_, err := img.Verify(without)
			require.ErrorIs(t, err, format.ErrEncrypted)
			require.ErrorIs(t, img.Check(format.Device{}), format.ErrNotForDevice)
			_, err = img.Tamper(format.Tampered, format.Means{})
			require.ErrorIs(t, err, format.ErrNotApplicable)
			wrong := without
			wrong.Recipients = []format.Anchor{{From: "other.key", Bytes: []byte(strings.Repeat("00", 32) + " " + strings.Repeat("11", 16))}}
			_, err = img.Verify(wrong)
			require.ErrorIs(t, err, format.ErrNotVerified)

			report, err := img.Verify(with)
			require.NoError(t, err)
			require.Equal(t, "2.1.0", report.Image.Version)
			require.Equal(t, how, report.Image.Encrypted)
			require.NoError(t, img.Check(format.Device{Version: "2.0.0", Is: map[string]string{"hwrevision": "board:1.0"}}))
			require.ErrorIs(t, img.Check(format.Device{Version: "3.0.0"}), format.ErrRollback)

			for name, tc := range map[string]struct {
				edit func(w *work)
				want error
			}{
				"another text under the key": {func(w *work) {
					w.files[0].Data = k.seal(bytes.Replace([]byte(opened(t, good).text), []byte("2.1.0"), []byte("2.1.9"), 1))
				}, format.ErrBadHash},
				"unsigned":      {func(w *work) { w.files = append(w.files[:1], w.files[2:]...) }, format.ErrUnsigned},
				"another image": {func(w *work) { w.files[2].Data = []byte("evil") }, format.ErrBadHash},
				"a bit":         {func(w *work) { w.files[0].Data[len(w.files[0].Data)-40] ^= 1 }, format.ErrNotVerified},
			} {
				_, err := opened(t, rewritten(t, good, func(w *work) { w.files[0].Data = k.seal(w.files[0].Data); tc.edit(w) })).Verify(with)
				assert.ErrorIs(t, err, tc.want, name)
			}
			signed, err := identity(t, "ec").sign(k.seal([]byte(opened(t, good).text)), "")
			require.NoError(t, err)
			_, err = opened(t, rewritten(t, b, func(w *work) { w.files[1].Data = signed })).Verify(with)
			require.ErrorIs(t, err, format.ErrBadHash, "the signature is of the text in clear")
		})
	}
	twice := rewritten(t, good, func(w *work) {
		inner := sealAES(t, w.files[0].Data)
		sig, err := identity(t, "ec").sign(inner, "")
		require.NoError(t, err)
		w.files[0].Data, w.files[1].Data = sealAES(t, inner), sig
	})
	with := trust(t, "ec")
	with.Recipients = []format.Anchor{{From: "the.key", Bytes: []byte(keyFile)}}
	_, err = opened(t, twice).Verify(with)
	require.ErrorIs(t, err, format.ErrMalformed)
}

// What is text stays text, however damaged: "encrypted" is no excuse for a syntax error.
func TestDamagedTextIsNotEncrypted(t *testing.T) {
	for _, text := range []string{"", "software = {", "software = \x01\x02\x03\x04\x05\x06\x07", "software = \xe4\xff\xfe\xe4\xe4\xe4"} {
		require.Empty(t, sealed([]byte(text)), "%q", text)
	}
	require.Equal(t, sealedAES, sealed(sealAES(t, []byte(strings.Repeat("software = { version = \"1\"; };", 10)))))
}

// TestGPGSigns has gpg sign sw-description as SWUpdate's documentation says.
func TestGPGSigns(t *testing.T) {
	gpg := command(t, "gpg", "gnupg")
	dir, err := os.MkdirTemp("", "gpg") // the agent's socket has a short name
	require.NoError(t, err)
	run := func(args ...string) {
		cmd := exec.Command(gpg, append([]string{"--batch", "--yes", "--quiet", "--homedir", dir}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--homedir", dir, "--kill", "gpg-agent")
		_ = kill.Run()
		_ = os.RemoveAll(dir)
	})
	good := made(t, fullSpec(), "ec")
	text := opened(t, good).text
	file := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(file(descriptionName), text, 0o600))
	rings := map[string]format.Trust{}
	archives := map[string][]byte{}
	for _, algorithm := range []string{"ed25519", "rsa2048", "nistp256"} {
		id := algorithm + "@example.com"
		run("--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", id, algorithm, "sign", "never")
		run("--output", file("ring"), "--export", id)
		ring, err := os.ReadFile(file("ring"))
		require.NoError(t, err)
		rings[algorithm] = format.Trust{Own: map[string][]format.Anchor{"openpgp": {{From: "ring", Bytes: ring}}}, At: time.Now().Add(time.Hour)}
		for _, armor := range []string{"--no-armor", "--armor"} {
			run(armor, "--default-key", id, "--output", file(signatureName), "--detach-sig", file(descriptionName))
			sig, err := os.ReadFile(file(signatureName))
			require.NoError(t, err)
			b := rewritten(t, good, func(w *work) { w.files[1].Data = sig })
			report, err := opened(t, b).Verify(rings[algorithm])
			require.NoError(t, err, "%s %s", algorithm, armor)
			require.NotEmpty(t, report.Key)
			require.Contains(t, opened(t, b).Describe().Signature, "openpgp-")
			archives[algorithm] = b
		}
	}
	b := archives["ed25519"]
	for name, who := range map[string]format.Trust{"another key": rings["rsa2048"], "roots alone": trust(t, "ec"), "bare keys alone": trust(t, "raw"), "nobody": {}} {
		_, err := opened(t, b).Verify(who)
		assert.ErrorIs(t, err, format.ErrNoTrustedKey, name)
	}
	for _, kind := range []string{"ec", "raw"} { // a device built for GPG takes nothing else
		_, err := opened(t, made(t, fullSpec(), kind)).Verify(rings["ed25519"])
		assert.ErrorIs(t, err, format.ErrNotVerified, kind)
	}
	img := opened(t, b)
	for _, variant := range variants() {
		v, err := img.Tamper(variant, format.Means{})
		if err != nil {
			require.ErrorIs(t, err, format.ErrNotApplicable, variant)
			continue
		}
		bad, err := OpenUnverified(input(v.Bytes))
		if err == nil && v.Manifest.Device == nil {
			_, err = bad.Verify(rings["ed25519"])
		}
		if v.Manifest.Device == nil {
			require.Error(t, err, variant)
		}
	}
	later := rings["ed25519"]
	later.At = time.Time{} // no time: no key was valid
	_, err = opened(t, b).Verify(later)
	require.Error(t, err)
	sealedToo := rings["ed25519"]
	sealedToo.Recipients = []format.Anchor{{From: "the.key", Bytes: []byte(keyFile)}}
	_, err = opened(t, rewritten(t, b, func(w *work) { w.files[0].Data = sealAES(t, w.files[0].Data) })).Verify(sealedToo)
	require.NoError(t, err)
}
