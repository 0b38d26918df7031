package refdevice

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"assay/firmware"
	"assay/firmware/format"
	"assay/firmware/mcuboot"
)

// How an update came, as the bootloader's state keeps it.
const (
	viaFactory = "factory"
	viaHTTPS   = "https"
	viaCoAP    = "coap"
)

// noSlot stands for no pending slot.
const noSlot = -1

// bootState is what the bootloader knows from one start to the next.
type bootState struct {
	Key     []byte    `json:"key"`           // SubjectPublicKeyInfo, DER: who may sign firmware
	Counter uint32    `json:"counter"`       // security counter: nothing below it boots any more
	Active  int       `json:"active"`        // the slot that booted last
	Pending int       `json:"pending"`       // the slot to boot next, or noSlot
	Via     [2]string `json:"via"`           // how each slot's image came
	Wiping  bool      `json:"wiping"`        // a factory reset has begun; it is finished whatever happens to the supply
	Forget  bool      `json:"forget"`        // the cloud still has to be told to forget the owner
	Ran     bool      `json:"ran,omitempty"` // by the flaw stays-dark-after-power-cut: it ran before this supply came
}

// bootloader keeps the state in two sectors, the older of which is overwritten.
type bootloader struct {
	flash  *flash
	policy policy

	mu       sync.Mutex // guards the rest
	sequence uint32
	state    bootState
}

// policy is how strictly images are looked at. A sound device leaves all of it false.
type policy struct {
	skipSignature bool // that an image names the maker's key is enough
	allowUnsigned bool // no signature is needed
	embeddedKey   bool // the key that an image brings along may vouch for it
	allowOlder    bool // version and counter are not compared
	uncheckedCoAP bool // what came over CoAP is not looked at
	refuseAll     bool // nothing is good enough
}

// newPolicy is the one place where the update flaws act.
func newPolicy(f flawSet) policy {
	return policy{
		skipSignature: f.has(AcceptsTamperedUpdate),
		allowUnsigned: f.has(AcceptsUnsignedUpdate),
		embeddedKey:   f.has(AcceptsAnyKey),
		allowOlder:    f.has(AcceptsOlderUpdate),
		uncheckedCoAP: f.has(CoAPUpdateUnchecked),
		refuseAll:     f.has(RefusesGenuine),
	}
}

// bootImage is an image that may run.
type bootImage struct {
	slot    int
	version mcuboot.Version
	counter uint32
}

func openBootloader(f *flash, p policy) (*bootloader, error) {
	l := &bootloader{flash: f, policy: p}
	found := false
	for _, r := range bootSectors {
		b, err := f.read(r)
		if err != nil {
			return nil, err
		}
		var s bootState
		n, err := decodeSector(b, &s)
		if err != nil || s.Active < 0 || s.Active > 1 || s.Pending < noSlot || s.Pending > 1 {
			continue
		}
		if !found || n > l.sequence {
			found, l.sequence, l.state = true, n, s
		}
	}
	if !found {
		return nil, fmt.Errorf("read bootloader state: %w", errNoSector)
	}
	return l, nil
}

// current is a copy of the state.
func (l *bootloader) current() bootState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// change changes the state and writes it over the older sector.
func (l *bootloader) change(f func(*bootState)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.state
	f(&next)
	b, err := encodeSector(l.sequence+1, next, bootSectorSize)
	if err != nil {
		return err
	}
	if err := l.flash.write(bootSectors[(l.sequence+1)%2], 0, b); err != nil {
		return err
	}
	l.sequence, l.state = l.sequence+1, next
	return nil
}

var (
	errNothingBoots = errors.New("no slot holds an image that may run")
	errEmptySlot    = errors.New("empty")
)

// boot verifies both slots and picks the image to run: the newer one, or the other where that is not valid.
func (l *bootloader) boot(log *slog.Logger) (bootImage, error) {
	var valid []bootImage
	for slot := range slots {
		img, err := l.inspect(slot)
		if err != nil {
			log.Info("slot not bootable", "slot", slots[slot].name, "reason", err)
			continue
		}
		valid = append(valid, img)
	}
	if len(valid) == 0 {
		return bootImage{}, errNothingBoots
	}
	chosen := valid[0]
	for _, img := range valid[1:] {
		if l.prefers(img, chosen) {
			chosen = img
		}
	}
	if s := l.current(); s.Active == chosen.slot && s.Pending == noSlot && s.Counter >= chosen.counter {
		return chosen, nil
	}
	return chosen, l.change(func(s *bootState) {
		s.Active, s.Pending = chosen.slot, noSlot
		s.Counter = max(s.Counter, chosen.counter)
	})
}

// prefers tells whether a is to be run rather than b.
func (l *bootloader) prefers(a, b bootImage) bool {
	if !l.policy.allowOlder {
		return a.version.Compare(b.version) > 0
	}
	s := l.current()
	if s.Pending != noSlot {
		return a.slot == s.Pending
	}
	return a.slot == s.Active
}

// inspect verifies the image in a slot as the bootloader does at every start.
func (l *bootloader) inspect(slot int) (bootImage, error) {
	b, err := l.flash.read(slots[slot])
	if err != nil {
		return bootImage{}, err
	}
	if bytes.HasPrefix(b, erased(32)) {
		return bootImage{}, errEmptySlot
	}
	state := l.current()
	img, err := l.verify(b, state.Via[slot])
	if err != nil {
		return bootImage{}, err
	}
	if err := l.fit(img, mcuboot.Device{MinCounter: &state.Counter}); err != nil {
		return bootImage{}, err
	}
	counter, _ := img.SecurityCounter()
	return bootImage{slot: slot, version: img.Version(), counter: counter}, nil
}

// verify checks that the maker signed an image. Bytes behind it must be erased flash.
func (l *bootloader) verify(b []byte, via string) (*mcuboot.Image, error) {
	img, err := mcuboot.OpenUnverified(b)
	if err != nil {
		return nil, err
	}
	if l.policy.uncheckedCoAP && via == viaCoAP {
		return img, nil
	}
	public, err := x509.ParsePKIXPublicKey(l.state.Key)
	if err != nil {
		return nil, fmt.Errorf("bootloader key: %w", err)
	}
	keys, err := format.NewKeys(public)
	if err != nil {
		return nil, fmt.Errorf("bootloader key: %w", err)
	}
	if _, err := img.Verify(format.Trust{Keys: keys}); err != nil && !l.policy.excuses(img, err) {
		return nil, err
	}
	return img, nil
}

// fit applies the device's own rules: size, version and security counter.
func (l *bootloader) fit(img *mcuboot.Image, d mcuboot.Device) error {
	d.SlotSize = slotSize
	if err := d.Check(img); err != nil && !(l.policy.allowOlder && errors.Is(err, firmware.ErrRollback)) {
		return err
	}
	return nil
}

// excuses tells whether a lax policy lets an image in although it did not verify.
func (p policy) excuses(img *mcuboot.Image, err error) bool {
	switch {
	case errors.Is(err, firmware.ErrUnsigned):
		return p.allowUnsigned
	case errors.Is(err, firmware.ErrNoTrustedKey):
		return p.embeddedKey && verifiesItself(img)
	case errors.Is(err, firmware.ErrBadSignature), errors.Is(err, firmware.ErrBadHash):
		return p.skipSignature
	default:
		return false
	}
}

// verifiesItself checks an image under the key it brings along, which proves nothing.
func verifiesItself(img *mcuboot.Image) bool {
	own, err := img.EmbeddedKey()
	if err != nil {
		return false
	}
	keys, err := format.NewKeys(own)
	if err != nil {
		return false
	}
	_, err = img.Verify(format.Trust{Keys: keys})
	return err == nil
}
