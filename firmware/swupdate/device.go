package swupdate

import (
	"fmt"
	"regexp"
	"strings"

	"assay/firmware/format"
)

// Check applies the rules of a device to an archive that Verify has found genuine. Is
// "hwrevision" is board:revision as SWUpdate's -H has it, "software" is set,mode as -e has
// it; Version is what -N forbids to go below; Size is the room for one file.
func (img *Image) Check(d format.Device) error {
	if err := img.check(d); err != nil {
		return fmt.Errorf("check swupdate archive %.100q for the device: %w", img.Version(), err)
	}
	return nil
}

func (img *Image) check(d format.Device) error {
	if img.description.software == nil {
		return format.Wrap(format.ErrNotForDevice, "%s is encrypted: nothing of it is known before Verify has opened it", descriptionName)
	}
	s, revision, err := choose(d)
	if err != nil {
		return err
	}
	for _, m := range img.members[1:] {
		if _, named := img.description.hashes[m.name]; named && d.Size > 0 && m.size > d.Size {
			return format.Wrap(format.ErrTooLarge, "%.100q has %d bytes, the device has room for %d", m.name, m.size, d.Size)
		}
	}
	if d.Counter != nil {
		return format.Wrap(format.ErrRollback, "the format has no rollback counter, at least %d is needed", *d.Counter)
	}
	version := img.description.version(s)
	if d.Version != "" && (version == "" || compareVersions(version, d.Version) < 0) {
		return format.Wrap(format.ErrRollback, "version %.100q, %q is installed", version, d.Version)
	}
	if revision != "" {
		return img.checkHardware(s, revision)
	}
	return nil
}

func choose(d format.Device) (s selection, revision string, err error) {
	for key, value := range d.Is {
		var ok bool
		switch key {
		case "hwrevision":
			s.board, revision, ok = strings.Cut(value, ":")
		case "software":
			s.set, s.mode, ok = strings.Cut(value, ",")
		default:
			return s, "", format.Wrap(format.ErrDevice, "%q is not known of a swupdate device, only hwrevision and software", key)
		}
		if !ok {
			return s, "", format.Wrap(format.ErrDevice, "%s %q", key, value)
		}
	}
	if len(d.Has) > 0 {
		return s, "", format.Wrap(format.ErrDevice, "the format knows no other images of a device")
	}
	return s, revision, nil
}

// checkHardware wants the revision in hardware-compatibility: as it is, or matched by an expression behind #RE:.
func (img *Image) checkHardware(s selection, revision string) error {
	list, ok := img.description.find(s, "hardware-compatibility").([]any)
	if !ok {
		return format.Wrap(format.ErrWrongDevice, "no hardware-compatibility, the device is revision %q", revision)
	}
	for _, x := range list {
		text, _ := x.(string)
		if text == revision {
			return nil
		}
		if pattern, ok := strings.CutPrefix(text, "#RE:"); ok {
			if re, err := regexp.CompilePOSIX(pattern); err == nil && re.MatchString(revision) {
				return nil
			}
		}
	}
	return format.Wrap(format.ErrWrongDevice, "made for hardware revisions %.200v, the device is %q", list, revision)
}
