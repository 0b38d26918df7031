package mcuboot

import (
	"bufio"
	"bytes"
	"encoding/hex"
)

// Intel HEX, as imgtool writes it: records ":LLAAAATT<data>CC". Only what one
// contiguous image needs is read; a gap, an overlap or a further segment is refused,
// because a loader could place the bytes differently.
const (
	hexData    = 0
	hexEnd     = 1
	hexSegment = 2
	hexStart80 = 3
	hexLinear  = 4
	hexStart   = 5
)

// detectHex looks for an MCUboot magic in the first data records.
func detectHex(b []byte) bool {
	if !bytes.HasPrefix(b, []byte(":")) {
		return false
	}
	for i, line := range bytes.SplitN(b[:min(len(b), 2048)], []byte("\n"), 4) {
		r, err := parseRecord(bytes.TrimRight(line, "\r"))
		if err != nil || i == 3 {
			return false
		}
		if r.kind == hexData {
			return len(r.data) >= 4 && detect(r.data[:4])
		}
	}
	return false
}

// decodeHex returns the bytes of a HEX file, wherever they are meant to lie.
func decodeHex(b []byte) ([]byte, error) {
	var d hexDecoder
	lines := bufio.NewScanner(bytes.NewReader(b))
	n := 0
	for lines.Scan() {
		n++
		r, err := parseRecord(bytes.TrimRight(lines.Bytes(), "\r"))
		if err != nil {
			return nil, malformed("hex line %d: %v", n, err)
		}
		if err := d.take(r); err != nil {
			return nil, malformed("hex line %d: %v", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, malformed("hex line %d: %v", n+1, err)
	}
	if !d.ended {
		return nil, malformed("hex file without end record")
	}
	return d.out, nil
}

type hexRecord struct {
	kind byte
	at   uint16
	data []byte
}

type hexError string

func (e hexError) Error() string { return string(e) }

func parseRecord(line []byte) (hexRecord, error) {
	if len(line) < 11 || line[0] != ':' {
		return hexRecord{}, hexError("no record")
	}
	raw := make([]byte, hex.DecodedLen(len(line)-1))
	if _, err := hex.Decode(raw, line[1:]); err != nil {
		return hexRecord{}, hexError("no hex digits")
	}
	if int(raw[0]) != len(raw)-5 {
		return hexRecord{}, hexError("wrong length")
	}
	var sum byte
	for _, c := range raw {
		sum += c
	}
	if sum != 0 {
		return hexRecord{}, hexError("wrong checksum")
	}
	return hexRecord{kind: raw[3], at: uint16(raw[1])<<8 | uint16(raw[2]), data: raw[4 : len(raw)-1]}, nil
}

type hexDecoder struct {
	out   []byte
	base  uint64 // of the current segment
	next  uint64 // address behind the last byte
	begun bool
	ended bool
}

func (d *hexDecoder) take(r hexRecord) error {
	if d.ended {
		return hexError("record behind the end record")
	}
	switch r.kind {
	case hexData:
		at := d.base + uint64(r.at)
		if d.begun && at != d.next {
			return hexError("gap or overlap")
		}
		d.out, d.next, d.begun = append(d.out, r.data...), at+uint64(len(r.data)), true
	case hexEnd:
		d.ended = true
	case hexSegment, hexLinear:
		if len(r.data) != 2 {
			return hexError("wrong length")
		}
		d.base = uint64(r.data[0])<<8 | uint64(r.data[1])
		if d.base <<= 16; r.kind == hexSegment {
			d.base >>= 12
		}
	case hexStart80, hexStart: // where the program starts: nothing to place
	default:
		return hexError("unknown record type")
	}
	return nil
}
