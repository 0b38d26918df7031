package authenticode

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	randv2 "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

func TestVerify(t *testing.T) {
	for name, s := range map[string]Spec{"whole": spec(), "no checksum": {Payload: []byte("x"), NoSum: true}} {
		b := good(t, s)
		require.True(t, Format().Detect(format.Input{Source: format.FromBytes(b)}))
		r, img, err := verify(b, trust())
		require.NoError(t, err, name)
		assert.True(t, r.Verified)
		assert.Equal(t, "rsa-2048-pkcs1-sha256", strings.ReplaceAll(r.Signature, "rsa-2048-sha256", "rsa-2048-pkcs1-sha256"))
		assert.True(t, strings.HasPrefix(r.Digest, "sha256:"))
		assert.Equal(t, []string{"machine=x86-64"}, r.Image.Targets)
		assert.NotContains(t, strings.Join(r.Image.Notes, " "), "somebody may have changed")
		require.NoError(t, img.Check(format.Device{Is: map[string]string{"machine": "x86-64"}}))
		require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{"machine": "aarch64"}}), format.ErrWrongDevice)
		require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{"model": "a"}}), format.ErrDevice)
		require.ErrorIs(t, img.Check(format.Device{Version: "1"}), format.ErrDevice)
		require.ErrorIs(t, img.Check(format.Device{Size: 10}), format.ErrTooLarge)
		_, err = img.Verify(format.Trust{})
		require.ErrorIs(t, err, format.ErrNoTrustedKey)
	}
	r, _, err := verify(good(t, spec()), trust())
	require.NoError(t, err)
	assert.Contains(t, r.Image.Fields, format.Field{Name: "sbat maker.boot", Value: "4", Protected: true})

	unsigned, err := Build(spec())
	require.NoError(t, err)
	_, _, err = verify(unsigned, trust())
	require.ErrorIs(t, err, format.ErrUnsigned)

	b := good(t, spec())
	b[64+coffSize+offsetChecksum] ^= 1
	r, _, err = verify(b, trust())
	require.NoError(t, err, "the checksum is not covered")
	assert.Contains(t, strings.Join(r.Image.Notes, " "), "somebody may have changed")
}

func TestTwoSignatures(t *testing.T) {
	other, err := cms.NewPKI(cms.PKIOptions{})
	require.NoError(t, err)
	unsigned, err := Build(spec())
	require.NoError(t, err)
	b, err := Sign(unsigned, other.Signer, nil)
	require.NoError(t, err)
	_, _, err = verify(b, trust())
	require.ErrorIs(t, err, format.ErrChain)
	b, err = Sign(b, maker().Signer, nil)
	require.NoError(t, err)
	r, img, err := verify(b, trust())
	require.NoError(t, err)
	assert.Contains(t, strings.Join(r.Image.Notes, " "), "Signature 2 verifies")
	_, err = img.Tamper(format.Tampered, means(t))
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestEveryVariantIsRefused(t *testing.T) {
	b := good(t, spec())
	_, img, err := verify(b, trust())
	require.NoError(t, err)
	for _, variant := range Format().Variants {
		v, err := img.Tamper(variant, means(t))
		require.NoError(t, err, variant)
		bad := v.Bytes
		if v.Files != nil {
			require.Equal(t, b, v.Files[format.FileFirst])
			bad = v.Files[format.FileSecond]
		}
		r, _, err := verify(bad, trust())
		require.ErrorIs(t, err, v.Manifest.Reason, variant)
		assert.False(t, r.Verified)
		assert.NotEmpty(t, v.Manifest.Changed, variant)
		assert.NotEmpty(t, v.Manifest.Expected, variant)
		assert.NotEmpty(t, v.Manifest.Layer, variant)
	}
	_, err = img.Tamper("no such", means(t))
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	_, err = img.Tamper(format.PathEscape, means(t))
	require.ErrorIs(t, err, format.ErrNotApplicable)
	_, err = img.Tamper(format.WeakAlgorithm, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestStructure(t *testing.T) {
	le := binary.LittleEndian
	const optional = 64 + coffSize
	for name, c := range map[string]struct {
		edit func(b []byte) []byte
		want error
	}{
		"no PE header":             {func(b []byte) []byte { b[64] = 'X'; return b }, format.ErrMalformed},
		"PE header far away":       {func(b []byte) []byte { le.PutUint32(b[60:], 1<<30); return b }, format.ErrMalformed},
		"strange optional header":  {func(b []byte) []byte { le.PutUint16(b[optional:], 0x107); return b }, format.ErrMalformed},
		"too many directories":     {func(b []byte) []byte { le.PutUint32(b[optional+108:], 17); return b }, format.ErrMalformed},
		"too many sections":        {func(b []byte) []byte { le.PutUint16(b[64+6:], 97); return b }, format.ErrMalformed},
		"headers over sections":    {func(b []byte) []byte { le.PutUint32(b[optional+offsetHeaders:], 0x400); return b }, format.ErrMalformed},
		"table not aligned":        {func(b []byte) []byte { b[optional+112+32]++; return b }, format.ErrMalformed},
		"table over sections":      {func(b []byte) []byte { le.PutUint32(b[optional+112+32:], 0x200); return b }, format.ErrMalformed},
		"table without a place":    {func(b []byte) []byte { le.PutUint32(b[optional+112+32:], 0); return b }, format.ErrMalformed},
		"a byte behind the table":  {func(b []byte) []byte { return append(b, 0) }, format.ErrTrailing},
		"entry of another type":    {func(b []byte) []byte { b[le.Uint32(b[optional+112+32:])+6] = 1; return b }, format.ErrMalformed},
		"entry of another edition": {func(b []byte) []byte { b[le.Uint32(b[optional+112+32:])+5] = 1; return b }, format.ErrMalformed},
	} {
		_, _, err := verify(c.edit(good(t, spec())), trust())
		require.ErrorIs(t, err, c.want, name)
	}
}

// TestMutants: no mutant verifies unless it differs in what is uncovered only.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	b := good(t, spec())
	_, img, err := verify(b, trust())
	require.NoError(t, err)
	free := make([]bool, len(b))
	for _, r := range img.Describe().Uncovered {
		for i := range r.Size {
			free[r.Offset+i] = true
		}
	}
	r := randv2.New(randv2.NewPCG(1, 2))
	for i := range count {
		bad := mutate(r, bytes.Clone(b), int(img.table))
		if _, _, err := verify(bad, trust()); err != nil {
			continue
		}
		require.Equal(t, len(b), len(bad), "mutant %d", i)
		for at := range b {
			require.True(t, b[at] == bad[at] || free[at], "mutant %d verifies, changed at %d", i, at)
		}
	}
}

func mutate(r *randv2.Rand, b []byte, table int) []byte {
	for range 1 + r.IntN(3) {
		if len(b) < 8 {
			return b
		}
		at := r.IntN(len(b))
		if r.IntN(2) == 0 {
			at = []int{r.IntN(min(len(b), 0x200)), min(len(b)-1, table+r.IntN(64))}[r.IntN(2)]
		}
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b = b[:at]
		case 3:
			b = append(b[:at:at], append(make([]byte, r.IntN(9)), b[at:]...)...)
		case 4:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 5:
			if at+4 <= len(b) {
				binary.LittleEndian.PutUint32(b[at:], []uint32{0, 1, 8, 0xffff, 0x7fffffff, 0xffffffff, uint32(len(b))}[r.IntN(7)])
			}
		}
	}
	return b
}

func FuzzOpen(f *testing.F) {
	f.Add(good(f, spec()))
	f.Add(good(f, Spec{Payload: []byte("x"), NoSum: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, img, err := verify(b, trust())
		if img == nil {
			require.True(t, errors.Is(err, format.ErrMalformed) || errors.Is(err, format.ErrNotVerified), "%v", err)
			return
		}
		require.Equal(t, err == nil, r.Verified)
		for _, x := range append(r.Image.Covered, r.Image.Uncovered...) {
			require.GreaterOrEqual(t, x.Size, int64(0))
			require.LessOrEqual(t, x.Offset+x.Size, int64(len(b)))
		}
	})
}

// TestLargeImageIsStreamed: memory must not grow with the file.
func TestLargeImageIsStreamed(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes 64 MB")
	}
	payload := make([]byte, 64<<20)
	_, err := rand.Read(payload)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "large.efi")
	require.NoError(t, os.WriteFile(path, good(t, Spec{Payload: payload}), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	in := format.Input{Source: format.NewSource(f, info.Size())}
	bytesUsed := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			img, err := Format().OpenUnverified(in)
			require.NoError(b, err)
			_, err = img.Verify(trust())
			require.NoError(b, err)
		}
		b.SetBytes(info.Size())
		b.ReportAllocs()
	})
	t.Logf("%v %v", bytesUsed, bytesUsed.MemString())
	assert.Less(t, bytesUsed.AllocedBytesPerOp(), int64(4<<20))
}

func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
}

// TestTools: osslsigncode and sbsign make images that verify here, verify ours, and refuse our
// variants but for what they are known to overlook.
func TestTools(t *testing.T) {
	need(t, "osslsigncode")
	need(t, "sbsign")
	need(t, "sbverify")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, b []byte) { require.NoError(t, os.WriteFile(path(name), b, 0o600)) }
	run := func(args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		return string(out), err
	}
	write("root.pem", pemOf(t, "CERTIFICATE", maker().Root.Certificate.Raw))
	write("cert.pem", pemOf(t, "CERTIFICATE", maker().Signer.Certificate.Raw))
	write("key.pem", keyPEM(t, maker().Signer.Key))
	unsigned, err := Build(spec())
	require.NoError(t, err)
	write("in.efi", unsigned)
	for _, sign := range [][]string{
		{"osslsigncode", "sign", "-certs", path("cert.pem"), "-key", path("key.pem"), "-h", "sha256", "-in", path("in.efi"), "-out", path("out.efi")},
		{"sbsign", "--key", path("key.pem"), "--cert", path("cert.pem"), "--output", path("out.efi"), path("in.efi")},
	} {
		require.NoError(t, os.RemoveAll(path("out.efi")))
		out, err := run(sign...)
		require.NoError(t, err, out)
		b, err := os.ReadFile(path("out.efi"))
		require.NoError(t, err)
		r, _, err := verify(b, trust())
		require.NoError(t, err, sign[0])
		assert.NotContains(t, strings.Join(r.Image.Notes, " "), "Bytes between")
	}
	oss := func(b []byte) (string, error) {
		write("x.efi", b)
		return run("osslsigncode", "verify", "-CAfile", path("root.pem"), "-time", unix(maker().At), "-in", path("x.efi"))
	}
	sb := func(b []byte) (string, error) {
		write("x.efi", b)
		return run("sbverify", "--cert", path("root.pem"), path("x.efi"))
	}
	tools := map[string]func([]byte) (string, error){"osslsigncode": oss, "sbverify": sb}
	if told, err := run("osslsigncode", "--version"); err != nil || old.MatchString(told) {
		delete(tools, "osslsigncode") // before 2.9 it reads signatures of other tools only in part
	}
	b := good(t, spec())
	for name, tool := range tools {
		out, err := tool(b)
		require.NoError(t, err, "%s: %s", name, out)
	}
	_, img, err := verify(b, trust())
	require.NoError(t, err)
	lax := map[string]string{
		"osslsigncode weak-algorithm":  "it takes SHA-1",
		"osslsigncode trailing-data":   "it looks away from what hides in the entry (CVE-2013-3900)",
		"sbverify expired-certificate": "Secure Boot has no clock: validity is not looked at",
		"sbverify weak-algorithm":      "it takes SHA-1",
		"sbverify trailing-data":       "it looks away from what hides in the entry (CVE-2013-3900)",
	}
	for _, variant := range Format().Variants {
		v, err := img.Tamper(variant, means(t))
		require.NoError(t, err)
		bad := v.Bytes
		if v.Files != nil {
			bad = v.Files[format.FileSecond]
		}
		for name, tool := range tools {
			out, err := tool(bad)
			if why := lax[name+" "+variant]; why != "" {
				assert.NoError(t, err, "%s no longer takes %s: %s", name, variant, why)
			} else {
				assert.Error(t, err, "%s takes %s (%s): %s", name, variant, v.Manifest.Expected, out)
			}
			t.Logf("%s of %s: %v %s", name, variant, err, lastLine(out))
		}
	}
}

// old matches what osslsigncode before 2.9 says of itself.
var old = regexp.MustCompile(`osslsigncode (1|2\.[0-8])\b`)

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func pemOf(t *testing.T, kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pemOf(t, "PRIVATE KEY", der)
}
