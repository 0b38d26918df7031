package mender

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestVerifyGood(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			b := g.bytes(t)
			require.True(t, detect(input(b)))
			img := opened(t, b)
			report, err := img.Verify(trust(t, signer(t, "ecdsa").Public(), signer(t, "rsa").Public()))
			require.NoError(t, err)
			require.True(t, report.Verified)
			assert.Equal(t, report.Image.Signature, report.Signature)
			require.NotNil(t, report.Key)
			assert.Contains(t, report.Signature, report.Key.Algorithm)
			assert.Equal(t, "mender", report.Image.Format)
			assert.Equal(t, img.Name(), report.Image.Version)
			var steps []string
			for _, l := range report.Chain {
				steps = append(steps, l.Kind+" "+l.Name)
			}
			want := []string{"key sha256:" + report.Key.Fingerprint, "signature manifest", "hash version", "hash " + img.header.name}
			require.Equal(t, want, steps[:4])
			require.Len(t, steps, 4+len(img.lines)-2, "every line is a link")
			assert.Equal(t, g.key == "rsa", len(report.Findings) > 0, "rsa-2048 is on its way out")

			covered := append(slices.Clone(report.Image.Covered), report.Image.Uncovered...)
			slices.SortFunc(covered, func(a, b format.Region) int { return int(a.Offset - b.Offset) })
			at := int64(0)
			for _, r := range covered {
				require.Equal(t, at, r.Offset, r.Name)
				at += r.Size
			}
			require.EqualValues(t, len(b), at, "covered and uncovered are the whole file")
		})
	}
}

func TestDescribe(t *testing.T) {
	f := opened(t, made(t, fullSpec(), "ecdsa")).Describe()
	assert.Equal(t, []string{"device_type=board-a", "device_type=board-b"}, f.Targets)
	fields := map[string]string{}
	for _, x := range f.Fields {
		fields[x.Name] = x.Value
		assert.True(t, x.Protected, x.Name)
	}
	assert.Equal(t, "beta", fields["artifact_provides artifact_group"])
	assert.Equal(t, "release-5, release-6", fields["artifact_depends artifact_name"])
	assert.Equal(t, "6, 6.1", fields["payload 0 artifact_depends rootfs-image.version"])
	assert.Equal(t, "7", fields["payload 0 artifact_provides rootfs-image.module.version"])
	assert.Equal(t, "ArtifactInstall_Enter_01_check", fields["state script"])
	assert.Contains(t, strings.Join(f.Notes, "\n"), "1 state scripts run as root")

	unsigned, err := Build(fullSpec(), nil)
	require.NoError(t, err)
	f = opened(t, unsigned).Describe()
	assert.Empty(t, f.Covered)
	assert.Empty(t, f.Signature)
	assert.False(t, f.Fields[0].Protected)
	assert.Contains(t, f.Notes[0], "not signed")
}

func TestVerifyRefuses(t *testing.T) {
	key, other := signer(t, "ecdsa"), signer(t, "rsa")
	good := made(t, fullSpec(), "ecdsa")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	unsigned, err := Build(fullSpec(), nil)
	require.NoError(t, err)
	signedWith := func(sig []byte) []byte {
		return rawSeal(t, good, func(p *parts) { p.sig = base64.StdEncoding.AppendEncode(nil, sig) })
	}
	payload := func(files ...File) []byte {
		return reseal(t, good, key, func(p *parts) {
			b, err := pack(Gzip, files)
			require.NoError(t, err)
			p.data[0].Data = b
		})
	}
	app := fullSpec().Files
	for name, tc := range map[string]struct {
		b     []byte
		trust format.Trust
		want  error
		text  string
	}{
		"no key":                   {good, format.Trust{}, format.ErrNoTrustedKey, "no key"},
		"unsigned":                 {unsigned, trust(t, key.Public()), format.ErrUnsigned, "no manifest.sig"},
		"another key":              {good, trust(t, stranger.Public()), format.ErrBadSignature, "ECDSA signature"},
		"another kind of key":      {good, trust(t, other.Public()), format.ErrAlgorithm, "RSA key of 2048"},
		"a curve it does not know": {good, trust(t, p384.Public()), format.ErrAlgorithm, "P-256 only"},
		"ed25519":                  {good, trust(t, ed), format.ErrAlgorithm, "RSA and ECDSA"},
		"both of them":             {good, trust(t, other.Public(), stranger.Public(), ed), format.ErrBadSignature, "ECDSA signature"},
		"r and s zero":             {signedWith(make([]byte, 64)), trust(t, key.Public()), format.ErrBadSignature, "ECDSA signature"},
		"an empty signature":       {rawSeal(t, good, func(p *parts) { p.sig = []byte{} }), trust(t, key.Public()), format.ErrBadSignature, "0 bytes"},
		"DER too short":            {signedWith(append([]byte{0x30, 67}, make([]byte, 67)...)), trust(t, key.Public()), format.ErrBadSignature, "69 bytes"},
		"a file without a line":    {payload(append(app, File{"more", nil})...), trust(t, key.Public()), format.ErrNotBound, `"data/0000/more" has no line`},
		"a line without a file":    {payload(app[:2]...), trust(t, key.Public()), format.ErrMalformed, "data/0000/config.json, which is not"},
		"a file twice":             {payload(append(app, app[0])...), trust(t, key.Public()), format.ErrMalformed, `"app.bin" twice`},
		"a folder in the name":     {payload(append(app, File{"a/b", nil})...), trust(t, key.Public()), format.ErrMalformed, "no folder"},
		"upwards":                  {payload(append(app, File{"..", nil})...), trust(t, key.Public()), format.ErrMalformed, `".."`},
		"other contents":           {payload(File{"app.bin", []byte("x")}), trust(t, key.Public()), format.ErrBadHash, "data/0000/app.bin hashes to"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := opened(t, tc.b).Verify(tc.trust)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			require.False(t, report.Verified)
		})
	}
}

// rawSeal edits without signing again.
func rawSeal(t testing.TB, b []byte, edit func(p *parts)) []byte {
	p, err := opened(t, b).parts()
	require.NoError(t, err)
	edit(p)
	out, err := p.archive()
	require.NoError(t, err)
	return out
}

func TestSignatureForms(t *testing.T) {
	key := signer(t, "ecdsa")
	good := made(t, fullSpec(), "ecdsa")
	der := func(p *parts) []byte {
		for { // most are 70 to 72 bytes long, what upstream takes
			h := sha256.Sum256(p.manifest)
			sig, err := key.Sign(rand.Reader, h[:], crypto.SHA256)
			require.NoError(t, err)
			if len(sig) >= 70 {
				return sig
			}
		}
	}
	b := rawSeal(t, good, func(p *parts) { p.sig = base64.StdEncoding.AppendEncode(nil, der(p)) })
	report, err := opened(t, b).Verify(trust(t, key.Public()))
	require.NoError(t, err)
	assert.Contains(t, strings.Join(report.Image.Notes, "\n"), "DER")

	b = rawSeal(t, good, func(p *parts) { p.sig = append(p.sig, '\n') })
	_, err = opened(t, b).Verify(trust(t, key.Public()))
	require.NoError(t, err, "one newline may end it")

	for name, edit := range map[string]func(p *parts){
		"two lines":      func(p *parts) { p.sig = slices.Insert(p.sig, 40, '\n') },
		"not base64":     func(p *parts) { p.sig[3] = '!' },
		"not canonical":  func(p *parts) { p.sig[85] = p.sig[85]&0xf0 | 'h'&0x0f },
		"much too long":  func(p *parts) { p.sig = bytes.Repeat([]byte("AAAA"), 4000) },
		"trailing bytes": func(p *parts) { p.sig = append(p.sig, "AAAA"...) },
	} {
		_, err := OpenUnverified(input(rawSeal(t, good, edit)))
		assert.ErrorIs(t, err, format.ErrMalformed, name)
	}
}

func TestAugmentedPartsAreRefused(t *testing.T) {
	good := made(t, fullSpec(), "ecdsa")
	p, err := opened(t, good).parts()
	require.NoError(t, err)
	members := p.members()
	augment := File{"manifest-augment", manifestOf([]line{{sha256.Sum256(p.header.Data), "header-augment.tar.gz"}})}
	b, err := pack(None, slices.Concat(members[:3], []File{augment, members[3], {"header-augment.tar.gz", p.header.Data}}, members[4:]))
	require.NoError(t, err)
	img := opened(t, b)
	_, err = img.Verify(trust(t, signer(t, "ecdsa").Public()))
	require.ErrorIs(t, err, format.ErrNotBound)
	assert.Contains(t, strings.Join(img.Describe().Notes, "\n"), "covered by nothing")
	_, err = img.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestDecompressionIsBounded(t *testing.T) {
	good := made(t, fullSpec(), "ecdsa")
	v, err := opened(t, good).Tamper(format.DecompressionBomb, format.Means{})
	require.NoError(t, err)
	var bombed *Image
	allocated := testing.AllocsPerRun(1, func() {
		bombed = opened(t, v.Bytes)
		_, err = bombed.Verify(trust(t, signer(t, "ecdsa").Public()))
	})
	require.ErrorIs(t, err, format.ErrMalformed)
	require.ErrorContains(t, err, "announces 4294967296 bytes")
	assert.Less(t, allocated, 10_000.0)

	// One that lies about its size ends at the announced size, and what follows is no tar.
	r, done, err := decompress(Gzip, bytes.NewReader(gzipped(t, make([]byte, 4<<20))), 1<<20)
	require.NoError(t, err)
	defer done()
	n, err := discard(r)
	require.ErrorIs(t, err, format.ErrMalformed)
	require.EqualValues(t, 1<<20, n)
	r, done, err = decompress(Gzip, bytes.NewReader(gzipped(t, make([]byte, 1<<20))), 1<<20)
	require.NoError(t, err)
	defer done()
	n, err = discard(r)
	require.NoError(t, err, "exactly the limit")
	require.EqualValues(t, 1<<20, n)
}

func TestArchiveRefuses(t *testing.T) {
	good := made(t, fullSpec(), "ecdsa")
	img := opened(t, good)
	header := func(edit func(h []byte)) []byte {
		b := bytes.Clone(good)
		h := b[img.data[0].header : img.data[0].header+blockSize]
		edit(h)
		repairTar(h)
		return b
	}
	pax := func(h *tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		require.NoError(t, w.WriteHeader(h))
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	for name, tc := range map[string]struct {
		b    []byte
		text string
		is   error
	}{
		"empty":            {nil, "empty", format.ErrUnknownFormat},
		"no end mark":      {good[:img.data[0].end()], "without its end mark", format.ErrMalformed},
		"half an end mark": {good[:img.data[0].end()+blockSize], "without its end mark", format.ErrMalformed},
		"behind the end":   {append(bytes.Clone(good), 0, 0, 1), "behind the archive", format.ErrTrailing},
		"padding":          {func() []byte { b := bytes.Clone(good); b[img.members[0].at+img.members[0].size] = 1; return b }(), "not padded with zeros", format.ErrMalformed},
		"symlink":          {header(func(h []byte) { h[156] = '2' }), "no plain file", format.ErrMalformed},
		"folder":           {header(func(h []byte) { h[156] = '5'; copy(h[124:], "00000000000") }), "no plain file", format.ErrMalformed},
		"device":           {header(func(h []byte) { h[156] = '3' }), "no plain file", format.ErrMalformed},
		"too long":         {header(func(h []byte) { copy(h[124:], "77777777777") }), "announces 8589934591 bytes", format.ErrMalformed},
		"negative":         {header(func(h []byte) { copy(h[124:136], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00") }), "tar archive", format.ErrMalformed},
		"sparse":           {pax(&tar.Header{Name: "version", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.a": "b"}}), "extended record", format.ErrMalformed},
		"not the version":  {pax(&tar.Header{Name: "manifest", Typeflag: tar.TypeReg}), "first member", format.ErrMalformed},
	} {
		_, err := OpenUnverified(input(tc.b))
		require.ErrorIs(t, err, tc.is, name)
		require.ErrorContains(t, err, tc.text, name)
	}
	_, err := OpenUnverified(input(append(bytes.Clone(good), make([]byte, 5000)...)))
	require.NoError(t, err, "zeros fill up a record")
}
