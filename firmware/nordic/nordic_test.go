package nordic

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	randv2 "math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

var maker = sync.OnceValue(func() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func trust(t testing.TB) format.Trust {
	keys, err := format.NewKeys(maker().Public())
	require.NoError(t, err)
	return format.Trust{Keys: keys}
}

func spec() Spec {
	return Spec{Version: 12, Hardware: 52, SoftDevices: []uint64{0x101, 0x102}, Firmware: bytes.Repeat([]byte("app"), 400)}
}

func good(t testing.TB, s Spec) []byte {
	b, err := Build(s, maker())
	require.NoError(t, err)
	return b
}

func verify(t testing.TB, b []byte) (format.Report, *Image, error) {
	i, err := Format().OpenUnverified(format.Input{Source: format.FromBytes(b)})
	if err != nil {
		return format.Report{}, nil, err
	}
	r, err := i.Verify(trust(t))
	return r, i.(*Image), err
}

func TestVerify(t *testing.T) {
	b := good(t, spec())
	require.True(t, Format().Detect(format.Input{Source: format.FromBytes(b)}))
	r, img, err := verify(t, b)
	require.NoError(t, err)
	assert.True(t, r.Verified)
	assert.Equal(t, "12", r.Image.Version)
	assert.Equal(t, []string{"hw-version=52", "sd-req=0x101", "sd-req=0x102"}, r.Image.Targets)
	assert.Equal(t, "ecdsa-p256-sha256", r.Signature)
	assert.Len(t, r.Chain, 3)
	_, err = img.Verify(format.Trust{})
	require.ErrorIs(t, err, format.ErrNoTrustedKey)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	keys, err := format.NewKeys(p384.Public())
	require.NoError(t, err)
	_, err = img.Verify(format.Trust{Keys: keys})
	require.ErrorIs(t, err, format.ErrAlgorithm)

	for device, want := range map[*format.Device]error{
		{Version: "12", Is: map[string]string{"hw-version": "52", "sd-req": "0x102"}}: nil,
		{Version: "13"}:  format.ErrRollback,
		{Version: "1.2"}: format.ErrDevice,
		{Is: map[string]string{"hw-version": "5"}}: format.ErrWrongDevice,
		{Is: map[string]string{"sd-req": "0x100"}}: format.ErrDependency,
		{Is: map[string]string{"model": "1"}}:      format.ErrDevice,
		{Is: map[string]string{"hw-version": "x"}}: format.ErrDevice,
		{Counter: new(uint64)}:                     format.ErrDevice,
		{Size: 3}:                                  format.ErrTooLarge,
	} {
		require.ErrorIs(t, img.Check(*device), want, "%+v", device)
	}
	s := spec()
	s.Debug = true
	r, _, err = verify(t, good(t, s))
	require.NoError(t, err)
	assert.Contains(t, strings.Join(r.Image.Notes, " "), "is_debug")
}

func TestEveryVariantIsRefused(t *testing.T) {
	_, img, err := verify(t, good(t, spec()))
	require.NoError(t, err)
	s := spec()
	s.Firmware, s.Version = []byte("older"), 11
	older := format.FromBytes(good(t, s))
	means := format.Means{Signer: maker(), Older: &older}
	for _, variant := range Format().Variants {
		v, err := img.Tamper(variant, means)
		require.NoError(t, err, variant)
		bad := v.Bytes
		if v.Files != nil {
			bad = v.Files[format.FileSecond]
		}
		r, changed, err := verify(t, bad)
		if v.Manifest.Device != nil {
			require.NoError(t, err, variant)
			err = changed.Check(*v.Manifest.Device)
		} else {
			assert.False(t, r.Verified, variant)
		}
		require.ErrorIs(t, err, v.Manifest.Reason, variant)
		assert.NotEmpty(t, v.Manifest.Changed, variant)
		assert.NotEmpty(t, v.Manifest.Expected, variant)
	}
	_, err = img.Tamper("no such", means)
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	_, err = img.Tamper(format.SelfMadeChain, means)
	require.ErrorIs(t, err, format.ErrNotApplicable)
	_, err = img.Tamper(format.Older, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

func TestStructure(t *testing.T) {
	s := spec()
	dat, err := sign(s.command(), maker())
	require.NoError(t, err)
	manifest := func(text string) []member {
		return []member{{"app.bin", s.Firmware}, {"app.dat", dat}, {manifestName, []byte(text)}}
	}
	packet := func(b []byte) []member {
		return []member{{"app.bin", s.Firmware}, {"app.dat", b}, {manifestName, []byte(`{"manifest":{"application":{"bin_file":"app.bin","dat_file":"app.dat"}}}`)}}
	}
	for name, c := range map[string]struct {
		members []member
		want    error
	}{
		"good":                    {packet(dat), nil},
		"a member more":           {append(packet(dat), member{"more", nil}), nil},
		"a folder":                {append(packet(dat), member{"more/", nil}), format.ErrMalformed},
		"no manifest":             {packet(dat)[:2], format.ErrMalformed},
		"no firmware":             {packet(dat)[1:], format.ErrMalformed},
		"manifest no JSON":        {manifest("{"), format.ErrMalformed},
		"manifest with a tail":    {manifest(`{"manifest":{"application":{"bin_file":"app.bin","dat_file":"app.dat"}}}{}`), format.ErrMalformed},
		"part twice":              {manifest(`{"manifest":{"application":{"bin_file":"x","dat_file":"x"},"application":{"bin_file":"app.bin","dat_file":"app.dat"}}}`), format.ErrMalformed},
		"name twice by case":      {manifest(`{"manifest":{"application":{"bin_file":"app.bin","dat_file":"app.dat","BIN_file":"x"}}}`), format.ErrMalformed},
		"unknown part":            {manifest(`{"manifest":{"application":{"bin_file":"app.bin","dat_file":"app.dat"},"other":{}}}`), format.ErrMalformed},
		"unknown field":           {manifest(`{"manifest":{"application":{"bin_file":"app.bin","dat_file":"app.dat","x":1}}}`), format.ErrMalformed},
		"nothing":                 {manifest(`{"manifest":{}}`), format.ErrMalformed},
		"deep":                    {manifest(strings.Repeat("[", 100) + strings.Repeat("]", 100)), format.ErrMalformed},
		"called a bootloader":     {manifest(`{"manifest":{"bootloader":{"bin_file":"app.bin","dat_file":"app.dat"}}}`), format.ErrNotBound},
		"one file for both":       {manifest(`{"manifest":{"application":{"bin_file":"app.dat","dat_file":"app.dat"}}}`), format.ErrMalformed},
		"both commands":           {packet(nested(dat, 1, s.command())), format.ErrMalformed},
		"signed twice":            {packet(append(bytes.Clone(dat), dat...)), format.ErrMalformed},
		"empty packet":            {packet(nil), format.ErrMalformed},
		"unknown in the packet":   {packet(number(bytes.Clone(dat), 9, 1)), format.ErrMalformed},
		"another operation":       {packet(nested(nil, 1, number(nil, 1, 2))), format.ErrMalformed},
		"field runs over":         {packet(append(bytes.Clone(dat), 0x12, 0x7f)), format.ErrMalformed},
		"key is no number":        {packet(bytes.Repeat([]byte{0xff}, 12)), format.ErrMalformed},
		"another wire type":       {packet([]byte{0x0d, 0, 0, 0, 0}), format.ErrMalformed},
		"large packet":            {packet(make([]byte, maxInit+1)), format.ErrMalformed},
		"another signature type":  {packet(nested(nil, 2, nested(number(nested(nil, 1, s.command()), 2, 1), 3, make([]byte, 64)))), format.ErrAlgorithm},
		"r and s zero":            {packet(nested(nil, 2, nested(number(nested(nil, 1, s.command()), 2, 0), 3, make([]byte, 64)))), format.ErrBadSignature},
		"signature without bytes": {packet(nested(nil, 2, nested(nil, 1, s.command()))), format.ErrMalformed},
	} {
		b, err := pack(c.members)
		require.NoError(t, err)
		_, _, err = verify(t, b)
		require.ErrorIs(t, err, c.want, name)
	}
}

func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	b := good(t, spec())
	_, want, err := verify(t, b)
	require.NoError(t, err)
	r := randv2.New(randv2.NewPCG(1, 2))
	for i := range count {
		bad := bytes.Clone(b)
		for range 1 + r.IntN(3) {
			if len(bad) == 0 {
				break
			}
			at := r.IntN(len(bad))
			if r.IntN(2) == 0 { // not amid the firmware
				at = len(bad) - 1 - r.IntN(min(len(bad), 600))
			}
			switch r.IntN(5) {
			case 0:
				bad[at] ^= 1 << r.IntN(8)
			case 1:
				bad[at] = []byte{0, 1, 0x7f, 0xff}[r.IntN(4)]
			case 2:
				bad = bad[:at]
			case 3:
				bad = append(bad[:at:at], append(make([]byte, r.IntN(9)), bad[at:]...)...)
			case 4:
				bad = append(bad[:at:at], bad[min(len(bad), at+1+r.IntN(8)):]...)
			}
		}
		report, img, err := verify(t, bad)
		if err != nil {
			continue
		}
		require.Equal(t, want.parts[0].packet.command, img.parts[0].packet.command, "mutant %d", i)
		require.NotEmpty(t, report.Digest)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(good(f, spec()))
	b, err := Build(spec(), nil)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, img, err := verify(t, b)
		if img == nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		require.Equal(t, err == nil, r.Verified)
	})
}

func FuzzPacket(f *testing.F) {
	dat, err := sign(spec().command(), maker())
	require.NoError(f, err)
	f.Add(dat)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parsePacket(b); err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
		}
	})
}
