package mender

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"assay/firmware/format"
)

// Check applies the rules of a client to an artifact that Verify has found genuine. Is
// "device_type" is the device's type; Size is the room for one file of a payload; Has is what it provides: "artifact_name" (or Version),
// "artifact_group", "rootfs-image.version" and whatever else its artifacts provide. A device
// that tells what it runs and not what the artifact depends on does not provide that, and as a
// client does it refuses; of what a payload depends on, one that tells its Version alone says
// nothing. The format has no order of versions and no rollback counter, so an older artifact
// passes unless its dependencies tell.
func (img *Image) Check(d format.Device) error {
	if err := img.check(d); err != nil {
		return fmt.Errorf("check mender artifact %.100q for the device: %w", img.Name(), err)
	}
	return nil
}

func (img *Image) check(d format.Device) error {
	for key := range d.Is {
		if key != "device_type" {
			return fmt.Errorf("%q is not known of a mender device, only device_type: %w", key, format.ErrDevice)
		}
	}
	if err := img.checkSize(d.Size); err != nil {
		return err
	}
	if d.Counter != nil {
		return format.Wrap(format.ErrRollback, "the format has no rollback counter, at least %d is needed", *d.Counter)
	}
	if is := d.Is["device_type"]; is != "" && !slices.Contains(img.info.depends["device_type"], is) {
		return format.Wrap(format.ErrWrongDevice, "made for device_type %.200q, the device is %q", img.info.depends["device_type"], is)
	}
	has := map[string]string{}
	maps.Copy(has, d.Has)
	maps.Copy(has, d.Is) // a payload may ask for the device type, too
	if v := cmp.Or(d.Has["artifact_name"], d.Version); v != "" {
		has["artifact_name"] = v
	}
	needs := maps.Clone(img.info.depends)
	delete(needs, "device_type") // held against Is above
	if err := depends(needs, has, has["artifact_name"] != "" || len(d.Has) > 0); err != nil {
		return err
	}
	for _, p := range img.info.payloads {
		if err := depends(p.depends, has, len(d.Has) > 0); err != nil {
			return err
		}
	}
	return nil
}

// checkSize reads the payloads again, for the format tells no size elsewhere: a file must fit the room.
func (img *Image) checkSize(room int64) error {
	if room <= 0 {
		return nil
	}
	for n := range img.data {
		err := img.eachFile(n, func(h *tar.Header, _ io.Reader) error {
			if h.Size > room {
				return format.Wrap(format.ErrTooLarge, "%s has %d bytes, the device has room for %d", h.Name, h.Size, room)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// depends holds needs against what the device provides; whole tells that it provides nothing else.
func depends(needs map[string][]string, has map[string]string, whole bool) error {
	for _, key := range slices.Sorted(maps.Keys(needs)) {
		have, known := has[key]
		if len(needs[key]) == 0 || !known && (!whole || key == "device_type") {
			continue
		}
		if !known {
			return format.Wrap(format.ErrDependency, "needs %.60s to be one of %.200q, which the device does not provide", key, needs[key])
		}
		if !slices.Contains(needs[key], have) {
			return format.Wrap(format.ErrDependency, "needs %.60s to be one of %.200q, the device has %q", key, needs[key], have)
		}
	}
	return nil
}
