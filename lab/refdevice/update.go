package refdevice

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"assay/firmware"
	"assay/firmware/mcuboot"
)

const (
	updateQueue   = 3 * time.Second  // how long a request waits for the one before it
	updateTimeout = 60 * time.Second // for the whole download
	maxURL        = 1 << 10
)

var (
	errBusy    = errors.New("another update is under way")
	errBadURL  = errors.New("not an address of an update: want https:// or coap://")
	errRefused = errors.New("image refused")
)

// askUpdate hands a URL to the updater; it does not wait for the update.
func (l *life) askUpdate(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxURL || u.Host == "" || (u.Scheme != viaHTTPS && u.Scheme != viaCoAP) {
		return errBadURL
	}
	ctx, cancel := context.WithTimeout(ctx, updateQueue)
	defer cancel()
	select {
	case l.updates <- address:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

// startUpdates takes one update after the other.
func (l *life) startUpdates(ctx context.Context) (func(time.Duration), error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case address := <-l.updates:
				if !l.update(ctx, address) {
					return
				}
			}
		}
	}()
	return func(time.Duration) { cancel(); <-done }, nil
}

// update does one update and tells whether another may follow.
func (l *life) update(ctx context.Context, address string) bool {
	l.say("updating", "")
	err := l.install(ctx, address)
	switch {
	case err == nil:
		l.log.Info("update installed, starting again")
		l.end(ending{})
		return false
	case ctx.Err() != nil:
		return false
	}
	l.log.Warn("update not installed", "error", err)
	l.say("ok", err.Error())
	if !errors.Is(err, errRefused) {
		return true
	}
	if l.flaws.has(CrashesAfterRefusal) {
		l.broken.Store(true)
		l.say("failed", err.Error())
	}
	return !l.flaws.has(JamsAfterRefusal)
}

// install fetches an image into the slot that does not run, verifies it there, and has the bootloader take it next.
func (l *life) install(ctx context.Context, address string) error {
	via, image, err := l.fetch(ctx, address)
	if err != nil {
		return err
	}
	slot := 1 - l.image.slot
	if err := l.flash.erase(slots[slot]); err != nil {
		return err
	}
	if err := l.flash.write(slots[slot], 0, image); err != nil {
		return err
	}
	if err := l.accept(slot, via); err != nil {
		// What is refused does not stay where a bootloader could find it.
		return errors.Join(fmt.Errorf("%w: %w", errRefused, err), l.flash.erase(slots[slot]))
	}
	return l.boot.change(func(s *bootState) { s.Via[slot], s.Pending = via, slot })
}

// accept verifies what really is in the slot: signature, hash, size, version and security counter.
func (l *life) accept(slot int, via string) error {
	b, err := l.flash.read(slots[slot])
	if err != nil {
		return err
	}
	if l.boot.policy.refuseAll {
		return firmware.ErrNotForDevice
	}
	img, err := l.boot.verify(b, via)
	if err != nil {
		return err
	}
	counter := l.boot.current().Counter
	if err := l.boot.fit(img, mcuboot.Device{Installed: &l.image.version, MinCounter: &counter}); err != nil {
		return err
	}
	if img.Version() == l.image.version {
		return fmt.Errorf("version %v is installed already: %w", img.Version(), firmware.ErrNotForDevice)
	}
	return nil
}

// say keeps what the cloud is told next.
func (l *life) say(state, last string) {
	l.mu.Lock()
	l.state, l.lastword = state, last
	l.mu.Unlock()
	l.cloud.tell()
}

func (l *life) status() (version, state, last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.version(), l.state, l.lastword
}
