package suit

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func isRefusal(err error) bool {
	return errors.Is(err, format.ErrMalformed) || errors.Is(err, format.ErrNotVerified) || errors.Is(err, format.ErrNotForDevice)
}

func TestVerify(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			img, err := OpenUnverified(input(g.bytes(t)))
			require.NoError(t, err)
			require.True(t, detect(input(g.bytes(t))))
			report, err := img.Verify(trust(t, g.key))
			require.NoError(t, err)
			require.True(t, report.Verified)
			assert.Equal(t, img.digest.String(), report.Digest)
			assert.Equal(t, report.Image.Signature, report.Signature)
			assert.Equal(t, "12", report.Image.Version)
			assert.EqualValues(t, 12, *report.Image.SecurityCounter)
			assert.Contains(t, report.Image.Targets, "vendor-id="+strings.Repeat("aa", 16))
			require.NotEmpty(t, report.Chain)
			assert.NotEmpty(t, report.Chain[0].From)
			assert.NotZero(t, report.Chain[0].Strength)
			assert.Equal(t, g.key == "rsa2048", len(report.Findings) > 0)
			assert.Equal(t, g.key != "mac", report.Key != nil)

			_, err = img.Verify(trust(t, "other"))
			require.ErrorIs(t, err, format.ErrNotVerified)
			_, err = img.Verify(format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
		})
	}
}

// signed is an envelope of a manifest written by hand.
func signed(t testing.TB, m entry, members ...part) []byte {
	d := &draft{tagged: true, alg: SHA256, manifest: encode(m), members: members}
	require.NoError(t, d.redigest())
	blk, err := signBlock(d.digest, key(t, "p256"), nil, false)
	require.NoError(t, err)
	d.blocks = [][]byte{blk}
	return d.bytes()
}

func byHand(shared, install []any) entry {
	return entry{
		keyVersion: 1, keySequence: 1, keyInstall: encode(install),
		keyCommon: encode(entry{keyCommonComponents: [][][]byte{{{0}}, {{1}}}, keyCommonShared: encode(shared)}),
	}
}

func sum256(t testing.TB, b []byte) []byte {
	d, err := digestOf(SHA256, b)
	require.NoError(t, err)
	return d.encode()
}

// TestPayloadsAreBound: a payload counts only if every way through the sequences compares it.
func TestPayloadsAreBound(t *testing.T) {
	one, two := []byte("image one"), []byte("image two, longer")
	a, b := part{encode("#a"), one}, part{encode("#b"), two}
	set := func(p entry) []any { return []any{dirOverride, p} }
	join := func(parts ...[]any) (out []any) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	fetch := func(uri string) []any { return join(set(entry{paramURI: uri}), []any{dirFetch, 2}) }
	match, index := []any{condImage, 15}, func(i any) []any { return []any{dirIndex, i} }
	digest := func(p []byte) []any { return set(entry{paramDigest: sum256(t, p), paramSize: len(p)}) }
	try := func(branches ...[]any) []any {
		var list []any
		for _, s := range branches {
			if s == nil {
				list = append(list, nil)
			} else {
				list = append(list, encode(s))
			}
		}
		return []any{dirTryEach, list}
	}
	slotIs := func(n int) []any { return join(set(entry{paramSlot: n}), []any{condSlot, 5}) }
	for _, tc := range []struct {
		name            string
		shared, install []any
		members         []part
		want            error
	}{
		{"compared", digest(one), join(fetch("#a"), match), []part{a}, nil},
		{"never compared", digest(one), fetch("#a"), []part{a}, format.ErrNotBound},
		{"compared before it is fetched", digest(one), join(match, fetch("#a")), []part{a}, format.ErrNotBound},
		{"another component is compared", digest(one), join(index(1), fetch("#a"), index(0), match), []part{a}, format.ErrNotBound},
		{"no digest", set(entry{paramSize: 9}), join(fetch("#a"), match), []part{a}, format.ErrNotBound},
		{"digest of another", digest(two), join(fetch("#a"), match), []part{a}, format.ErrBadHash},
		{"size of another", set(entry{paramDigest: sum256(t, one), paramSize: 8}), join(fetch("#a"), match), []part{a}, format.ErrBadHash},
		{"weak digest", set(entry{paramDigest: Digest{-15, []byte("12345678")}.encode()}), join(fetch("#a"), match), []part{a}, format.ErrWeak},
		{"not there", digest(one), join(fetch("#b"), match), []part{a}, format.ErrNotBound},
		{"nobody speaks of it", digest(one), join(fetch("#a"), match), []part{a, b}, format.ErrNotBound},
		{"copied, then compared", digest(two), join(index(1), fetch("#b"), index(0), set(entry{paramSource: 1}), []any{dirCopy, 2}, match), []part{b}, nil},
		{"both components", join(index([]int{0, 1}), digest(one)), join(index(true), fetch("#a"), match), []part{a}, nil},
		{"slots, each with its image",
			try(join(slotIs(0), digest(one)), join(slotIs(1), digest(two))),
			join(try(join(slotIs(0), set(entry{paramURI: "#a"})), join(slotIs(1), set(entry{paramURI: "#b"}))), []any{dirFetch, 2}, match), []part{a, b}, nil},
		{"slots, a default for the other",
			try(join(slotIs(0), digest(one)), digest(two)),
			join(try(join(slotIs(0), set(entry{paramURI: "#a"})), set(entry{paramURI: "#b"})), []any{dirFetch, 2}, match), []part{a, b}, nil},
		{"slots, one with the other's image",
			try(join(slotIs(0), digest(one)), join(slotIs(1), digest(two))),
			join(try(join(slotIs(0), set(entry{paramURI: "#b"})), join(slotIs(1), set(entry{paramURI: "#a"}))), []any{dirFetch, 2}, match), []part{a, b}, format.ErrBadHash},
		{"one slot compares nothing", digest(one),
			join(try(slotIs(0), slotIs(1)), fetch("#a"), try(join(slotIs(0), match), []any{condSlot, 5})), []part{a}, format.ErrNotBound},
		{"the first digest of two that fits", set(entry{paramSize: 9}),
			join(fetch("#a"), try(join(set(entry{paramDigest: sum256(t, two)}), match), join(set(entry{paramDigest: sum256(t, one)}), match))), []part{a}, nil},
		{"a comparison that may be skipped", digest(two), join(fetch("#a"), try(match, nil)), []part{a}, format.ErrNotBound},
		{"a hard failure ends it", digest(two), join(fetch("#a"), try(join(set(entry{paramSoft: false}), match), nil)), []part{a}, format.ErrBadHash},
		{"within a run sequence", digest(one), join(fetch("#a"), []any{dirRun, encode(match)}), []part{a}, nil},
		{"a soft run sequence", digest(two), join(fetch("#a"), []any{dirRun, encode(join(set(entry{paramSoft: true}), match))}), []part{a}, format.ErrNotBound},
		{"check content", set(entry{paramContent: one}), join(fetch("#a"), []any{condContent, 15}), []part{a}, nil},
		{"check other content", set(entry{paramContent: two}), join(fetch("#a"), []any{condContent, 15}), []part{a}, format.ErrBadHash},
		{"written and compared", digest(one), join(set(entry{paramContent: one}), []any{dirWrite, 15}, match), nil, nil},
		{"written and another compared", digest(one), join(set(entry{paramContent: two}), []any{dirWrite, 15}, match), nil, format.ErrBadHash},
		{"encrypted", digest(one), join(set(entry{paramEncryption: []byte{0xd8}}), fetch("#a"), match), []part{a}, format.ErrEncrypted},
		{"override many", digest(one), join([]any{dirOverrideMany, map[int]entry{0: {paramURI: "#a"}}}, []any{dirFetch, 2}, match), []part{a}, nil},
		{"copied parameters", digest(one), join([]any{dirIndex, 1, dirCopyParameters, map[int][]int{0: {paramDigest}}}, fetch("#a"), match), []part{a}, nil},
		{"always aborts", digest(one), join([]any{condAbort, 15}, fetch("#a"), match), []part{b}, format.ErrNotBound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Open(input(signed(t, byHand(tc.shared, tc.install), tc.members...)), trust(t, "p256"))
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

// TestWorkIsBounded: ways and commands are counted, not followed for ever.
func TestWorkIsBounded(t *testing.T) {
	branch := encode([]any{condSlot, 5})
	var many []any
	for i := range 40 {
		many = append(many, dirOverride, entry{paramSlot: i}, dirTryEach, []any{branch, branch, nil}, 27, 0, dirTryEach, []any{encode([]any{27, 0}), nil})
	}
	deep := []any{condSlot, 5}
	for range 12 {
		deep = []any{dirRun, encode(deep)}
	}
	for name, shared := range map[string][]any{"ways": many, "depth": deep} {
		began := time.Now()
		_, err := Open(input(signed(t, byHand(shared, []any{dirIndex, 0}))), trust(t, "p256"))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.Less(t, time.Since(began), time.Minute, name)
	}
}

func TestSeverable(t *testing.T) {
	s := goodImages()[1].spec(t)
	b := made(t, s, "p256")
	img, err := OpenUnverified(input(b))
	require.NoError(t, err)
	d, err := img.draft()
	require.NoError(t, err)

	text := d.clone()
	text.members = append(text.members[:1:1], text.members[2:]...)
	_, err = Open(input(text.bytes()), trust(t, "p256"))
	require.NoError(t, err, "text may be severed")

	install := d.clone()
	install.members = install.members[1:]
	_, err = Open(input(install.bytes()), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound)
	installed := trust(t, "p256")
	installed.Installed = true
	_, err = Open(input(install.bytes()), installed)
	require.NoError(t, err, "it has been installed")

	flipped := d.clone()
	value := bytes.Clone(flipped.members[1].value)
	value[len(value)-1] ^= 1
	flipped.members[1].value = value
	_, err = Open(input(flipped.bytes()), installed)
	require.ErrorIs(t, err, format.ErrBadHash, "text is covered")

	extra := d.clone()
	extra.members = append([]part{{encode(keyFetch), encode([]any{dirIndex, 0})}}, extra.members...)
	_, err = Open(input(extra.bytes()), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound, "the manifest does not know it")
}

func TestArtifact(t *testing.T) {
	s := spec()
	s.URI = "coap://update.example/fw.bin"
	in := input(made(t, s, "p256"))
	img, err := Open(in, trust(t, "p256"))
	require.NoError(t, err)
	report, err := img.Verify(trust(t, "p256"))
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Image.Notes, "\n"), "was not checked here")

	payload := format.FromBytes(s.Payload)
	in.Artifact = &payload
	img, err = Open(in, trust(t, "p256"))
	require.NoError(t, err)
	report, err = img.Verify(trust(t, "p256"))
	require.NoError(t, err)
	require.Equal(t, "payload of coap://update.example/fw.bin", report.Chain[len(report.Chain)-1].Name)

	for _, bad := range [][]byte{nil, s.Payload[1:], append(bytes.Clone(s.Payload[1:]), 'x')} {
		payload := format.FromBytes(bad)
		in.Artifact = &payload
		_, err = Open(in, trust(t, "p256"))
		require.ErrorIs(t, err, format.ErrBadHash)
	}
	in = input(made(t, spec(), "p256"))
	in.Artifact = &payload
	_, err = Open(in, trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound, "the manifest does not ask for it")
}

// TestDependency: the digest in the manifest says which dependency, a trusted key that it is genuine.
func TestDependency(t *testing.T) {
	with := func(dependency []byte) []byte {
		s := spec()
		s.Dependency = dependency
		return made(t, s, "p256")
	}
	sub := spec()
	sub.Sequence, sub.ID = 3, []byte("radio")
	good := made(t, sub, "p256")
	_, err := Open(input(with(good)), trust(t, "p256"))
	require.NoError(t, err)

	_, err = Open(input(with(made(t, sub, "other"))), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrBadSignature, "a stranger's dependency")
	_, err = Open(input(with(made(t, sub, "other"))), trust(t, "p256", "other"))
	require.NoError(t, err, "another author who is trusted")

	// A genuine dependency of another release in its place.
	img, err := OpenUnverified(input(with(good)))
	require.NoError(t, err)
	d, err := img.draft()
	require.NoError(t, err)
	sub.Sequence = 2
	for i, m := range d.members {
		if bytes.Equal(m.key, encode("#dependency")) {
			d.members[i].value = made(t, sub, "p256")
		}
	}
	_, err = Open(input(d.bytes()), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrBadHash)

	// A device that has a newer one refuses the older.
	img, err = Open(input(with(good)), trust(t, "p256"))
	require.NoError(t, err)
	require.NoError(t, img.Check(format.Device{Has: map[string]string{"726164696f": "3"}}))
	require.ErrorIs(t, img.Check(format.Device{Has: map[string]string{"726164696f": "4"}}), format.ErrRollback)

	nested := good
	for range maxDepth + 1 {
		s := spec()
		s.Dependency = nested
		nested = made(t, s, "p256")
	}
	_, err = Open(input(nested), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrMalformed, "too deep")
}

// TestLargePayloadIsStreamed verifies 64 MB without holding them.
func TestLargePayloadIsStreamed(t *testing.T) {
	f := large(t, 64<<20)
	info, err := f.Stat()
	require.NoError(t, err)
	in := format.Input{Source: format.NewSource(f, info.Size())}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Open(in, trust(t, "p256"))
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
