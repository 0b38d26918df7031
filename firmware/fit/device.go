package fit

import (
	"fmt"
	"slices"
	"time"

	"assay/firmware/format"
)

// compareTimes orders two images by the time at which they were made.
func compareTimes(a, b string) (int, error) {
	times := [2]time.Time{}
	for i, s := range []string{a, b} {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return 0, fmt.Errorf("the version of a FIT is a time like 2026-01-31T12:00:00Z, not %.40q: %w", s, format.ErrDevice)
		}
		times[i] = t
	}
	return times[0].Compare(times[1]), nil
}

// Check applies the rules of a device. U-Boot itself knows only "compatible"; Is may also
// name the "configuration" that it boots and its "arch". Version is the time of the
// installed image, as Describe tells it; a Counter cannot be met: a FIT has none.
func (img *Image) Check(d format.Device) error {
	if err := img.check(d); err != nil {
		return fmt.Errorf("check U-Boot FIT for the device: %w", err)
	}
	return nil
}

func (img *Image) check(d format.Device) error {
	if d.Size > 0 && img.src.Size() > d.Size {
		return format.Wrap(format.ErrTooLarge, "%d bytes, the slot has %d", img.src.Size(), d.Size)
	}
	if d.Counter != nil {
		return format.Wrap(format.ErrRollback, "a FIT has no rollback counter, at least %d is needed", *d.Counter)
	}
	if d.Version != "" {
		facts := img.Describe()
		if facts.Version == "" {
			return format.Wrap(format.ErrRollback, "nothing tells when the image was made, that of %s is installed", d.Version)
		}
		order, err := compareTimes(facts.Version, d.Version)
		if err != nil {
			return err
		}
		if order < 0 {
			return format.Wrap(format.ErrRollback, "made %s, that of %s is installed", facts.Version, d.Version)
		}
	}
	if len(d.Has) > 0 {
		return fmt.Errorf("a FIT depends on no other parts of a device: %w", format.ErrDevice)
	}
	return img.checkIdentity(d.Is)
}

func (img *Image) checkIdentity(is map[string]string) error {
	c, err := img.chosen(is["configuration"])
	if err != nil {
		return err
	}
	for key, value := range is {
		switch key {
		case "configuration":
		case "compatible":
			if !slices.Contains(c.compatible, value) {
				return format.Wrap(format.ErrWrongDevice, "configuration %s is compatible with %q, the device is %s", c.name, c.compatible, value)
			}
		case "arch":
			if err := img.checkArch(c, value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q is not known of a FIT device, only compatible, arch and configuration: %w", key, format.ErrDevice)
		}
	}
	return nil
}

func (img *Image) checkArch(c *config, want string) error {
	for _, p := range c.parts {
		prop := p.node.Property("arch")
		arch, err := img.tree.Text(prop)
		if err != nil {
			return err
		}
		if prop != nil && arch != want {
			return format.Wrap(format.ErrWrongDevice, "image %s is for arch %s, the device is %s", p.name, arch, want)
		}
	}
	return nil
}
