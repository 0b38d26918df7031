package carrier

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"

	"assay/firmware/format"
)

// lines reads a text line by line without holding it.
type lines struct{ r *bufio.Reader }

func newLines(s format.Source) lines {
	return lines{bufio.NewReaderSize(s.Section(0, s.Size()), maxLine)}
}

func (l lines) next() ([]byte, error) {
	b, err := l.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, format.Malformed("longer than %d bytes", maxLine)
	case errors.Is(err, io.EOF) && len(b) > 0:
	case err != nil:
		return nil, err
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

// firstLine is the first line of a head, if it is whole.
func firstLine(head []byte) ([]byte, bool) {
	line, _, whole := bytes.Cut(head, []byte("\n"))
	return bytes.TrimRight(line, "\r"), whole || len(head) < headSize
}

func digits(b []byte) ([]byte, error) {
	raw := make([]byte, hex.DecodedLen(len(b)))
	if _, err := hex.Decode(raw, b); err != nil {
		return nil, format.Malformed("no hex digits")
	}
	return raw, nil
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// Intel HEX (Intel, "Hexadecimal Object File Format Specification", 1988): ":LLAAAATT<data>CC".
const (
	hexData    = 0
	hexEnd     = 1
	hexSegment = 2
	hexStart80 = 3
	hexLinear  = 4
	hexStart   = 5
)

func detectHex(head []byte) bool {
	line, whole := firstLine(head)
	if !whole || len(line) < 11 || line[0] != ':' {
		return false
	}
	raw, err := digits(line[1:])
	return err == nil && int(raw[0]) == len(raw)-5 && raw[3] <= hexStart
}

func decodeHex(s format.Source) (memory, error) {
	var m memory
	var base uint64
	ended := false
	err := eachLine(s, func(_ int, line []byte) error {
		if ended {
			return format.Malformed("record behind the end record")
		}
		if len(line) < 11 || line[0] != ':' {
			return format.Malformed("no record")
		}
		raw, err := digits(line[1:])
		if err != nil {
			return err
		}
		if int(raw[0]) != len(raw)-5 {
			return format.Malformed("wrong length")
		}
		if sum(raw) != 0 {
			return format.Malformed("wrong checksum")
		}
		data := raw[4 : len(raw)-1]
		switch raw[3] {
		case hexData:
			at := uint64(raw[1])<<8 | uint64(raw[2])
			if at+uint64(len(data)) > 1<<16 {
				return format.Malformed("record runs over its segment") // wraps in some loaders
			}
			return m.put(base+at, data)
		case hexEnd:
			ended = true
		case hexSegment, hexLinear:
			if len(data) != 2 {
				return format.Malformed("wrong length")
			}
			base = uint64(data[0])<<8 | uint64(data[1])
			if base <<= 16; raw[3] == hexSegment {
				base >>= 12
			}
		case hexStart80, hexStart: // where the program starts: nothing to place
		default:
			return format.Malformed("unknown record type %d", raw[3])
		}
		return nil
	})
	if err == nil && !ended {
		err = format.Malformed("no end record")
	}
	return m, err
}

// Motorola S-records: "S<type><count><address><data><checksum>"; the count is of the bytes behind it.
func detectSRecord(head []byte) bool {
	line, whole := firstLine(head)
	if !whole || len(line) < 8 || line[0] != 'S' || line[1] < '0' || line[1] > '9' {
		return false
	}
	raw, err := digits(line[2:])
	return err == nil && int(raw[0]) == len(raw)-1
}

func decodeSRecord(s format.Source) (memory, error) {
	var m memory
	var records uint64
	ended, counted := false, false
	err := eachLine(s, func(_ int, line []byte) error {
		if ended || counted && len(line) > 1 && line[1] <= '3' {
			return format.Malformed("record behind the end, or the count")
		}
		if len(line) < 8 || line[0] != 'S' {
			return format.Malformed("no record")
		}
		raw, err := digits(line[2:])
		if err != nil {
			return err
		}
		if int(raw[0]) != len(raw)-1 {
			return format.Malformed("wrong length")
		}
		if sum(raw) != 0xff {
			return format.Malformed("wrong checksum")
		}
		width := map[byte]int{'0': 2, '1': 2, '2': 3, '3': 4, '5': 2, '6': 3, '7': 4, '8': 3, '9': 2}[line[1]]
		if width == 0 || len(raw) < width+2 {
			return format.Malformed("unknown record S%c, or too short", line[1])
		}
		var at uint64
		for _, c := range raw[1 : 1+width] {
			at = at<<8 | uint64(c)
		}
		data := raw[1+width : len(raw)-1]
		switch line[1] {
		case '0': // a header, text for people
		case '1', '2', '3':
			records++
			return m.put(at, data)
		case '5', '6':
			if at != records || len(data) > 0 {
				return format.Malformed("%d data records are said, %d are there", at, records)
			}
			counted = true
		default: // 7, 8, 9
			ended = true
		}
		return nil
	})
	if err == nil && !ended && !counted { // srec_cat writes a count, and an end only with a start address
		err = format.Malformed("neither count nor end record")
	}
	return m, err
}

// TI-TXT (Texas Instruments, MSP430 hex utility): "@ADDR", lines of bytes, "q". It has no checksum.
func detectTI(head []byte) bool {
	line, whole := firstLine(head)
	if !whole || len(line) < 2 || len(line) > 9 || line[0] != '@' {
		return false
	}
	_, ok := address(line)
	return ok
}

func address(line []byte) (at uint64, ok bool) {
	if len(line) < 2 || len(line) > 9 || line[0] != '@' {
		return 0, false
	}
	for _, c := range line[1:] {
		d := bytes.IndexByte([]byte("0123456789ABCDEF"), bytes.ToUpper([]byte{c})[0])
		if d < 0 {
			return 0, false
		}
		at = at<<4 | uint64(d)
	}
	return at, true
}

func decodeTI(s format.Source) (memory, error) {
	var m memory
	var at uint64
	placed, ended := false, false
	err := eachLine(s, func(_ int, line []byte) error {
		line = bytes.TrimRight(line, " ")
		switch {
		case ended:
			return format.Malformed("line behind the end")
		case len(line) == 1 && (line[0] == 'q' || line[0] == 'Q'):
			ended = true
			return nil
		case bytes.HasPrefix(line, []byte("@")):
			if at, placed = address(line); !placed {
				return format.Malformed("no address")
			}
			return nil
		case !placed:
			return format.Malformed("bytes before the first address")
		}
		if len(line)%3 != 2 {
			return format.Malformed("not bytes parted by blanks")
		}
		for i := 2; i < len(line); i += 3 {
			if line[i] != ' ' {
				return format.Malformed("not bytes parted by blanks")
			}
		}
		data, err := digits(bytes.ReplaceAll(line, []byte(" "), nil))
		if err != nil {
			return err
		}
		if err := m.put(at, data); err != nil {
			return err
		}
		at += uint64(len(data))
		return nil
	})
	if err == nil && !ended {
		err = format.Malformed("no end")
	}
	m.notes = append(m.notes, "TI-TXT has not even a checksum.")
	return m, err
}
