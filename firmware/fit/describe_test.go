package fit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

func TestDescribe(t *testing.T) {
	b := build1(t, fullSpec(), "rsa2048")
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	f := img.Describe()
	assert.Equal(t, "uboot-fit", f.Format)
	assert.Equal(t, "2026-05-01T12:00:00Z", f.Version)
	assert.Nil(t, f.SecurityCounter)
	assert.Equal(t, []string{"compatible=vendor,board-a"}, f.Targets)
	assert.Equal(t, "rsa-2048-pkcs1-sha256", f.Signature)
	assert.Equal(t, "dev", f.KeyHint)
	assert.EqualValues(t, len(b), f.Size)
	for _, want := range []format.Field{
		{Name: "description", Value: "test image", Protected: true},
		{Name: "timestamp", Value: "2026-05-01T12:00:00Z", Protected: true},
		{Name: "configurations default", Value: "conf-1"},
		{Name: "conf-1 kernel", Value: "kernel-1", Protected: true},
		{Name: "conf-2 kernel", Value: "kernel-1"},
		{Name: "kernel-1 load", Value: "0x80008000", Protected: true},
		{Name: "kernel-1 bytes", Value: "564", Protected: true},
		{Name: "kernel-1 hash-1 algo", Value: "sha256", Protected: true},
		{Name: "fdt-2 bytes", Value: "7"},
		{Name: "conf-1 signature-1 algo", Value: "sha256,rsa2048"},
		{Name: "rootfs dm-verity roothash", Value: "00", Protected: true},
	} {
		assert.Contains(t, f.Fields, want)
	}
	for _, want := range []string{
		"which of the 2 configurations is the default is not covered by any signature",
		"hash-2 of kernel-1 is crc32, which binds nothing",
		"images that configuration conf-1 does not use and does not cover: fdt-2",
		"configurations that were not looked at: conf-2",
	} {
		assert.Contains(t, f.Notes, want)
	}
}

func TestDescribeImages(t *testing.T) {
	spec := fullSpec()
	spec.SignImages, spec.External = true, true
	img, err := OpenUnverified(format.FromBytes(build1(t, spec, "p256")))
	require.NoError(t, err)
	f := img.Describe()
	assert.Equal(t, "ecdsa-p256-sha256", f.Signature)
	assert.Contains(t, strings.Join(f.Notes, "\n"), "only its images may be")
	assert.Contains(t, f.Fields, format.Field{Name: "kernel-1 load", Value: "0x80008000"})
	assert.Contains(t, f.Fields, format.Field{Name: "kernel-1 bytes", Value: "564", Protected: true})
	var names []string
	for _, r := range f.Covered {
		names = append(names, r.Name)
	}
	assert.Equal(t, []string{"kernel-1 data", "fdt-1 data", "rootfs data"}, names)
}

func TestDescribeIsFitForATerminal(t *testing.T) {
	b := edited(t, fullSpec(), func(d *fdt.Draft) {
		d.Root.SetText("description", "\x1b[2J")
		d.Find("/configurations/conf-1").SetText("compatible", "vendor\n,board")
		d.Find("/images/kernel-1").Add("cipher").SetText("algo", "aes256")
		sig(d).SetText("key-name-hint", "\x1b")
		sig(d).SetText("algo", "a\x07")
	})
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	f := img.Describe()
	assert.Contains(t, f.Fields, format.Field{Name: "description", Value: "1b5b324a00", Protected: true})
	assert.Equal(t, []string{`compatible="vendor\n,board"`}, f.Targets)
	assert.Equal(t, "aes256", f.Encrypted)
	assert.Equal(t, `"\x1b"`, f.KeyHint)
	assert.Equal(t, `"a\a"`, f.Signature)
}

func TestCheck(t *testing.T) {
	img, err := OpenUnverified(format.FromBytes(build1(t, fullSpec(), "p256")))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		device format.Device
		want   error
	}{
		"nothing asked":             {format.Device{}, nil},
		"fits":                      {format.Device{Size: 1 << 20, Version: "2026-05-01T12:00:00Z", Is: map[string]string{"compatible": "vendor,board-a", "arch": "arm"}}, nil},
		"another configuration":     {format.Device{Is: map[string]string{"compatible": "vendor,board-b", "configuration": "conf-2"}}, nil},
		"too large":                 {format.Device{Size: 100}, format.ErrTooLarge},
		"older":                     {format.Device{Version: "2026-05-01T12:00:01Z"}, format.ErrRollback},
		"a counter":                 {format.Device{Counter: new(uint64(1))}, format.ErrRollback},
		"another board":             {format.Device{Is: map[string]string{"compatible": "vendor,board-b"}}, format.ErrWrongDevice},
		"another architecture":      {format.Device{Is: map[string]string{"arch": "mips"}}, format.ErrWrongDevice},
		"no such configuration":     {format.Device{Is: map[string]string{"configuration": "conf-9"}}, format.ErrMalformed},
		"an unknown word":           {format.Device{Is: map[string]string{"chip-id": "9"}}, format.ErrDevice},
		"other parts":               {format.Device{Has: map[string]string{"1": "1"}}, format.ErrDevice},
		"a version that is no time": {format.Device{Version: "1.2.3"}, format.ErrDevice},
	} {
		err := img.Check(tc.device)
		if tc.want == nil {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, tc.want, name)
		}
	}
	img, err = OpenUnverified(format.FromBytes(build1(t, smallSpec(), "p256"))) // without a timestamp
	require.NoError(t, err)
	require.ErrorIs(t, img.Check(format.Device{Version: "2026-05-01T12:00:00Z"}), format.ErrRollback)

	order, err := compareTimes("2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00")
	require.NoError(t, err)
	assert.Zero(t, order)
	_, err = compareTimes("1", "2")
	require.ErrorIs(t, err, format.ErrDevice)
}
