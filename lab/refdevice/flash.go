package refdevice

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
)

// A region is a part of the flash.
type region struct {
	name   string
	offset int64
	size   int64
}

// The flash map. Erased flash reads as 0xFF.
const (
	bootSectorSize = 4 << 10
	slotSize       = 64 << 10
	bankSize       = 32 << 10
	flashSize      = 216 << 10
)

var (
	// Two copies of the bootloader's state: one is whole whenever the power goes.
	bootSectors   = [2]region{{"boot 0", 0, bootSectorSize}, {"boot 1", bootSectorSize, bootSectorSize}}
	factoryRegion = region{"factory", 8 << 10, 8 << 10}  // written once, by the maker
	serviceRegion = region{"service", 16 << 10, 8 << 10} // the maker's spare room; a sound device leaves it erased
	slots         = [2]region{{"slot A", 24 << 10, slotSize}, {"slot B", 88 << 10, slotSize}}
	banks         = [2]region{{"data bank 0", 152 << 10, bankSize}, {"data bank 1", 184 << 10, bankSize}}
)

// flash is the device's storage: a file. Every write is on the disk when it returns.
type flash struct {
	mu   sync.Mutex
	file *os.File
}

// openFlash opens a flash file of exactly the chip's size.
func openFlash(name string) (*flash, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open flash: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != flashSize {
		err = fmt.Errorf("%s has %d bytes, the chip has %d", name, info.Size(), flashSize)
	}
	if err != nil {
		return nil, fmt.Errorf("open flash: %w", errors.Join(err, f.Close()))
	}
	return &flash{file: f}, nil
}

func (f *flash) close() error { return f.file.Close() }

// read returns a whole region.
func (f *flash) read(r region) ([]byte, error) {
	b := make([]byte, r.size)
	if _, err := f.file.ReadAt(b, r.offset); err != nil {
		return nil, fmt.Errorf("read flash %s: %w", r.name, err)
	}
	return b, nil
}

// write puts bytes into a region and waits until they are on the disk.
func (f *flash) write(r region, at int64, b []byte) error {
	if at < 0 || at+int64(len(b)) > r.size {
		return fmt.Errorf("write flash %s: %d bytes at %d do not fit", r.name, len(b), at)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.file.WriteAt(b, r.offset+at); err != nil {
		return fmt.Errorf("write flash %s: %w", r.name, err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("write flash %s: %w", r.name, err)
	}
	return nil
}

// erase overwrites every byte of a region with 0xFF.
func (f *flash) erase(r region) error { return f.write(r, 0, erased(int(r.size))) }

func erased(n int) []byte { return bytes.Repeat([]byte{0xFF}, n) }
