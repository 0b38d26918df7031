package mcuboot

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestDeviceCheck(t *testing.T) {
	v := func(s string) *Version {
		x, err := ParseVersion(s)
		require.NoError(t, err)
		return &x
	}
	images := map[uint8]Version{1: *v("1.0.0"), 2: *v("0.5.0")}
	for _, tc := range []struct {
		name   string
		device Device
		edit   func(*Spec)
		want   error
	}{
		{"nothing enforced", Device{}, nil, nil},
		{"same version", Device{Installed: v("1.2.3+4")}, nil, nil},
		{"newer version", Device{Installed: v("1.2.3+3")}, nil, nil},
		{"older version", Device{Installed: v("1.2.4")}, nil, format.ErrRollback},
		{"older build", Device{Installed: v("1.2.3+5")}, nil, format.ErrRollback},
		{"same counter", Device{MinCounter: new(uint32(7))}, nil, nil},
		{"lower counter", Device{MinCounter: new(uint32(8))}, nil, format.ErrRollback},
		{"lower counter, newer version", Device{MinCounter: new(uint32(8)), Installed: v("1.0.0")}, nil, format.ErrRollback},
		{"no counter", Device{MinCounter: new(uint32(0))}, func(s *Spec) { s.SecurityCounter = 0 }, format.ErrRollback},
		{"right ids", Device{VendorID: bytes.Repeat([]byte{0xaa}, 16), ClassID: bytes.Repeat([]byte{0xbb}, 16)}, nil, nil},
		{"other vendor", Device{VendorID: make([]byte, 16)}, nil, format.ErrWrongDevice},
		{"other class", Device{ClassID: make([]byte, 16)}, nil, format.ErrWrongDevice},
		{"no class", Device{ClassID: make([]byte, 16)}, func(s *Spec) { s.ClassID = nil }, format.ErrWrongDevice},
		{"dependencies met", Device{Images: images}, nil, nil},
		{"dependency older", Device{Images: map[uint8]Version{1: *v("1.0.0"), 2: *v("0.4.9")}}, nil, format.ErrDependency},
		{"dependency missing", Device{Images: map[uint8]Version{1: *v("1.0.0")}}, nil, format.ErrDependency},
		{"fits the slot", Device{SlotSize: 4096}, nil, nil},
		{"too large", Device{SlotSize: 512}, nil, format.ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := fullSpec()
			if tc.edit != nil {
				tc.edit(&spec)
			}
			img, err := Open(made(t, spec, "p256"), trust(t, "p256"))
			require.NoError(t, err)
			err = tc.device.Check(img)
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
			require.ErrorIs(t, err, format.ErrNotForDevice)
		})
	}
}
