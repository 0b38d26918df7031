package swupdate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// The new ASCII format of cpio(5), with and without checksums: 110 bytes of magic and
// thirteen numbers of eight hex digits, the name, the data, both padded to four.
const (
	magicNew   = "070701"
	magicCRC   = "070702"
	headerSize = 110
	trailer    = "TRAILER!!!"
	maxName    = 255
)

// A member is one file of the archive.
type member struct {
	name   string
	header int64 // offset of its cpio header
	at     int64 // offset of its bytes
	size   int64
	crc    bool   // the header carries a sum
	sum    uint32 // of all bytes, as the header has it
}

func (m member) end() int64 { return m.at + padded(m.size) }

func padded(n int64) int64 { return (n + 3) / 4 * 4 }

func isMagic(b []byte) bool {
	return bytes.HasPrefix(b, []byte(magicNew)) || bytes.HasPrefix(b, []byte(magicCRC))
}

// readArchive lists the members up to the trailer. Behind it there may be nothing but
// zeros, which fill up a block. Names are held to what a device may create: no folder to
// start from, none to leave, none twice.
func readArchive(in format.Source) ([]member, int64, error) {
	var list []member
	seen := map[string]bool{}
	for at := int64(0); ; {
		m, mode, err := readHeader(in, at)
		if err != nil {
			return nil, 0, err
		}
		if m.name == trailer {
			if m.size != 0 {
				return nil, 0, format.Malformed("the trailer at offset %d has %d bytes", at, m.size)
			}
			return list, m.at, checkTail(in, m.at)
		}
		switch {
		case !validName(m.name):
			return nil, 0, format.Malformed("member name %.100q", m.name)
		case seen[m.name]:
			return nil, 0, format.Malformed("%.100q twice", m.name)
		case mode&0o170000 != 0o100000 && mode&0o170000 != 0:
			return nil, 0, format.Malformed("%.100q is no plain file (mode %o)", m.name, mode)
		case m.size > in.Size()-m.at:
			return nil, 0, format.Malformed("%.100q announces %d bytes, the file has %d left", m.name, m.size, in.Size()-m.at)
		case len(list) == maxMembers:
			return nil, 0, format.Malformed("more than %d members", maxMembers)
		}
		if err := zeros(in, m.at+m.size, m.end()); err != nil {
			return nil, 0, err
		}
		seen[m.name] = true
		list, at = append(list, m), m.end()
	}
}

func readHeader(in format.Source, at int64) (member, uint64, error) {
	b, err := in.Bytes(at, headerSize)
	if err != nil {
		return member{}, 0, fmt.Errorf("cpio header: %w", err)
	}
	if !isMagic(b) {
		return member{}, 0, format.Malformed("no cpio header at offset %d", at)
	}
	var field [13]uint64
	for i := range field {
		digits := string(b[6+8*i : 14+8*i])
		if field[i], err = strconv.ParseUint(digits, 16, 32); err != nil || strings.ContainsAny(digits, "+_") {
			return member{}, 0, format.Malformed("cpio header at offset %d: %q is no number", at, digits)
		}
	}
	size, length := field[6], field[11]
	if length < 2 || length > maxName+1 {
		return member{}, 0, format.Malformed("cpio header at offset %d: name of %d bytes", at, length)
	}
	name, err := in.Bytes(at+headerSize, int64(length))
	if err != nil {
		return member{}, 0, fmt.Errorf("cpio name: %w", err)
	}
	// A reader of C strings would stop at the first zero, another at the length.
	if bytes.IndexByte(name, 0) != len(name)-1 {
		return member{}, 0, format.Malformed("cpio header at offset %d: name %.100q", at, name)
	}
	m := member{name: string(name[:len(name)-1]), header: at, at: at + padded(headerSize+int64(length)), size: int64(size)}
	if string(b[:6]) == magicCRC {
		m.crc, m.sum = true, uint32(field[12])
	}
	return m, field[1], zeros(in, at+headerSize+int64(length), m.at)
}

func zeros(in format.Source, from, to int64) error {
	b, err := in.Bytes(from, to-from)
	if err != nil {
		return fmt.Errorf("cpio padding: %w", err)
	}
	if len(bytes.TrimLeft(b, "\x00")) > 0 {
		return format.Malformed("padding at offset %d is not zero", from)
	}
	return nil
}

func checkTail(in format.Source, at int64) error {
	r := in.Section(at, in.Size()-at)
	buf := make([]byte, 32*1024)
	for {
		n, err := r.Read(buf)
		if rest := bytes.TrimLeft(buf[:n], "\x00"); len(rest) > 0 {
			return format.Wrap(format.ErrTrailing, "byte at offset %d behind the trailer", at+int64(n-len(rest)))
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// validName is what SWUpdate itself asks since May 2026, and a little more.
func validName(s string) bool {
	if s == "" || s[0] == '/' || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// A summer adds up bytes, as the checksum of the crc format has it: 32 at a time, in lanes
// of 16 bits, so that it costs little beside the hash.
type summer uint32

func (s *summer) Write(p []byte) (int, error) {
	const lanes = 0x00ff00ff00ff00ff
	n, total := len(p), uint32(*s)
	for len(p) >= 32 {
		step := min(len(p)/32, 32) // a lane holds 8*32 bytes
		var sum uint64
		for range step {
			q := p[:32]
			a, b := binary.LittleEndian.Uint64(q), binary.LittleEndian.Uint64(q[8:])
			c, d := binary.LittleEndian.Uint64(q[16:]), binary.LittleEndian.Uint64(q[24:])
			sum += a&lanes + a>>8&lanes + b&lanes + b>>8&lanes
			sum += c&lanes + c>>8&lanes + d&lanes + d>>8&lanes
			p = p[32:]
		}
		total += uint32(sum&0xffff) + uint32(sum>>16&0xffff) + uint32(sum>>32&0xffff) + uint32(sum>>48)
	}
	for _, b := range p {
		total += uint32(b)
	}
	*s = summer(total)
	return n, nil
}

func sumOf(b []byte) uint32 {
	var s summer
	_, _ = s.Write(b) // never fails
	return uint32(s)
}

// appendMember writes one member.
func appendMember(b []byte, magic, name string, data []byte) []byte {
	sum := uint32(0)
	if magic == magicCRC {
		sum = sumOf(data)
	}
	mode := 0o100644
	if name == trailer {
		mode = 0
	}
	b = fmt.Appendf(b, "%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		magic, 0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, sum, name)
	b = append(b, make([]byte, (4-(headerSize+len(name)+1)%4)%4)...)
	b = append(b, data...)
	return append(b, make([]byte, (4-len(data)%4)%4)...)
}

// archive writes members and trailer, filled up to a block of 512.
func archive(magic string, files []File) []byte {
	var b []byte
	for _, f := range files {
		b = appendMember(b, magic, f.Name, f.Data)
	}
	b = appendMember(b, magic, trailer, nil)
	return append(b, make([]byte, (512-len(b)%512)%512)...)
}
