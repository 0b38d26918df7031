package refdevice

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"sync"
)

// The data region is a log in one of two banks. A bank begins with a header, then
// come records; the newest record of a key counts, an empty value deletes. All
// numbers are little endian:
//
//	header: magic u32, generation u32, CRC-32 over both u32, 4 bytes erased
//	record: mark u8, key length u8, value length u16, generation u32, CRC-32 over all of it but itself u32, key, value
//
// A record of another generation ends the log, and so does one that is torn.
const (
	bankMagic    = 0x41544144 // "DATA"
	bankHeader   = 16
	recordMark   = 0xA5
	recordHeader = 12
	maxKey       = 96
	maxValue     = 4 << 10
)

var errFull = errors.New("the data region is full")

// A bank is one parsed half of the data region.
type bank struct {
	generation uint32
	values     map[string][]byte
	end        int  // where the next record goes
	clean      bool // everything behind end is erased
}

// parseBank reads one bank; false where it holds no log.
func parseBank(b []byte) (bank, bool) {
	if len(b) < bankHeader || binary.LittleEndian.Uint32(b) != bankMagic ||
		binary.LittleEndian.Uint32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		return bank{}, false
	}
	k := bank{generation: binary.LittleEndian.Uint32(b[4:]), values: map[string][]byte{}, end: bankHeader}
	for {
		key, value, n := parseRecord(b[k.end:], k.generation)
		if n == 0 {
			break
		}
		if len(value) == 0 {
			delete(k.values, key)
		} else {
			k.values[key] = slices.Clone(value)
		}
		k.end += n
	}
	k.clean = !slices.ContainsFunc(b[k.end:], func(c byte) bool { return c != 0xFF })
	return k, true
}

// parseRecord reads one record and returns its length, 0 where there is none.
func parseRecord(b []byte, generation uint32) (key string, value []byte, n int) {
	if len(b) < recordHeader || b[0] != recordMark || binary.LittleEndian.Uint32(b[4:]) != generation {
		return "", nil, 0
	}
	keyLen, valueLen := int(b[1]), int(binary.LittleEndian.Uint16(b[2:]))
	n = recordHeader + keyLen + valueLen
	if keyLen == 0 || keyLen > maxKey || valueLen > maxValue || n > len(b) {
		return "", nil, 0
	}
	if binary.LittleEndian.Uint32(b[8:]) != recordSum(b[:n]) {
		return "", nil, 0
	}
	body := b[recordHeader:n]
	return string(body[:keyLen]), body[keyLen:], n
}

func recordSum(record []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(record[:8]), crc32.IEEETable, record[recordHeader:])
}

func encodeRecord(generation uint32, key string, value []byte) []byte {
	b := make([]byte, recordHeader, recordHeader+len(key)+len(value))
	b[0], b[1] = recordMark, byte(len(key))
	binary.LittleEndian.PutUint16(b[2:], uint16(len(value)))
	binary.LittleEndian.PutUint32(b[4:], generation)
	b = append(append(b, key...), value...)
	binary.LittleEndian.PutUint32(b[8:], recordSum(b))
	return b
}

func encodeBankHeader(generation uint32) []byte {
	b := erased(bankHeader)
	binary.LittleEndian.PutUint32(b, bankMagic)
	binary.LittleEndian.PutUint32(b[4:], generation)
	binary.LittleEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	return b
}

// store is the user's data, kept in the data region.
type store struct {
	flash *flash

	mu   sync.Mutex // guards the rest
	live int        // which bank
	bank bank
}

// openStore reads the newer valid bank and mends what a lost supply left behind.
func openStore(f *flash) (*store, error) {
	s := &store{flash: f}
	var parsed [2]bank
	var valid [2]bool
	for i, r := range banks {
		b, err := f.read(r)
		if err != nil {
			return nil, err
		}
		parsed[i], valid[i] = parseBank(b)
	}
	switch {
	case !valid[0] && !valid[1]:
		return s, s.format(0, 1)
	case !valid[0], valid[1] && parsed[1].generation > parsed[0].generation:
		s.live = 1
	}
	s.bank = parsed[s.live]
	if valid[1-s.live] {
		// The supply went between the last compaction and the erasure of its source.
		if err := f.erase(banks[1-s.live]); err != nil {
			return nil, err
		}
	}
	if !s.bank.clean {
		if err := f.write(banks[s.live], int64(s.bank.end), erased(bankSize-s.bank.end)); err != nil {
			return nil, err
		}
		s.bank.clean = true
	}
	return s, nil
}

// format makes a bank an empty log.
func (s *store) format(which int, generation uint32) error {
	if err := s.flash.write(banks[which], 0, encodeBankHeader(generation)); err != nil {
		return err
	}
	s.live, s.bank = which, bank{generation: generation, values: map[string][]byte{}, end: bankHeader, clean: true}
	return nil
}

func (s *store) get(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.bank.values[key]
	return slices.Clone(v), ok
}

// keys lists the keys with a prefix, sorted.
func (s *store) keys(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for k := range s.bank.values {
		if strings.HasPrefix(k, prefix) {
			found = append(found, k)
		}
	}
	slices.Sort(found)
	return found
}

// set stores a value; an empty one deletes the key.
func (s *store) set(key string, value []byte) error {
	if key == "" || len(key) > maxKey || len(value) > maxValue {
		return fmt.Errorf("store %q: key or value (%d bytes) too long", key, len(value))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	record := encodeRecord(s.bank.generation, key, value)
	if s.bank.end+len(record) > bankSize {
		if err := s.compact(); err != nil {
			return fmt.Errorf("store %q: %w", key, err)
		}
		record = encodeRecord(s.bank.generation, key, value)
		if s.bank.end+len(record) > bankSize {
			return fmt.Errorf("store %q: %w", key, errFull)
		}
	}
	if err := s.flash.write(banks[s.live], int64(s.bank.end), record); err != nil {
		return fmt.Errorf("store %q: %w", key, err)
	}
	s.bank.end += len(record)
	if len(value) == 0 {
		delete(s.bank.values, key)
	} else {
		s.bank.values[key] = slices.Clone(value)
	}
	return nil
}

// compact moves the live values to the other bank: records first, header last, then the source is erased.
func (s *store) compact() error {
	target, generation := 1-s.live, s.bank.generation+1
	b := encodeBankHeader(generation)
	for _, key := range slices.Sorted(maps.Keys(s.bank.values)) {
		b = append(b, encodeRecord(generation, key, s.bank.values[key])...)
	}
	if err := s.flash.erase(banks[target]); err != nil {
		return err
	}
	if err := s.flash.write(banks[target], bankHeader, b[bankHeader:]); err != nil {
		return err
	}
	if err := s.flash.write(banks[target], 0, b[:bankHeader]); err != nil {
		return err
	}
	if err := s.flash.erase(banks[s.live]); err != nil {
		return err
	}
	s.live, s.bank.generation, s.bank.end = target, generation, len(b)
	return nil
}

// erase overwrites every byte of the data region, then starts an empty log.
func (s *store) erase() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range banks {
		if err := s.flash.erase(r); err != nil {
			return err
		}
	}
	return s.format(0, 1)
}

// dropIndex starts an empty log in the other bank and leaves the old one where it is, headless.
func (s *store) dropIndex() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.live
	if err := s.format(1-old, s.bank.generation+1); err != nil {
		return err
	}
	return s.flash.write(banks[old], 0, make([]byte, bankHeader))
}
