package esp32

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestDeviceCheck(t *testing.T) {
	is := func(key, value string) format.Device { return format.Device{Is: map[string]string{key: value}} }
	bare := func(s *Spec) { s.NoDescription = true }
	for _, tc := range []struct {
		name   string
		device format.Device
		edit   func(*Spec)
		want   error
	}{
		{"nothing enforced", format.Device{}, nil, nil},
		{"fits", format.Device{Size: 8192}, nil, nil},
		{"too large", format.Device{Size: 8191}, nil, format.ErrTooLarge},
		{"same secure version", format.Device{Counter: new(uint64(3))}, nil, nil},
		{"lower secure version", format.Device{Counter: new(uint64(4))}, nil, format.ErrRollback},
		{"no secure version", format.Device{Counter: new(uint64(0))}, bare, format.ErrRollback},
		{"same version", format.Device{Version: "v1.4"}, nil, nil},
		{"older version", format.Device{Version: "1.4.1"}, nil, format.ErrRollback},
		{"no order", format.Device{Version: "1.4.0"}, func(s *Spec) { s.Version = "blue" }, format.ErrRollback},
		{"chip by number", is("chip-id", "13"), nil, nil},
		{"chip by name", is("chip-id", "ESP32-C6"), nil, nil},
		{"other chip", is("chip-id", "5"), nil, format.ErrWrongDevice},
		{"no chip", is("chip-id", "C6"), nil, format.ErrDevice},
		{"revision", is("chip-revision", "0.1"), nil, nil},
		{"older silicon", is("chip-revision", "0.0"), nil, format.ErrWrongDevice},
		{"newer silicon", is("chip-revision", "1.0"), nil, format.ErrWrongDevice},
		{"no maximum", is("chip-revision", "9.9"), func(s *Spec) { s.MaxRevision = 0xffff }, nil},
		{"no revision", is("chip-revision", "1"), nil, format.ErrDevice},
		{"project", is("project-name", "thermostat"), nil, nil},
		{"other project", is("project-name", "kettle"), nil, format.ErrWrongDevice},
		{"no project", is("project-name", "kettle"), bare, format.ErrWrongDevice},
		{"secure boot v2", is("secure-boot", "v2"), nil, nil},
		{"secure boot v1", is("secure-boot", "v1"), nil, format.ErrWrongDevice},
		{"v1 image for v2", is("secure-boot", "v2"), v1, format.ErrWrongDevice},
		{"v1 image for v1", is("secure-boot", "v1"), v1, nil},
		{"no scheme", is("secure-boot", "3"), nil, format.ErrDevice},
		{"unknown word", is("colour", "red"), nil, format.ErrDevice},
		{"other parts", format.Device{Has: map[string]string{"1": "1.0"}}, nil, format.ErrDevice},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.edit == nil {
				tc.edit = func(*Spec) {}
			}
			err := opened(t, made(t, tc.edit, "p256")).Check(tc.device)
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestOldMinimumRevision(t *testing.T) {
	b := made(t, func(s *Spec) { s.MinRevision, s.MaxRevision = 0, 0 }, "p256")
	b[14] = 3 // in whole numbers, as before ESP-IDF 4.4
	assert.ErrorIs(t, opened(t, b).checkRevision("1.0"), format.ErrWrongDevice)
	assert.NoError(t, opened(t, b).checkRevision("3.1"))
}

func TestVersionOrder(t *testing.T) {
	ascending := []string{"0.9", "v1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",
		"v1.0.0-1-gabcdef0", "1.0.0-12-gabcdef0-dirty", "1.0.1", "1.10", "2", "2.0.0.1"}
	for i, a := range ascending {
		for j, b := range ascending {
			order, err := compareVersions(a, b)
			require.NoError(t, err)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			assert.Equal(t, want, order, "%s against %s", a, b)
		}
	}
	order, err := compareVersions("v1.2.0+build7", "1.2")
	require.NoError(t, err)
	assert.Zero(t, order)
	for _, bad := range []string{"", "blue", "1.2.3.4.5", "abcdef0-dirty", "1..2", "9999999999"} {
		_, err := compareVersions("1.0", bad)
		assert.Error(t, err, bad)
		_, err = compareVersions(bad, "1.0")
		assert.Error(t, err, bad)
	}
}
