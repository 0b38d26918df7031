package capsule

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

const imageType = "058b7d83-50d5-4c47-a195-60d86ad341c4"

var maker = sync.OnceValue(func() *cms.PKI {
	pki, err := cms.NewPKI(cms.PKIOptions{Kind: "rsa-2048"})
	if err != nil {
		panic(err)
	}
	return pki
})

func trust() format.Trust {
	return format.Trust{At: maker().At, Roots: []format.Root{{Certificate: maker().Root.Certificate, From: "root.pem"}}}
}

func spec() Spec {
	return Spec{ImageType: imageType, Index: 1, Count: 7, Image: bytes.Repeat([]byte("firmware"), 100)}
}

func good(t testing.TB, s Spec) []byte {
	b, err := Build(s, &maker().Signer, nil)
	require.NoError(t, err)
	return b
}

func means(t testing.TB) format.Means {
	s := spec()
	s.Image, s.Count = []byte("older"), 6
	older := format.FromBytes(good(t, s))
	return format.Means{Signer: maker().Signer.Key, Chain: maker().Chain(), Issuer: maker().Issuer().Key, Older: &older}
}

func verify(b []byte) (format.Report, *Image, error) {
	i, err := Format().OpenUnverified(format.Input{Source: format.FromBytes(b)})
	if err != nil {
		return format.Report{}, nil, err
	}
	r, err := i.Verify(trust())
	return r, i.(*Image), err
}

func TestVerify(t *testing.T) {
	for _, version := range []uint32{1, 2, 3} {
		s := spec()
		s.Version, s.Vendor = version, []byte("vendor code")
		b := good(t, s)
		require.True(t, Format().Detect(format.Input{Source: format.FromBytes(b)}))
		r, img, err := verify(b)
		require.NoError(t, err)
		assert.True(t, r.Verified)
		assert.EqualValues(t, 7, *r.Image.SecurityCounter)
		assert.Equal(t, []string{"image-type=" + imageType, "hardware-instance=0x0"}, r.Image.Targets)
		assert.NotEmpty(t, r.Chain)
		_, err = img.Verify(format.Trust{})
		require.ErrorIs(t, err, format.ErrNoTrustedKey)

		var sum int64
		for _, x := range append(r.Image.Covered, r.Image.Uncovered...) {
			sum += x.Size
		}
		assert.LessOrEqual(t, sum, int64(len(b)))

		require.NoError(t, img.Check(format.Device{Counter: new(uint64(7)), Is: map[string]string{"image-type": imageType}}))
		require.ErrorIs(t, img.Check(format.Device{Counter: new(uint64(8))}), format.ErrRollback)
		require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{"image-type": guidFMP}}), format.ErrWrongDevice)
		require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{"model": "a"}}), format.ErrDevice)
		require.ErrorIs(t, img.Check(format.Device{Version: "1"}), format.ErrDevice)
		require.ErrorIs(t, img.Check(format.Device{Size: 10}), format.ErrTooLarge)
	}
	b, err := Build(spec(), nil, nil)
	require.NoError(t, err)
	_, _, err = verify(b)
	require.ErrorIs(t, err, format.ErrUnsigned)
}

func TestEveryVariantIsRefused(t *testing.T) {
	_, img, err := verify(good(t, spec()))
	require.NoError(t, err)
	for _, variant := range Format().Variants {
		v, err := img.Tamper(variant, means(t))
		require.NoError(t, err, variant)
		bad := v.Bytes
		if v.Files != nil {
			bad = v.Files[format.FileSecond]
		}
		r, changed, err := verify(bad)
		if v.Manifest.Device != nil {
			require.NoError(t, err)
			err = changed.Check(*v.Manifest.Device)
		} else {
			assert.False(t, r.Verified, variant)
		}
		require.ErrorIs(t, err, v.Manifest.Reason, variant)
		assert.NotEmpty(t, v.Manifest.Changed, variant)
		assert.NotEmpty(t, v.Manifest.Expected, variant)
	}
	_, err = img.Tamper("no such", means(t))
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	_, err = img.Tamper(format.PathEscape, means(t))
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestStructure(t *testing.T) {
	le := binary.LittleEndian
	const item = capsuleHead + fmpHead + 8
	for name, edit := range map[string]func(b []byte){
		"header size":        func(b []byte) { le.PutUint32(b[16:], 32) },
		"capsule too long":   func(b []byte) { le.PutUint32(b[24:], 1<<30) },
		"FMP version":        func(b []byte) { b[capsuleHead] = 2 },
		"drivers":            func(b []byte) { b[capsuleHead+4] = 1 },
		"offset of the item": func(b []byte) { le.PutUint64(b[capsuleHead+8:], 1<<63) },
		"item version":       func(b []byte) { b[item] = 4 },
		"image size":         func(b []byte) { le.PutUint32(b[item+24:], 0xffffffff) },
		"vendor size":        func(b []byte) { b[item+28] = 1 },
		"no longer signed":   func(b []byte) { b[item+40] = 0 },
		"dependencies":       func(b []byte) { b[item+40] = 3 },
		"certificate type":   func(b []byte) { b[item+itemHead3+countSize+6] = 0 },
	} {
		b := good(t, spec())
		edit(b)
		_, _, err := verify(b)
		require.ErrorIs(t, err, format.ErrMalformed, name)
	}
}

func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	b := good(t, spec())
	_, img, err := verify(b)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range count {
		_, other, err := verify(mutate(r, bytes.Clone(b)))
		if err != nil {
			continue
		}
		require.Equal(t, img.count, other.count, "mutant %d", i)
		want, err := img.in.Bytes(img.image, img.size)
		require.NoError(t, err)
		got, err := other.in.Bytes(other.image, other.size)
		require.NoError(t, err)
		require.Equal(t, want, got, "mutant %d", i)
	}
}

func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) < 4 {
			return b
		}
		at := r.IntN(len(b))
		if r.IntN(2) == 0 {
			at = r.IntN(min(len(b), 140))
		}
		switch r.IntN(5) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b = b[:at]
		case 2:
			b = append(b[:at:at], append(make([]byte, r.IntN(9)), b[at:]...)...)
		case 3:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 4:
			if at+4 <= len(b) {
				binary.LittleEndian.PutUint32(b[at:], []uint32{0, 1, 8, 0xffff, 0x7fffffff, 0xffffffff, uint32(len(b))}[r.IntN(7)])
			}
		}
	}
	return b
}

func FuzzOpen(f *testing.F) {
	f.Add(good(f, spec()))
	s := spec()
	s.Version = 1
	f.Add(good(f, s))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, img, err := verify(b)
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

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pemOf("PRIVATE KEY", der)
}

// TestTools: capsules of mkeficapsule verify here; openssl judges image and count of our
// variants as we do, as far as they can be taken apart.
func TestTools(t *testing.T) {
	for _, tool := range []string{"mkeficapsule", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, b []byte) { require.NoError(t, os.WriteFile(path(name), b, 0o600)) }
	run := func(args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		return string(out), err
	}
	write("root.pem", pemOf("CERTIFICATE", maker().Root.Certificate.Raw))
	write("cert.pem", pemOf("CERTIFICATE", maker().Signer.Certificate.Raw))
	write("key.pem", keyPEM(t, maker().Signer.Key))
	write("image", spec().Image)
	make := []string{"mkeficapsule", "--guid", imageType, "--index", "1"}
	out, err := run(append(make, "--private-key", path("key.pem"), "--certificate", path("cert.pem"), "--monotonic-count", "7", path("image"), path("out"))...)
	require.NoError(t, err, out)
	b, err := os.ReadFile(path("out"))
	require.NoError(t, err)
	r, img, err := verify(b)
	require.NoError(t, err)
	assert.EqualValues(t, 7, *r.Image.SecurityCounter)
	assert.Contains(t, r.Image.Targets, "image-type="+imageType)
	ours := good(t, spec())
	assert.Equal(t, b[:24], ours[:24], "the same headers")
	for _, variant := range Format().Variants { // theirs, which may have no signed attributes
		v, err := img.Tamper(variant, means(t))
		require.NoError(t, err)
		if v.Bytes == nil || v.Manifest.Device != nil {
			continue
		}
		_, _, err = verify(v.Bytes)
		require.ErrorIs(t, err, v.Manifest.Reason, variant)
	}
	out, err = run(append(make, path("image"), path("out"))...)
	require.NoError(t, err, out)
	b, err = os.ReadFile(path("out"))
	require.NoError(t, err)
	_, _, err = verify(b)
	require.ErrorIs(t, err, format.ErrUnsigned)

	openssl := func(img *Image) (string, error) {
		der, err := img.in.Bytes(img.cert+certHead, img.image-img.cert-certHead)
		require.NoError(t, err)
		content := new(bytes.Buffer)
		_, err = content.ReadFrom(img.content())
		require.NoError(t, err)
		write("der", der)
		write("content", content.Bytes())
		return run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", path("der"), "-content", path("content"), "-CAfile", path("root.pem"),
			"-purpose", "any", "-attime", strconv.FormatInt(maker().At.Unix(), 10), "-out", path("ignored"))
	}
	_, img, err = verify(ours)
	require.NoError(t, err)
	out, err = openssl(img)
	require.NoError(t, err, out)
	lax := map[string]bool{format.WrongPurpose: true, format.WeakAlgorithm: true} // openssl cms asks for neither
	for _, variant := range Format().Variants {
		v, err := img.Tamper(variant, means(t))
		require.NoError(t, err)
		_, changed, err := verify(v.Bytes)
		if changed == nil || !changed.signed || err == nil {
			continue
		}
		out, err := openssl(changed)
		assert.Equal(t, lax[variant], err == nil, "%s: %s", variant, out)
	}
}
