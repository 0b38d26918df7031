package rauc

import (
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"
)

// What a device can say of itself beside its version.
const (
	isCompatible = "compatible"     // system compatible, compared byte by byte
	isFormats    = "bundle-formats" // as in system.conf: "-plain", "verity crypt"
)

// Check applies the rules of a device to a bundle that Verify has found genuine:
// min-bundle-version, compatible, bundle-formats, and the slot against the manifest's sizes.
// RAUC has no rollback counter, so one cannot be asked for.
func (b *Bundle) Check(d format.Device) error {
	if err := b.check(d); err != nil {
		return fmt.Errorf("check rauc bundle for the device: %w", err)
	}
	return nil
}

func (b *Bundle) check(d format.Device) error {
	if d.Counter != nil {
		return format.Wrap(format.ErrDevice, "rauc bundles have no rollback counter")
	}
	if len(d.Has) > 0 {
		return format.Wrap(format.ErrDevice, "rauc bundles depend on no other image")
	}
	for key := range d.Is {
		if key != isCompatible && key != isFormats {
			return format.Wrap(format.ErrDevice, "a rauc device has no %q, but %s and %s", key, isCompatible, isFormats)
		}
	}
	if err := b.checkFormat(d.Is[isFormats]); err != nil {
		return err
	}
	if want := d.Is[isCompatible]; want != "" {
		if b.manifest == nil {
			return format.Wrap(format.ErrWrongDevice, "the manifest cannot be read, the device is %q", want)
		}
		if b.manifest.Compatible != want {
			return format.Wrap(format.ErrWrongDevice, "compatible is %q, the device is %q", b.manifest.Compatible, want)
		}
	}
	if d.Version != "" {
		if err := b.checkVersion(d.Version); err != nil {
			return err
		}
	}
	return b.checkSizes(d.Size)
}

// checkFormat reads bundle-formats as RAUC does: names alone replace the list of all three,
// names with + and - change it.
func (b *Bundle) checkFormat(formats string) error {
	allowed := []Kind{Plain, Verity, Crypt}
	replaced := false
	for _, word := range strings.Fields(formats) {
		kind := Kind(strings.TrimLeft(word, "+-"))
		if !slices.Contains([]Kind{Plain, Verity, Crypt}, kind) {
			return format.Wrap(format.ErrDevice, "bundle format %q is not known", word)
		}
		switch {
		case word[0] == '-':
			allowed = slices.DeleteFunc(slices.Clone(allowed), func(k Kind) bool { return k == kind })
		case word[0] == '+':
			allowed = append(allowed, kind)
		default:
			if !replaced {
				allowed, replaced = nil, true
			}
			allowed = append(allowed, kind)
		}
	}
	if !slices.Contains(allowed, b.Kind()) {
		return format.Wrap(format.ErrNotForDevice, "bundle format %q is not allowed", b.Kind())
	}
	return nil
}

func (b *Bundle) checkVersion(least string) error {
	if _, err := parseVersion(least); err != nil {
		return format.Wrap(format.ErrDevice, "min-bundle-version %q: %v", least, err)
	}
	if b.manifest == nil || b.manifest.Version == "" {
		return format.Wrap(format.ErrRollback, "the bundle tells no version, at least %s is needed", least)
	}
	order, err := compareVersions(b.manifest.Version, least)
	if err != nil {
		return format.Wrap(format.ErrRollback, "at least %s is needed: %v", least, err)
	}
	if order < 0 {
		return format.Wrap(format.ErrRollback, "version %s, at least %s is needed", b.manifest.Version, least)
	}
	return nil
}

func (b *Bundle) checkSizes(slot int64) error {
	if slot <= 0 {
		return nil
	}
	if b.manifest == nil {
		return format.Wrap(format.ErrTooLarge, "the manifest cannot be read, the slot has %d bytes", slot)
	}
	for _, i := range b.manifest.Images {
		if i.Size > slot {
			return format.Wrap(format.ErrTooLarge, "image %s has %d bytes, the slot %d", i.Slot, i.Size, slot)
		}
	}
	return nil
}
