package suit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// What Device.Is may hold: identifiers in hexadecimal, with or without the dashes of a
// UUID; component identifiers as hexadecimal parts with slashes, the list with commas;
// versions of the manifest with commas.
const (
	isVendor     = "vendor-id"
	isClass      = "class-id"
	isDevice     = "device-id"
	isComponents = "components"
	isVersions   = "manifest-versions"
)

// identity is what a device compares the identity conditions with.
type identity struct {
	ids map[int64][]byte // parameter number -> identifier
}

// Check applies the device's rules. The same sequence number passes: the draft demands to
// refuse lower ones only.
func (img *Image) Check(d format.Device) error {
	if err := img.check(d); err != nil {
		return fmt.Errorf("check suit manifest %d for the device: %w", img.manifest.sequence, err)
	}
	return nil
}

func (img *Image) check(d format.Device) error {
	who, err := identityOf(d)
	if err != nil {
		return err
	}
	for _, check := range []func(format.Device) error{img.checkSequence, img.checkVersions, img.checkComponents, img.checkSize} {
		if err := check(d); err != nil {
			return err
		}
	}
	if len(who.ids) == 0 {
		return nil
	}
	for _, one := range append([]*Image{img}, img.dependencies()...) {
		if err := one.checkIdentity(who); err != nil {
			return err
		}
	}
	return nil
}

// dependencies lists the envelopes that the sequences use as manifests, those within them too.
func (img *Image) dependencies() (list []*Image) {
	for _, n := range slices.Sorted(maps.Keys(img.needed)) {
		if sub, err := img.dependency(n); err == nil {
			list = append(append(list, sub), sub.dependencies()...)
		}
	}
	return list
}

func identityOf(d format.Device) (*identity, error) {
	who := &identity{map[int64][]byte{}}
	numbers := map[string]int64{isVendor: paramVendor, isClass: paramClass, isDevice: paramDevice}
	for key, text := range d.Is {
		n, ok := numbers[key]
		if !ok {
			if key == isComponents || key == isVersions {
				continue
			}
			return nil, format.Wrap(format.ErrDevice, "a suit device is not told by %q", key)
		}
		id, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err != nil || len(id) == 0 {
			return nil, format.Wrap(format.ErrDevice, "%s %q is not hexadecimal", key, text)
		}
		who.ids[n] = id
	}
	return who, nil
}

func (img *Image) checkSequence(d format.Device) error {
	if d.Counter != nil && img.manifest.sequence < *d.Counter {
		return format.Wrap(format.ErrRollback, "sequence number %d, at least %d is needed", img.manifest.sequence, *d.Counter)
	}
	if d.Version != "" {
		n, err := strconv.ParseUint(d.Version, 10, 64)
		if err != nil {
			return format.Wrap(format.ErrDevice, "version %q is no sequence number", d.Version)
		}
		if img.manifest.sequence < n {
			return format.Wrap(format.ErrRollback, "sequence number %d, %d is installed", img.manifest.sequence, n)
		}
	}
	for id, text := range d.Has {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return format.Wrap(format.ErrDevice, "version %q of %s is no sequence number", text, id)
		}
		for _, sub := range img.dependencies() {
			if sub.manifest.id == id && sub.manifest.sequence < n {
				return format.Wrap(format.ErrRollback, "dependency %s has sequence number %d, %d is installed", id, sub.manifest.sequence, n)
			}
		}
	}
	return nil
}

func (img *Image) checkVersions(d format.Device) error {
	text, ok := d.Is[isVersions]
	if ok && !slices.Contains(strings.Split(text, ","), "1") {
		return format.Wrap(format.ErrWrongDevice, "manifest version 1, the device knows %s", text)
	}
	return nil
}

// checkComponents wants no more components than the device has, and none that it has not.
func (img *Image) checkComponents(d format.Device) error {
	text, ok := d.Is[isComponents]
	if !ok {
		return nil
	}
	has := strings.Split(text, ",")
	if len(img.manifest.components) > len(has) {
		return format.Wrap(format.ErrWrongDevice, "%d components, the device has %d", len(img.manifest.components), len(has))
	}
	for _, c := range img.manifest.components {
		if !slices.Contains(has, c) {
			return format.Wrap(format.ErrWrongDevice, "component %s is none of the device's", c)
		}
	}
	return nil
}

// checkSize wants every image to fit the slot, whether it lies here or elsewhere.
func (img *Image) checkSize(d format.Device) error {
	if d.Size <= 0 {
		return nil
	}
	var largest uint64
	for _, m := range img.members {
		if m.isName {
			largest = max(largest, uint64(m.size))
		}
	}
	img.manifest.overrides(func(p parameters) {
		n, _, _ := p.number(paramSize)
		largest = max(largest, n)
	})
	if largest > uint64(d.Size) {
		return format.Wrap(format.ErrTooLarge, "an image of %d bytes, the slot has %d", largest, d.Size)
	}
	return nil
}

// checkIdentity runs the sequences with what the device knows about itself: one way through must be left.
func (img *Image) checkIdentity(who *identity) error {
	out, err := (&machine{img: img, device: who}).follow(len(img.missing()) > 0)
	if err != nil {
		return err
	}
	if len(out.done) > 0 {
		return nil
	}
	for _, f := range out.died {
		if f.err != nil {
			return f.err
		}
	}
	return format.Wrap(format.ErrWrongDevice, "no way through the sequences")
}

// matches compares one identifier; known is false where the device has not been told.
func (who *identity) matches(cond int64, p parameters, depth int) (known bool, err error) {
	names := map[int64]string{condVendor: isVendor, condClass: isClass, condDevice: isDevice}
	numbers := map[int64]int64{condVendor: paramVendor, condClass: paramClass, condDevice: paramDevice}
	id, ok := who.ids[numbers[cond]]
	if !ok {
		return false, nil
	}
	raw, ok := p[numbers[cond]]
	if !ok && depth > 0 {
		return false, nil // the manifest that it depends on may have set it
	}
	if !ok {
		return true, format.Wrap(format.ErrWrongDevice, "%s is asked for and none is given", names[cond])
	}
	if got := p.bytes(numbers[cond]); !bytes.Equal(got, id) {
		return true, format.Wrap(format.ErrWrongDevice, "made for %s %x, the device is %x", names[cond], raw[len(raw)-min(len(raw), 16):], id)
	}
	return true, nil
}

// checked wants the shared sequence to ask for vendor and class (section 6.2 of the draft):
// a manifest that does not might be meant for anything.
func (who *identity) checked(done []state, died []failure, depth int) error {
	if len(done) == 0 {
		for _, f := range died {
			if f.err != nil {
				return f.err
			}
		}
		return format.Wrap(format.ErrWrongDevice, "no way through the shared sequence")
	}
	if depth > 0 {
		return nil
	}
	for _, s := range done {
		for cond, n := range map[int64]int64{condVendor: paramVendor, condClass: paramClass} {
			if who.ids[n] != nil && !s.seen[cond] {
				return format.Wrap(format.ErrWrongDevice, "the shared sequence does not ask for vendor and class")
			}
		}
	}
	return nil
}

// compare orders sequence numbers.
func compare(a, b string) (int, error) {
	x, err := strconv.ParseUint(a, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("compare sequence number %q: %w", a, err)
	}
	y, err := strconv.ParseUint(b, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("compare sequence number %q: %w", b, err)
	}
	switch {
	case x < y:
		return -1, nil
	case x > y:
		return 1, nil
	}
	return 0, nil
}
