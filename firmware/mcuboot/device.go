package mcuboot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// A Device is what a bootloader knows when it decides about a genuine image. Fields
// left at nil or zero are not enforced.
type Device struct {
	Installed  *Version          // the running version: anything older is refused
	MinCounter *uint32           // stored security counter: less is refused, and so is an image without one
	VendorID   []byte            // 16 bytes: UUID_VID must be there and the same
	ClassID    []byte            // 16 bytes: UUID_CID must be there and the same
	Images     map[uint8]Version // versions of the other images, for dependencies; nil skips them
	SlotSize   int64             // bytes
}

// Check applies the rules of the device to an image that Verify has found genuine:
// it says nothing about the signature. The same version and the same counter pass.
func (d Device) Check(img *Image) error {
	for _, check := range []func(*Image) error{d.checkSize, d.checkCounter, d.checkVersion, d.checkIdentity, d.checkDependencies} {
		if err := check(img); err != nil {
			return fmt.Errorf("check mcuboot image %v for the device: %w", img.Version(), err)
		}
	}
	return nil
}

func (d Device) checkSize(img *Image) error {
	if d.SlotSize > 0 && int64(len(img.raw)) > d.SlotSize {
		return format.Wrap(format.ErrTooLarge, "%d bytes, the slot has %d", len(img.raw), d.SlotSize)
	}
	return nil
}

func (d Device) checkCounter(img *Image) error {
	if d.MinCounter == nil {
		return nil
	}
	n, ok := img.SecurityCounter()
	if !ok {
		return format.Wrap(format.ErrRollback, "no security counter, at least %d is needed", *d.MinCounter)
	}
	if n < *d.MinCounter {
		return format.Wrap(format.ErrRollback, "security counter %d, at least %d is needed", n, *d.MinCounter)
	}
	return nil
}

func (d Device) checkVersion(img *Image) error {
	if d.Installed != nil && img.Version().Compare(*d.Installed) < 0 {
		return format.Wrap(format.ErrRollback, "version %v, %v is installed", img.Version(), *d.Installed)
	}
	return nil
}

func (d Device) checkIdentity(img *Image) error {
	for _, id := range []struct {
		t    Type
		want []byte
	}{{TypeVendorUUID, d.VendorID}, {TypeClassUUID, d.ClassID}} {
		got := find(img.protected, id.t)
		if id.want == nil {
			continue
		}
		if got == nil {
			return format.Wrap(format.ErrWrongDevice, "no %v, the device is %x", id.t, id.want)
		}
		if !bytes.Equal(got, id.want) {
			return format.Wrap(format.ErrWrongDevice, "%v %x, the device is %x", id.t, got, id.want)
		}
	}
	return nil
}

func (d Device) checkDependencies(img *Image) error {
	if d.Images == nil {
		return nil
	}
	for _, t := range img.protected {
		if t.Type != TypeDependency {
			continue
		}
		need := parseDependency(t.Value)
		have, ok := d.Images[need.Image]
		if !ok {
			return format.Wrap(format.ErrDependency, "needs %v, the device has no image %d", need, need.Image)
		}
		if have.Compare(need.Minimum) < 0 {
			return format.Wrap(format.ErrDependency, "needs %v, the device has %v", need, have)
		}
	}
	return nil
}

// A Dependency is another image of the device that must be there first.
type Dependency struct {
	Image   uint8
	Minimum Version
}

const dependencySize = 12

func (d Dependency) String() string {
	return fmt.Sprintf("image %d from version %v", d.Image, d.Minimum)
}

// parseDependency reads u8 image, 3 bytes of padding, version.
func parseDependency(b []byte) Dependency {
	return Dependency{Image: b[0], Minimum: Version{
		Major: b[4], Minor: b[5],
		Revision: binary.LittleEndian.Uint16(b[6:]),
		Build:    binary.LittleEndian.Uint32(b[8:]),
	}}
}

func (d Dependency) encode() []byte {
	b := []byte{d.Image, 0, 0, 0}
	return d.Minimum.append(b)
}

func (v Version) append(b []byte) []byte {
	b = append(b, v.Major, v.Minor)
	b = binary.LittleEndian.AppendUint16(b, v.Revision)
	return binary.LittleEndian.AppendUint32(b, v.Build)
}

// Check applies the rules of a device in the words of the contract: Is "vendor-id" and
// "class-id" are UUIDs in hex, Has is the version of each other image by its number.
func (img *Image) Check(d format.Device) error {
	own, err := deviceOf(d)
	if err != nil {
		return fmt.Errorf("check mcuboot image %v for the device: %w", img.Version(), err)
	}
	return own.Check(img)
}

func deviceOf(d format.Device) (Device, error) {
	own := Device{SlotSize: d.Size}
	if d.Version != "" {
		v, err := ParseVersion(d.Version)
		if err != nil {
			return Device{}, err
		}
		own.Installed = &v
	}
	if d.Counter != nil {
		if *d.Counter > math.MaxUint32 {
			return Device{}, fmt.Errorf("counter %d does not fit 32 bits: %w", *d.Counter, format.ErrDevice)
		}
		own.MinCounter = new(uint32(*d.Counter))
	}
	for key, value := range d.Is {
		id, err := hex.DecodeString(strings.ReplaceAll(value, "-", ""))
		if err != nil || len(id) != 16 {
			return Device{}, fmt.Errorf("%s %q is no UUID: %w", key, value, format.ErrDevice)
		}
		switch key {
		case "vendor-id":
			own.VendorID = id
		case "class-id":
			own.ClassID = id
		default:
			return Device{}, fmt.Errorf("%q is not known of an mcuboot device, only vendor-id and class-id: %w", key, format.ErrDevice)
		}
	}
	for key, value := range d.Has {
		n, err := strconv.ParseUint(key, 10, 8)
		if err != nil {
			return Device{}, fmt.Errorf("image %q is no number from 0 to 255: %w", key, format.ErrDevice)
		}
		v, err := ParseVersion(value)
		if err != nil {
			return Device{}, err
		}
		if own.Images == nil {
			own.Images = map[uint8]Version{}
		}
		own.Images[uint8(n)] = v
	}
	return own, nil
}
