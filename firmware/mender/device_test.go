package mender

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"assay/firmware/format"
)

func TestCheck(t *testing.T) {
	img := opened(t, made(t, fullSpec(), "ecdsa"))
	type m = map[string]string
	for name, tc := range map[string]struct {
		d    format.Device
		want error
	}{
		"knows nothing":           {format.Device{}, nil},
		"the device":              {format.Device{Version: "release-6", Is: m{"device_type": "board-b"}, Has: m{"artifact_group": "beta", "rootfs-image.version": "6.1"}, Size: 2000}, nil},
		"another type":            {format.Device{Is: m{"device_type": "board-c"}}, format.ErrWrongDevice},
		"type by its case":        {format.Device{Is: m{"device_type": "Board-A"}}, format.ErrWrongDevice},
		"another artifact runs":   {format.Device{Version: "release-4"}, format.ErrDependency},
		"the same, by provides":   {format.Device{Has: m{"artifact_name": "release-4"}}, format.ErrDependency},
		"another group":           {format.Device{Has: m{"artifact_group": "stable"}}, format.ErrDependency},
		"the payload's needs":     {format.Device{Has: m{"rootfs-image.version": "5"}}, format.ErrDependency},
		"more than it asks":       {format.Device{Version: "release-6", Has: m{"artifact_group": "beta", "rootfs-image.version": "6.1", "other": "5"}}, nil},
		"in no group":             {format.Device{Version: "release-6"}, format.ErrDependency},
		"nothing of what it asks": {format.Device{Has: m{"other": "5"}}, format.ErrDependency},
		"half of what it asks":    {format.Device{Version: "release-6", Has: m{"artifact_group": "beta"}}, format.ErrDependency},
		"no room":                 {format.Device{Size: 1563}, format.ErrTooLarge},
		"just enough room":        {format.Device{Size: 1564}, nil},
		"a counter it cannot say": {format.Device{Counter: new(uint64(1))}, format.ErrRollback},
		"a word nobody knows":     {format.Device{Is: m{"compatible": "x"}}, format.ErrDevice},
	} {
		err := img.Check(tc.d)
		if tc.want == nil {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorIs(t, err, tc.want, name)
		}
	}
	spec := fullSpec()
	spec.Needs = map[string][]string{"device_type": {"board-b"}}
	assert.ErrorIs(t, opened(t, made(t, spec, "ecdsa")).Check(format.Device{Is: m{"device_type": "board-a"}}), format.ErrDependency, "the payload is for another type")
	none := opened(t, reseal(t, made(t, fullSpec(), "ecdsa"), signer(t, "ecdsa"), func(p *parts) {
		setHeader(t, p, File{"header-info", []byte(`{"payloads":[{"type":"x"}],"artifact_provides":{"artifact_name":"n"}}`)})
	}))
	assert.NoError(t, none.Check(format.Device{}))
	assert.ErrorIs(t, none.Check(format.Device{Is: m{"device_type": "board-a"}}), format.ErrWrongDevice)
	assert.Contains(t, none.Describe().Notes, "it names no device type")
}
