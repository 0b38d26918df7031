package esp32

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// Check applies the rules of a device to an image that Verify has found genuine: it says
// nothing about the signature. The same version and the same secure version pass. What the
// device is: "chip-id" (number or name), "chip-revision" (1.1), "project-name" and
// "secure-boot" (v1 or v2). ESP-IDF itself compares chip and revision; a version or
// a project is enforced only by a device that is said to do so.
func (img *Image) Check(d format.Device) error {
	for _, check := range []func(format.Device) error{img.checkSize, img.checkCounter, img.checkVersion, img.checkIdentity} {
		if err := check(d); err != nil {
			return fmt.Errorf("check %s for the device: %w", img.label(), err)
		}
	}
	return nil
}

func (img *Image) checkSize(d format.Device) error {
	if d.Size > 0 && img.src.Size() > d.Size {
		return format.Wrap(format.ErrTooLarge, "%d bytes, the partition has %d", img.src.Size(), d.Size)
	}
	return nil
}

func (img *Image) checkCounter(d format.Device) error {
	switch {
	case d.Counter == nil:
	case img.desc == nil:
		return format.Wrap(format.ErrRollback, "no secure version, at least %d is needed", *d.Counter)
	case uint64(img.desc.secureVersion) < *d.Counter:
		return format.Wrap(format.ErrRollback, "secure version %d, at least %d is needed", img.desc.secureVersion, *d.Counter)
	}
	return nil
}

func (img *Image) checkVersion(d format.Device) error {
	if d.Version == "" {
		return nil
	}
	order, err := compareVersions(img.Version(), d.Version)
	if err != nil {
		return format.Wrap(format.ErrRollback, "nobody can tell whether it is older: %v", err)
	}
	if order < 0 {
		return format.Wrap(format.ErrRollback, "version %s, %s is installed", img.Version(), d.Version)
	}
	return nil
}

func (img *Image) checkIdentity(d format.Device) error {
	checks := map[string]func(string) error{
		"chip-id": img.checkChip, "chip-revision": img.checkRevision, "project-name": img.checkProject, "secure-boot": img.checkScheme,
	}
	for _, key := range slices.Sorted(maps.Keys(d.Is)) {
		check, ok := checks[key]
		if !ok {
			return format.Wrap(format.ErrDevice, "%q is not known of an esp32 device, only %s", key, strings.Join(slices.Sorted(maps.Keys(checks)), ", "))
		}
		if err := check(d.Is[key]); err != nil {
			return err
		}
	}
	if len(d.Has) > 0 {
		return format.Wrap(format.ErrDevice, "an esp32 image depends on no other image")
	}
	return nil
}

func (img *Image) checkChip(value string) error {
	chip, err := parseChip(value)
	if err != nil {
		return format.Wrap(format.ErrDevice, "chip-id: %v", err)
	}
	if chip != img.header.chip {
		return format.Wrap(format.ErrWrongDevice, "for %v, the device is %v", img.header.chip, chip)
	}
	return nil
}

func (img *Image) checkRevision(value string) error {
	revision, err := parseRevision(value)
	if err != nil {
		return format.Wrap(format.ErrDevice, "chip-revision: %v", err)
	}
	if revision < img.minRevision() {
		return format.Wrap(format.ErrWrongDevice, "needs chip revision %v, the device is %v", img.minRevision(), revision)
	}
	if img.header.max.set() && revision > img.header.max {
		return format.Wrap(format.ErrWrongDevice, "goes up to chip revision %v, the device is %v", img.header.max, revision)
	}
	return nil
}

func (img *Image) checkProject(value string) error {
	if img.desc == nil {
		return format.Wrap(format.ErrWrongDevice, "no project name, the device runs %q", value)
	}
	if img.desc.project != value {
		return format.Wrap(format.ErrWrongDevice, "of project %q, the device runs %q", img.desc.project, value)
	}
	return nil
}

func (img *Image) checkScheme(value string) error {
	switch {
	case value != "v1" && value != "v2":
		return format.Wrap(format.ErrDevice, "secure-boot is %.40q, want v1 or v2", value)
	case value == "v2" && img.v1 != nil:
		return format.Wrap(format.ErrWrongDevice, "signed for secure boot v1, the device has v2")
	case value == "v1" && img.v1 == nil:
		return format.Wrap(format.ErrWrongDevice, "signed for secure boot v2, the device has v1")
	}
	return nil
}

// A project writes its version as it likes. What can be ordered: numbers with dots, then
// what git describe adds (commits since the tag), or a pre-release as semantic
// versioning has it.
var versionForm = regexp.MustCompile(`^[vV]?(\d{1,9}(?:\.\d{1,9}){0,3})(?:-(\d{1,9})-g[0-9a-f]{4,40})?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$`)

type version struct {
	numbers    [4]int
	commits    int
	preRelease string
}

func parseVersion(s string) (version, error) {
	s = strings.TrimSuffix(s, "-dirty")
	m := versionForm.FindStringSubmatch(s)
	if m == nil {
		return version{}, fmt.Errorf("version %.40q has no known order", s)
	}
	var v version
	for i, part := range strings.Split(m[1], ".") {
		v.numbers[i], _ = strconv.Atoi(part)
	}
	v.commits, _ = strconv.Atoi(m[2])
	v.preRelease = m[3]
	return v, nil
}

func compareVersions(a, b string) (int, error) {
	va, err := parseVersion(a)
	if err != nil {
		return 0, err
	}
	vb, err := parseVersion(b)
	if err != nil {
		return 0, err
	}
	if order := cmp.Or(slices.Compare(va.numbers[:], vb.numbers[:]), cmp.Compare(va.commits, vb.commits)); order != 0 {
		return order, nil
	}
	switch {
	case va.preRelease == vb.preRelease:
		return 0, nil
	case va.preRelease == "":
		return 1, nil
	case vb.preRelease == "":
		return -1, nil
	}
	return comparePreRelease(va.preRelease[1:], vb.preRelease[1:]), nil
}

// comparePreRelease follows semantic versioning 2.0.0, rule 11.4.
func comparePreRelease(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.ParseUint(as[i], 10, 64)
		y, errY := strconv.ParseUint(bs[i], 10, 64)
		order := cmp.Compare(as[i], bs[i])
		switch {
		case errX == nil && errY == nil:
			order = cmp.Compare(x, y)
		case errX == nil:
			order = -1
		case errY == nil:
			order = 1
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(as), len(bs))
}
