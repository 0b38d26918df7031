package suit

import (
	"bytes"
	"encoding/hex"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestCheck(t *testing.T) {
	img, err := Open(input(made(t, spec(), "p256")), trust(t, "p256"))
	require.NoError(t, err)
	is := map[string]string{
		isVendor: "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", isClass: hex.EncodeToString(class), isComponents: "00,01", isVersions: "1,2",
	}
	but := func(key, value string) format.Device {
		d := format.Device{Is: maps.Clone(is)}
		d.Is[key] = value
		return d
	}
	for _, tc := range []struct {
		name   string
		device format.Device
		want   error
	}{
		{"nothing known", format.Device{}, nil},
		{"its own", format.Device{Counter: new(uint64(11)), Version: "11", Size: 1000, Is: is}, nil},
		{"the same sequence number", format.Device{Counter: new(uint64(12)), Version: "12"}, nil},
		{"lower counter", format.Device{Counter: new(uint64(13))}, format.ErrRollback},
		{"lower version", format.Device{Version: "13"}, format.ErrRollback},
		{"small slot", format.Device{Size: 100}, format.ErrTooLarge},
		{"another vendor", but(isVendor, hex.EncodeToString(class)), format.ErrWrongDevice},
		{"another class", but(isClass, hex.EncodeToString(vendor)), format.ErrWrongDevice},
		{"another component", but(isComponents, "01"), format.ErrWrongDevice},
		{"another manifest version", but(isVersions, "2"), format.ErrWrongDevice},
		{"a device id that is not asked for", but(isDevice, "00"), nil},
		{"no hexadecimal", but(isVendor, "vendor"), format.ErrDevice},
		{"no such word", but("compatible", "x"), format.ErrDevice},
		{"no number", format.Device{Version: "1.0"}, format.ErrDevice},
		{"no number of a part", format.Device{Has: map[string]string{"x": "1.0"}}, format.ErrDevice},
	} {
		require.ErrorIs(t, img.Check(tc.device), tc.want, tc.name)
	}
}

// TestCheckFollowsTheSequences: one manifest may be for several classes, and one that asks
// for none is for nobody.
func TestCheckFollowsTheSequences(t *testing.T) {
	other := bytes.Repeat([]byte{0xcc}, 16)
	classIs := func(id []byte) []byte { return encode([]any{dirOverride, entry{paramClass: id}, condClass, 15}) }
	isOurs := format.Device{Is: map[string]string{isVendor: hex.EncodeToString(vendor), isClass: hex.EncodeToString(class)}}
	ofVendor := []any{dirIndex, 0, dirOverride, entry{paramVendor: vendor}, condVendor, 15}
	for _, tc := range []struct {
		name   string
		shared []any
		want   error
	}{
		{"two classes, ours last", append(ofVendor, dirTryEach, []any{classIs(other), classIs(class)}), nil},
		{"two classes, none ours", append(ofVendor, dirTryEach, []any{classIs(other), classIs(vendor)}), format.ErrWrongDevice},
		{"a class that may be passed by", append(ofVendor, dirTryEach, []any{classIs(other), nil}), format.ErrWrongDevice},
		{"no class asked for", ofVendor, format.ErrWrongDevice},
		{"nothing asked for", []any{dirIndex, 0}, format.ErrWrongDevice},
		{"asked for and not given", []any{dirIndex, 0, condVendor, 15, condClass, 15}, format.ErrWrongDevice},
		{"the other component's", append(ofVendor, dirIndex, 1, condClass, 15), format.ErrWrongDevice},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img, err := Open(input(signed(t, byHand(tc.shared, []any{dirIndex, 0}))), trust(t, "p256"))
			require.NoError(t, err)
			require.NoError(t, img.Check(format.Device{}))
			require.ErrorIs(t, img.Check(isOurs), tc.want)
		})
	}
}

// TestCheckDependency: what a manifest brings along must be for the device, too.
func TestCheckDependency(t *testing.T) {
	sub := spec()
	sub.ClassID = bytes.Repeat([]byte{0xcc}, 16)
	s := spec()
	s.Dependency = made(t, sub, "p256")
	img, err := Open(input(made(t, s, "p256")), trust(t, "p256"))
	require.NoError(t, err)
	is := map[string]string{isVendor: hex.EncodeToString(vendor)}
	require.NoError(t, img.Check(format.Device{Is: is}))
	is[isClass] = hex.EncodeToString(class)
	require.ErrorIs(t, img.Check(format.Device{Is: is}), format.ErrWrongDevice)
}
