package carrier

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"assay/firmware/format"
)

// UF2 (Microsoft, "USB Flashing Format"): blocks of 512 bytes, little endian.
const (
	uf2Block  = 512
	uf2Magic0 = 0x0A324655 // "UF2\n"
	uf2Magic1 = 0x9E5D5157
	uf2End    = 0x0AB16F30
	uf2Data   = 476 // at most, behind a head of 32 bytes
	uf2Page   = 256 // what uf2conv puts into a block; it fills the last one with zeros
	uf2Filled = 4 << 20

	uf2NotMain = 0x1    // not for the main flash: skipped
	uf2File    = 0x1000 // a container of files
	uf2Family  = 0x2000 // the last word of the head names the chip
	uf2MD5     = 0x4000
	uf2Tags    = 0x8000

	familyRP2350 = 0xe48bff59 // secure arm; its boot ROM knows signed blocks within the image
)

func detectUF2(head []byte) bool {
	return len(head) >= uf2Block && binary.LittleEndian.Uint32(head) == uf2Magic0 &&
		binary.LittleEndian.Uint32(head[4:]) == uf2Magic1
}

func decodeUF2(s format.Source) (memory, error) {
	var m memory
	if s.Size()%uf2Block != 0 {
		return m, format.Malformed("not blocks of %d bytes", uf2Block)
	}
	total := uint32(s.Size() / uf2Block)
	r := s.Section(0, s.Size())
	var family uint32
	var block [uf2Block]byte
	for i := range total {
		if _, err := io.ReadFull(r, block[:]); err != nil {
			return m, fmt.Errorf("read UF2: %w", err)
		}
		word := func(at int) uint32 { return binary.LittleEndian.Uint32(block[at:]) }
		flags, at, size, number, count, chip := word(8), word(12), word(16), word(20), word(24), word(28)
		switch {
		case word(0) != uf2Magic0 || word(4) != uf2Magic1 || word(uf2Block-4) != uf2End:
			return m, format.Malformed("block %d has not the magic numbers", i)
		case size > uf2Data:
			return m, format.Malformed("block %d of %d bytes", i, size)
		case number != i || count != total:
			return m, format.Malformed("block %d says it is %d of %d, there are %d", i, number, count, total)
		case flags&uf2File != 0:
			return m, format.Malformed("block %d is of a container of files", i)
		case flags&^(uf2NotMain|uf2Family|uf2MD5|uf2Tags) != 0:
			return m, format.Malformed("block %d has flags 0x%x", i, flags)
		}
		if flags&uf2Family == 0 {
			chip = 0
		}
		if i == 0 {
			family = chip
		} else if chip != family {
			return m, format.Malformed("block %d is for family 0x%08x, the first for 0x%08x", i, chip, family)
		}
		if flags&uf2NotMain != 0 {
			continue
		}
		data := block[32 : 32+size]
		if err := m.put(uint64(at), data); err != nil {
			return m, err
		}
		m.filling = 0
		if size == uf2Page && m.size <= uf2Filled {
			m.filling = min(len(data)-len(bytes.TrimRight(data, "\x00")), uf2Page-1)
		}
	}
	m.fields = append(m.fields, format.Field{Name: "family", Value: fmt.Sprintf("0x%08x", family)})
	m.notes = append(m.notes, "UF2 has no checksum.")
	if family == familyRP2350 {
		m.notes = append(m.notes, "The boot ROM of the RP2350 knows signed blocks within the image; they are not read here.")
	}
	return m, nil
}

// gzip as Tasmota and ESP8266 cores take it: one member with nothing behind it.
func detectGzip(head []byte) bool { return bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}) }

func decodeGzip(s format.Source) (memory, error) {
	var m memory
	in := &counted{r: s.Section(0, s.Size())}
	z, err := gzip.NewReader(in)
	if err != nil {
		return m, format.Malformed("gzip: %v", err)
	}
	z.Multistream(false)
	data, err := io.ReadAll(io.LimitReader(z, maxCarried+1))
	if err != nil {
		return m, format.Malformed("gzip: %v", err)
	}
	if len(data) > maxCarried {
		return m, format.Malformed("more than %d bytes are carried", maxCarried)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return m, format.Wrap(format.ErrTrailing, "bytes behind the gzip member")
	}
	if len(data) > 0 && data[0] == 0xe9 {
		m.notes = append(m.notes, "It carries an ESP8266 or ESP32 application; the ESP8266 knows no signed one.")
	}
	return m, m.put(0, data)
}

// counted reads byte by byte for compress/flate, so that it takes none behind the member.
type counted struct {
	r   io.Reader
	buf [4096]byte
	at  int
	n   int
}

func (c *counted) fill() error {
	if c.at < c.n {
		return nil
	}
	n, err := io.ReadFull(c.r, c.buf[:])
	c.at, c.n = 0, n
	if n > 0 {
		return nil
	}
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return err
}

// ReadByte is what tells compress/flate not to read ahead.
func (c *counted) ReadByte() (byte, error) {
	if err := c.fill(); err != nil {
		return 0, err
	}
	c.at++
	return c.buf[c.at-1], nil
}

// Read is there for the header.
func (c *counted) Read(p []byte) (int, error) {
	if err := c.fill(); err != nil {
		return 0, err
	}
	n := copy(p, c.buf[c.at:c.n])
	c.at += n
	return n, nil
}
