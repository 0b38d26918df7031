package rauc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

func TestVerifyWhatBuildMakes(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"} {
		p := newPKI(t, cms.PKIOptions{Kind: kind, Intermediate: kind != "rsa-2048"})
		for _, k := range []Kind{Plain, Verity, Crypt} {
			t.Run(kind+" "+string(k), func(t *testing.T) {
				b := build(t, specOf(k, p))
				require.True(t, detect(format.Input{Source: format.FromBytes(b)}))
				r, err := verify(b, trustOf(p))
				require.NoError(t, err)
				assert.True(t, r.Verified)
				assert.True(t, strings.HasPrefix(r.Signature, kind), r.Signature)
				assert.Equal(t, kind, r.Key.Algorithm)
				assert.Equal(t, "root.pem", r.Chain[0].From)
				assert.EqualValues(t, 5*blockSize, r.Image.PayloadSize)
				if k != Plain {
					assert.Equal(t, "2026.11-1", r.Image.Version)
					assert.Equal(t, []string{"compatible=Board A"}, r.Image.Targets)
					assert.Equal(t, "dm-verity tree over 20480 bytes", r.Chain[len(r.Chain)-1].Name)
				}
				if k == Crypt {
					assert.NotContains(t, fmt.Sprint(r.Image.Fields), opened(t, b).manifest.CryptKey)
				}
				_, err = verify(b, format.Trust{At: at})
				require.ErrorIs(t, err, format.ErrNoTrustedKey)
				_, err = verify(b, trustOf(newPKI(t, cms.PKIOptions{})))
				require.ErrorIs(t, err, format.ErrChain)
			})
		}
	}
}

// TestTreeLevels has trees of no, one and two levels, and every boundary between.
func TestTreeLevels(t *testing.T) {
	for blocks, want := range map[int64]int64{1: 0, 2: 1, 128: 1, 129: 3, 256: 3, 128 * 128: 129, 128*128 + 1: 1 + 2 + 129} {
		_, size := levels(blocks)
		assert.Equal(t, want*blockSize, size, "%d blocks", blocks)
	}
	salt := bytes.Repeat([]byte{7}, hashSize)
	for _, blocks := range []int64{1, 2, 127, 128, 129, 300} {
		data := make([]byte, blocks*blockSize)
		for i := range blocks {
			binary.LittleEndian.PutUint64(data[i*blockSize:], uint64(i))
		}
		tree, root := makeTree(data, salt)
		whole := append(data, tree...)
		check := func() error { return verifyTree(bytes.NewReader(whole), blocks, salt, root) }
		require.NoError(t, check(), "%d blocks", blocks)
		for _, at := range []int64{0, int64(len(data)) - 1, int64(len(data)), int64(len(whole)) - 1} {
			if at >= int64(len(whole)) {
				continue
			}
			whole[at] ^= 1
			require.ErrorIs(t, check(), format.ErrBadHash, "%d blocks, byte %d", blocks, at)
			whole[at] ^= 1
		}
	}
	// One block: its salted hash is the root.
	_, root := makeTree(make([]byte, blockSize), salt)
	sum := sha256.Sum256(append(salt, make([]byte, blockSize)...))
	require.Equal(t, hex.EncodeToString(sum[:]), hex.EncodeToString(root))
}

func TestStructure(t *testing.T) {
	p := newPKI(t, cms.PKIOptions{})
	good := build(t, specOf(Verity, p))
	n := len(good)
	tail := func(size uint64) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(good[:n-8]), size) }
	size := binary.BigEndian.Uint64(good[n-8:])
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":              {nil, "the file is empty"},
		"seven bytes":        {make([]byte, 7), "8 bytes at offset -1"},
		"size over the file": {tail(uint64(n)), "signature size"},
		"size 2^63":          {tail(1 << 63), "signature size 9223372036854775808"},
		"size too large":     {append(make([]byte, 128<<10), tail(70000)...), "at most 65536"},
		"size one more":      {tail(size + 1), "want a multiple of 4096"},
		"no payload":         {good[n-8-int(size):], "payload of 0 bytes"},
		"no message":         {append(make([]byte, 4096), 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 4), "not DER"},
		"behind the message": {tail(size + 4096), ""},
	} {
		_, err := OpenUnverified(format.FromBytes(c.b))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := verify(append(bytes.Clone(good[:n-8-int(size)]), make([]byte, 8)...), trustOf(p))
	require.ErrorIs(t, err, format.ErrUnsigned)
}

func TestManifestRules(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	const update = "[update]\ncompatible=Board\n"
	for text, want := range map[string]string{
		update: "",
		"# comment\n" + update + "version = 1.0\n[meta.x]\nanything=1\n[rollout]\na=b\n": "",
		update + "[future]\nkey=value\n":                                                 "",
		"":                                                                               "no compatible",
		"compatible=Board\n":                                                             "before the first group",
		update + "compatible=Other\n":                                                    `key "compatible" twice`,
		update + "[update]\nversion=1\n":                                                 `group "update" twice`,
		update + "text\n":                                                                "neither group nor key",
		update + "[x\n":                                                                  "a group name",
		update + "version=\\x\n":                                                         "unknown escape",
		update + "version=\\":                                                            "backslash at the end",
		update + "\x00":                                                                  "not UTF-8",
		update + "[bundle]\nformat=other\n":                                              `format "other"`,
		update + "[bundle]\nformat=verity\n":                                             "verity-hash",
		update + "[bundle]\nformat=verity\nverity-hash=" + hash + "\nverity-salt=" + hash + "\n": "verity-size",
		update + "[bundle]\nformat=verity\nverity-hash=" + hash + "\nverity-salt=ab\n":           "verity-salt",
		update + "[bundle]\nformat=crypt\nverity-hash=" + hash + "\nverity-salt=" + hash + "\n":  "crypt-key",
		update + "[image.a]\nfilename=../a\nsha256=" + hash + "\nsize=1\n":                       "leaves the bundle",
		update + "[image.a]\nfilename=a\nsize=1\n":                                               "sha256",
		update + "[image.a]\nfilename=a\nsha256=" + hash + "\n":                                  "no size",
		update + "[image.a]\nfilename=a\nsha256=" + hash + "\nsize=-1\n":                         "size",
		update + "[image.a]\nfilename=a\nsha256=" + hash + "\nhooks=install\n":                   "",
		update + "[image.]\nfilename=a\nsha256=" + hash + "\nsize=1\n":                           "no slot",
		update + strings.Repeat("#", maxManifest):                                                "at most",
	} {
		m, err := ParseManifest([]byte(text))
		if want == "" {
			require.NoError(t, err, text)
			require.Equal(t, "Board", m.Compatible)
			continue
		}
		require.ErrorIs(t, err, format.ErrMalformed, text)
		require.ErrorContains(t, err, want, text)
	}
	m, err := ParseManifest([]byte(update + "[future]\nkey=value\n[bundle]\nnew=1\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"[future]", "[bundle] new"}, m.Unknown)
	require.Contains(t, m.notes()[1], "[future], [bundle] new")
}

func TestCheck(t *testing.T) {
	p := newPKI(t, cms.PKIOptions{})
	verity, plain := opened(t, build(t, specOf(Verity, p))), opened(t, build(t, specOf(Plain, p)))
	is := func(kv ...string) format.Device {
		d := format.Device{Is: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			d.Is[kv[i]] = kv[i+1]
		}
		return d
	}
	for name, c := range map[string]struct {
		b    *Bundle
		d    format.Device
		want error
	}{
		"anything goes":             {verity, format.Device{}, nil},
		"same board":                {verity, is("compatible", "Board A"), nil},
		"other board":               {verity, is("compatible", "Board B"), format.ErrWrongDevice},
		"manifest unreadable":       {plain, is("compatible", "Board A"), format.ErrWrongDevice},
		"older is needed":           {verity, format.Device{Version: "2026.09"}, nil},
		"the same is needed":        {verity, format.Device{Version: "2026.11-1"}, nil},
		"newer is needed":           {verity, format.Device{Version: "2026.12"}, format.ErrRollback},
		"a prerelease is older":     {verity, format.Device{Version: "2026.11"}, format.ErrRollback},
		"unreadable, newer needed":  {plain, format.Device{Version: "1"}, format.ErrRollback},
		"no version":                {verity, format.Device{Version: "new"}, format.ErrDevice},
		"plain is not allowed":      {plain, is("bundle-formats", "-plain"), format.ErrNotForDevice},
		"verity and crypt only":     {plain, is("bundle-formats", "verity crypt"), format.ErrNotForDevice},
		"verity is":                 {verity, is("bundle-formats", "verity crypt"), nil},
		"taken out and put back":    {plain, is("bundle-formats", "-plain +plain"), nil},
		"unknown bundle format":     {plain, is("bundle-formats", "-casync"), format.ErrDevice},
		"unknown word":              {verity, is("color", "red"), format.ErrDevice},
		"no counter in this format": {verity, format.Device{Counter: new(uint64(1))}, format.ErrDevice},
		"fits":                      {verity, format.Device{Size: 9000}, nil},
		"does not fit":              {verity, format.Device{Size: 8999}, format.ErrTooLarge},
	} {
		err := c.b.Check(c.d)
		if c.want == nil {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorIs(t, err, c.want, name)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	order := []string{"0.9", "1-alpha", "1-alpha.1", "1-alpha.beta", "1-2.0-x", "1", "1.0.1", "1.2", "1.10", "2026.09", "2026.11-1", "2026.11"}
	order[4] = "1-rc.2"
	for i, a := range order {
		for j, b := range order {
			got, err := compareVersions(a, b)
			require.NoError(t, err)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			require.Equal(t, want, got, "%s against %s", a, b)
		}
	}
	for _, bad := range []string{"", "v1", "1.2.3.4", "1..2", "1-", "1-a..b", "1.-2", "+1"} {
		_, err := compareVersions(bad, "1")
		require.Error(t, err, bad)
	}
}

func TestEnveloped(t *testing.T) {
	p, recipient, other := newPKI(t, cms.PKIOptions{}), newPKI(t, cms.PKIOptions{Kind: "rsa-2048"}), newPKI(t, cms.PKIOptions{Kind: "rsa-2048"})
	b := build(t, specOf(Crypt, p))
	clear := opened(t, b)
	sealed, err := cms.Seal(clear.signature, recipient.Signer.Certificate)
	require.NoError(t, err)
	b = appendSignature(b[:clear.payload], sealed)
	require.True(t, detect(format.Input{Source: format.FromBytes(b)}))
	require.Equal(t, Crypt, opened(t, b).Kind())

	_, err = verify(b, trustOf(p))
	require.ErrorIs(t, err, format.ErrEncrypted)
	trust := trustOf(p)
	trust.Recipients = []format.Anchor{{From: "other.pem", Bytes: pkcs8(t, other.Signer.Key)}}
	_, err = verify(b, trust)
	require.ErrorIs(t, err, format.ErrEncrypted)
	trust.Recipients = append(trust.Recipients, format.Anchor{From: "recipient.pem", Bytes: pkcs8(t, recipient.Signer.Key)})
	bundle := opened(t, b)
	r, err := bundle.Verify(trust)
	require.NoError(t, err)
	require.Equal(t, "2026.11-1", r.Image.Version)
	require.ErrorIs(t, bundle.Check(format.Device{Is: map[string]string{"compatible": "Board B"}}), format.ErrWrongDevice)

	b[5000] ^= 1
	_, err = verify(b, trust)
	require.ErrorIs(t, err, format.ErrBadHash)
	_, err = opened(t, b).Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

// A plain bundle tells compatible and version inside its payload, and rauc lets the maker choose how that is compressed.
func TestPlainManifestInEveryCompression(t *testing.T) {
	p := newPKI(t, cms.PKIOptions{})
	manifest := []byte("[update]\ncompatible=Board A\nversion=2026.11\n")
	for _, compression := range []string{"gzip", "xz", "zstd", "lzo", "lz4"} {
		s := specOf(Plain, p)
		s.Payload = squashed(t, map[string][]byte{"manifest.raucm": manifest, "rootfs.img": bytes.Repeat([]byte("firmware"), 4096)}, "-comp", compression)
		b := opened(t, build(t, s))
		_, err := b.Verify(trustOf(p))
		require.NoError(t, err, compression)
		require.NoError(t, b.Check(format.Device{Version: "2026.09", Is: map[string]string{"compatible": "Board A"}}), compression)
		require.ErrorIs(t, b.Check(format.Device{Version: "2026.12"}), format.ErrRollback, compression)
		require.ErrorIs(t, b.Check(format.Device{Is: map[string]string{"compatible": "Board B"}}), format.ErrWrongDevice, compression)
	}
}
