package tuf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// What a device can say of itself in format.Device.Is.
const (
	IsTarget   = "target"      // the file that it asks for
	IsHardware = "hardware-id" // Uptane's hardware identifier
	IsECU      = "ecu"         // Uptane's ECU identifier
)

// Check applies a device's own rules to the targets: the one it asks for is there, and is for
// its hardware and unit, not below its release counter, not larger than its slot. Version is
// that of the targets metadata, and Has the versions of metadata that it has seen, by role
// ("timestamp", "snapshot", "targets", "vendor-b"; with Uptane "director/timestamp" ...).
func (img *Image) Check(d format.Device) error {
	if err := img.check(d); err != nil {
		return fmt.Errorf("check tuf repository for the device: %w", err)
	}
	return nil
}

func (img *Image) check(d format.Device) error {
	for name := range d.Is {
		if !slices.Contains([]string{IsTarget, IsHardware, IsECU}, name) {
			return wrap(format.ErrDevice, "is %q: know %s, %s, %s", name, IsTarget, IsHardware, IsECU)
		}
	}
	if err := img.checkVersions(d); err != nil {
		return err
	}
	name, t, err := img.choose(d)
	if err != nil {
		return err
	}
	hardware := t.Custom.HardwareID
	if e, ok := t.Custom.ECUs[d.Is[IsECU]]; ok && e.HardwareID != "" {
		if hardware != "" && hardware != e.HardwareID {
			return wrap(format.ErrWrongDevice, "target %.80q is for hardware %.60q and for %.60q", name, hardware, e.HardwareID)
		}
		hardware = e.HardwareID
	}
	if want := d.Is[IsHardware]; want != "" && hardware != want {
		return wrap(format.ErrWrongDevice, "target %.80q is for hardware %.60q, the device is %q", name, hardware, want)
	}
	if d.Counter != nil && (t.Custom.Counter == nil || *t.Custom.Counter < *d.Counter) {
		return wrap(format.ErrRollback, "target %.80q has release counter %s, at least %d is needed", name, counterText(t.Custom.Counter), *d.Counter)
	}
	if d.Size > 0 && t.Length > d.Size {
		return wrap(format.ErrTooLarge, "target %.80q has %d bytes, the slot has %d", name, t.Length, d.Size)
	}
	return nil
}

func counterText(n *uint64) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}

func (img *Image) checkVersions(d format.Device) error {
	if d.Version != "" {
		order, err := compare(img.Version(), d.Version)
		if err != nil {
			return wrap(format.ErrDevice, "version %q: want that of the targets metadata, a number", d.Version)
		}
		if order < 0 {
			return wrap(format.ErrRollback, "targets version %s, the device has seen %s", img.Version(), d.Version)
		}
	}
	for name, text := range d.Has {
		least, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return wrap(format.ErrDevice, "has version %q of %s, want a number", text, name)
		}
		version, there := img.versionOf(name)
		if !there {
			return wrap(format.ErrRollback, "role %q is gone, the device has seen version %d", name, least)
		}
		if version < least {
			return wrap(format.ErrRollback, "%s version %d, the device has seen %d", name, version, least)
		}
	}
	return nil
}

// versionOf is the version of a role; of the root it is the newest.
func (img *Image) versionOf(name string) (int64, bool) {
	for _, r := range img.repos {
		role := name
		if r.name != "" {
			var ok bool
			if role, ok = strings.CutPrefix(name, r.name+"/"); !ok {
				continue
			}
		}
		switch role {
		case roleRoot:
			var newest int64
			for n := range r.roots {
				newest = max(newest, n)
			}
			return newest, newest > 0
		case roleTimestamp:
			return r.time.Signed.Version, true
		case roleSnapshot:
			return r.snapshot.Signed.Version, true
		}
		if m := r.snapshot.Signed.Meta[role+".json"]; m != nil {
			return m.Version, true
		}
	}
	return 0, false
}

// choose is the target that the device would install.
func (img *Image) choose(d format.Device) (string, target, error) {
	candidates := img.candidates()
	if want := d.Is[IsTarget]; want != "" {
		t, ok := candidates[want]
		if !ok {
			return "", target{}, wrap(format.ErrWrongDevice, "target %q, which the device asks for, is none that is vouched for and here", want)
		}
		candidates = map[string]target{want: t}
	}
	var names []string
	for name, t := range candidates {
		if _, ordered := t.Custom.ECUs[d.Is[IsECU]]; d.Is[IsECU] != "" && !ordered {
			continue
		}
		if want := d.Is[IsHardware]; len(candidates) > 1 && want != "" && t.Custom.HardwareID != want {
			continue
		}
		names = append(names, name)
	}
	switch len(names) {
	case 1:
		return names[0], candidates[names[0]], nil
	case 0:
		return "", target{}, wrap(format.ErrWrongDevice, "none of the %d targets is for it", len(candidates))
	}
	slices.Sort(names)
	return "", target{}, wrap(format.ErrDevice, "%d targets could be for it (%.80q ...): say which it asks for", len(names), names[0])
}

// candidates are the targets that Verify found; before it, all that are listed.
func (img *Image) candidates() map[string]target {
	if img.verified != nil {
		return img.verified
	}
	all := map[string]target{}
	r := img.repos[0]
	for _, d := range r.roles {
		for name, t := range d.Signed.Targets {
			all[name] = *t
		}
	}
	for name, t := range r.targets.Signed.Targets {
		all[name] = *t
	}
	return all
}
