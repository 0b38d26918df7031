package refdevice

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// A sector is one JSON value in flash behind a header of 16 bytes, little endian:
// magic, sequence number, length of the body, CRC-32 (IEEE) over sequence, length and body.
const (
	sectorMagic  = 0x30305431 // "1T00"
	sectorHeader = 16
)

var errNoSector = errors.New("no valid sector")

// encodeSector fills size bytes; what the value does not need stays erased.
func encodeSector(sequence uint32, v any, size int64) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode sector: %w", err)
	}
	if int64(len(body)) > size-sectorHeader {
		return nil, fmt.Errorf("encode sector: %d bytes do not fit into %d", len(body), size-sectorHeader)
	}
	b := erased(int(size))
	binary.LittleEndian.PutUint32(b[0:], sectorMagic)
	binary.LittleEndian.PutUint32(b[4:], sequence)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(body)))
	copy(b[sectorHeader:], body)
	binary.LittleEndian.PutUint32(b[12:], sectorSum(b, len(body)))
	return b, nil
}

// decodeSector reads a sector into v and returns its sequence number.
func decodeSector(b []byte, v any) (uint32, error) {
	if len(b) < sectorHeader || binary.LittleEndian.Uint32(b) != sectorMagic {
		return 0, errNoSector
	}
	length := binary.LittleEndian.Uint32(b[8:])
	if int64(length) > int64(len(b)-sectorHeader) {
		return 0, errNoSector
	}
	if binary.LittleEndian.Uint32(b[12:]) != sectorSum(b, int(length)) {
		return 0, errNoSector
	}
	if err := json.Unmarshal(b[sectorHeader:sectorHeader+int(length)], v); err != nil {
		return 0, fmt.Errorf("decode sector: %w", err)
	}
	return binary.LittleEndian.Uint32(b[4:]), nil
}

func sectorSum(b []byte, length int) uint32 {
	sum := crc32.ChecksumIEEE(b[4:12])
	return crc32.Update(sum, crc32.IEEETable, b[sectorHeader:sectorHeader+length])
}
