package swupdate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// command finds a peer, or skips and names the Debian package that has it.
func command(t testing.TB, name, pkg string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian package %s)", name, pkg)
	}
	return path
}

// ask hands a file to swupdate -c, which checks and installs nothing. Its exit code may be 1
// although it is content, so what counts is its log.
func ask(t testing.TB, dir string, b []byte, args ...string) (good bool, log string) {
	file := filepath.Join(dir, "test.swu")
	require.NoError(t, os.WriteFile(file, b, 0o600))
	cmd := exec.Command(command(t, "swupdate", "swupdate"), append([]string{"-c", "-i", file}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, _ := cmd.CombinedOutput()
	return bytes.Contains(out, []byte("SWUPDATE successful")) && !bytes.Contains(out, []byte("ERROR")), string(out)
}

func rootFile(t testing.TB, dir, kind string) string {
	file := filepath.Join(dir, kind+"-root.pem")
	var text []byte
	for _, c := range pki(t, kind).Chain()[1:] { // Debian's build wants the intermediate there, too
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// peerSpec is what Debian's build has handlers for.
func peerSpec(edit func(*Spec)) Spec {
	s := fullSpec()
	s.Files[0].Name = "app.conf"
	edit(&s)
	return s
}

func TestToolAgrees(t *testing.T) {
	command(t, "swupdate", "swupdate")
	says := map[string]string{ // what the log says; empty: it is content, and why that is so
		format.Tampered:           "Signature verification failed",
		format.TamperedPlain:      "HASH mismatch",
		format.TamperedSum:        "HASH mismatch",
		format.HeaderFlip:         "Signature verification failed",
		format.SignatureFlip:      "Signature verification failed",
		format.TrailerFlip:        "CPIO Header corrupted",
		format.Unsigned:           "invalid or corrupted",
		format.DuplicateSignature: "Authentication of all signatures failed",
		format.WrongKey:           "Authentication of all signatures failed",
		format.WrongKeyForged:     "Signature verification failed",
		format.SelfMadeChain:      "Authentication of all signatures failed",
		format.ExpiredCertificate: "Authentication of all signatures failed",
		format.WrongPurpose:       "Authentication of all signatures failed",
		format.AlgorithmConfusion: "Signature verification failed",
		format.WeakAlgorithm:      "", // OpenSSL takes SHA-1 as a message digest
		format.Older:              "No downgrading allowed",
		format.OtherProduct:       "not compatible with hardware",
		format.OtherHardware:      "not compatible with hardware",
		format.TruncatedHeader:    "invalid or corrupted",
		format.TruncatedPayload:   "HASH mismatch",
		format.TruncatedSignature: "cannot be parsed as DER-encoded CMS",
		format.Empty:              "CPIO Header corrupted",
		format.Oversize:           "", // nothing says how large /dev/null is
		format.TrailingData:       "", // it stops reading at the trailer
		format.LengthLie:          "HASH mismatch",
		format.DuplicateEntry:     "HASH mismatch",
		format.UnsignedExtra:      "Hash not set",
		format.PathEscape:         "", // accepted before May 2026
		format.MixAndMatch:        "HASH mismatch",
		format.Swapped:            "Signature verification failed",
	}
	for name, edit := range map[string]func(*Spec){"ec": func(*Spec) {}, "json": func(s *Spec) { s.JSON = true }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ok, log := ask(t, dir, made(t, peerSpec(edit), "ec"), "-k", rootFile(t, dir, "ec"), "-H", "board:2.4")
			require.True(t, ok, log)
			ok, log = ask(t, dir, made(t, peerSpec(edit), "ec"), "-k", rootFile(t, dir, "ec"), "-H", "board:3.4")
			require.False(t, ok, log)
		})
	}
	g := goodImages()[1]
	require.Equal(t, "rsa_crc", g.name)
	good := made(t, peerSpec(g.spec), g.key)
	img, with := opened(t, good), means(t, g)
	for _, variant := range append(variants(), "") {
		t.Run("variant_"+variant, func(t *testing.T) {
			t.Parallel() // the tool mostly waits
			v, err := format.Variant{Bytes: good}, error(nil)
			if variant != "" {
				v, err = img.Tamper(variant, with)
				require.NoError(t, err)
			}
			want, known := says[variant]
			require.True(t, known || variant == "")
			judgeByTool(t, v, want)
		})
	}
}

// judgeByTool asks about a variant as a device like that of its manifest would.
func judgeByTool(t *testing.T, v format.Variant, want string) {
	dir := t.TempDir()
	b, hardware, args := v.Bytes, "board:1.0", []string{"-k", rootFile(t, dir, "rsa")}
	if v.Files != nil {
		b = v.Files["second"]
	}
	if d := v.Manifest.Device; d != nil {
		if d.Is["hwrevision"] != "" {
			hardware = d.Is["hwrevision"]
		}
		if d.Version != "" {
			args = append(args, "-N", d.Version)
		}
	}
	ok, log := ask(t, dir, b, append(args, "-H", hardware)...)
	t.Log(log)
	if want == "" {
		assert.True(t, ok)
		return
	}
	assert.False(t, ok)
	assert.Regexp(t, want, log)
}

// TestPeersMakeWhatVerifies signs by openssl and packs by cpio, as the documentation of SWUpdate does.
func TestPeersMakeWhatVerifies(t *testing.T) {
	openssl, cpio := command(t, "openssl", "openssl"), command(t, "cpio", "cpio")
	dir := t.TempDir()
	run := func(stdin, name string, args ...string) []byte {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		out, err := cmd.Output()
		require.NoError(t, err, "%v %v", name, args)
		return out
	}
	write := func(name, kind string, der []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	spec := peerSpec(func(*Spec) {})
	text, err := spec.description()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, descriptionName), text, 0o600))
	names := descriptionName + "\n" + signatureName + "\n"
	for _, list := range [][]Artifact{spec.Images, spec.Files, spec.Scripts} {
		for _, a := range list {
			require.NoError(t, os.WriteFile(filepath.Join(dir, a.Name), a.Data, 0o600))
			names += a.Name + "\n"
		}
	}
	key, err := x509.MarshalPKCS8PrivateKey(pki(t, "ec").Signer.Key)
	require.NoError(t, err)
	write("ec.key", "PRIVATE KEY", key)
	write("ec.crt", "CERTIFICATE", pki(t, "ec").Signer.Certificate.Raw)
	write("above.crt", "CERTIFICATE", pki(t, "ec").Intermediate.Certificate.Raw)
	bare, err := rsaKey()
	require.NoError(t, err)
	write("rsa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(bare))
	for _, tc := range []struct {
		name, key string
		sign      []string
	}{
		{"cms", "ec", []string{"cms", "-sign", "-in", descriptionName, "-out", signatureName, "-signer", "ec.crt", "-inkey", "ec.key", "-certfile", "above.crt", "-outform", "DER", "-nosmimecap", "-binary"}},
		{"cms without attributes", "ec", []string{"cms", "-sign", "-in", descriptionName, "-out", signatureName, "-signer", "ec.crt", "-inkey", "ec.key", "-certfile", "above.crt", "-outform", "DER", "-noattr", "-binary"}},
		{"raw", "raw", []string{"dgst", "-sha256", "-sign", "rsa.key", "-out", signatureName, descriptionName}},
		{"pss", "pss", []string{"dgst", "-sha256", "-sign", "rsa.key", "-out", signatureName, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-2", descriptionName}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run("", openssl, tc.sign...)
			for _, kind := range []string{"newc", "crc"} {
				b := run(names, cpio, "--quiet", "-o", "-H", kind, "-L")
				report, err := opened(t, b).Verify(trust(t, tc.key))
				require.NoError(t, err, kind)
				assert.True(t, strings.HasPrefix(report.Signature, map[string]string{"ec": "ecdsa-p256", "raw": "rsa-2048-pkcs1v15", "pss": "rsa-2048-pss"}[tc.key]), report.Signature)
			}
		})
	}
	// And back: openssl takes our raw signatures.
	public, err := x509.MarshalPKIXPublicKey(&bare.PublicKey)
	require.NoError(t, err)
	write("rsa.pub", "PUBLIC KEY", public)
	for _, kind := range []string{"raw", "pss"} {
		sig, err := identity(t, kind).sign(text, "")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "our.sig"), sig, 0o600))
		args := []string{"dgst", "-sha256", "-verify", "rsa.pub", "-signature", "our.sig"}
		if kind == "pss" {
			args = append(args, "-sigopt", "rsa_padding_mode:pss")
		}
		assert.Contains(t, string(run("", openssl, append(args, descriptionName)...)), "Verified OK")
	}
}
