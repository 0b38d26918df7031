package authenticode

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"slices"

	"assay/firmware/format"
)

// Offsets within a PE file (Microsoft, "PE Format").
const (
	coffSize    = 24 // "PE\0\0" and the file header
	sectionSize = 40
	maxHeaders  = 1 << 20
	maxSections = 96 // of the Windows loader

	magicPE32     = 0x10b
	magicPE32Plus = 0x20b

	offsetHeaders   = 60 // SizeOfHeaders, within the optional header
	offsetChecksum  = 64
	offsetSubsystem = 68

	securityDirectory = 4
)

// A layout is where the parts of a PE file lie.
type layout struct {
	machine, subsystem uint16
	coff               int64 // "PE\0\0"
	timestamp          uint32
	checksumAt         int64
	checksum           uint32
	directoryAt        int64 // entry of the certificate table; 0 where the header is too short to have one
	table, tableSize   int64
	headers            int64 // SizeOfHeaders
	sections           []section
	gaps               bool // bytes between headers and sections that belong to none
}

type section struct {
	name     string
	at, size int64
}

func parse(s format.Source) (layout, error) {
	var l layout
	dos, err := s.Bytes(0, 64)
	if err != nil {
		return l, err
	}
	if !bytes.HasPrefix(dos, []byte("MZ")) {
		return l, format.Malformed("no MZ at the start")
	}
	l.coff = int64(binary.LittleEndian.Uint32(dos[60:]))
	if l.coff < 4 || l.coff > maxHeaders {
		return l, format.Malformed("PE header at %d", l.coff)
	}
	head, err := s.Bytes(l.coff, coffSize)
	if err != nil {
		return l, err
	}
	if !bytes.HasPrefix(head, []byte("PE\x00\x00")) {
		return l, format.Malformed("no PE header at %d", l.coff)
	}
	l.machine, l.timestamp = binary.LittleEndian.Uint16(head[4:]), binary.LittleEndian.Uint32(head[8:])
	optional := int64(binary.LittleEndian.Uint16(head[20:]))
	if err := l.readOptional(s, optional); err != nil {
		return l, err
	}
	if err := l.readSections(s, l.coff+coffSize+optional, int(binary.LittleEndian.Uint16(head[6:]))); err != nil {
		return l, err
	}
	return l, l.checkTable(s.Size())
}

func (l *layout) readOptional(s format.Source, size int64) error {
	at := l.coff + coffSize
	b, err := s.Bytes(at, size)
	if err != nil {
		return err
	}
	if size < 96 {
		return format.Malformed("optional header of %d bytes", size)
	}
	directories := int64(96)
	switch binary.LittleEndian.Uint16(b) {
	case magicPE32:
	case magicPE32Plus:
		directories = 112
	default:
		return format.Malformed("optional header of magic 0x%x", binary.LittleEndian.Uint16(b))
	}
	if size < directories {
		return format.Malformed("optional header of %d bytes", size)
	}
	l.headers = int64(binary.LittleEndian.Uint32(b[offsetHeaders:]))
	l.checksumAt, l.checksum = at+offsetChecksum, binary.LittleEndian.Uint32(b[offsetChecksum:])
	l.subsystem = binary.LittleEndian.Uint16(b[offsetSubsystem:])
	count := int64(binary.LittleEndian.Uint32(b[directories-4:]))
	if count > 16 || directories+8*count > size {
		return format.Malformed("%d data directories do not fit the optional header of %d bytes", count, size)
	}
	if count > securityDirectory {
		entry := directories + 8*securityDirectory
		l.directoryAt = at + entry
		l.table = int64(binary.LittleEndian.Uint32(b[entry:]))
		l.tableSize = int64(binary.LittleEndian.Uint32(b[entry+4:]))
	}
	return nil
}

// readSections wants headers and sections side by side: where they overlap, one byte would be
// hashed once or twice, depending on the reader.
func (l *layout) readSections(s format.Source, at int64, count int) error {
	if count > maxSections {
		return format.Malformed("%d sections", count)
	}
	b, err := s.Bytes(at, int64(count)*sectionSize)
	if err != nil {
		return err
	}
	end := at + int64(count)*sectionSize
	if l.headers < end || l.headers > s.Size() {
		return format.Malformed("headers of %d bytes, they end at %d", l.headers, end)
	}
	for ; len(b) > 0; b = b[sectionSize:] {
		x := section{
			name: string(bytes.TrimRight(b[:8], "\x00")),
			size: int64(binary.LittleEndian.Uint32(b[16:])), at: int64(binary.LittleEndian.Uint32(b[20:])),
		}
		if x.size > 0 {
			l.sections = append(l.sections, x)
		}
	}
	slices.SortStableFunc(l.sections, func(a, b section) int { return cmp.Compare(a.at, b.at) })
	next := l.headers
	for _, x := range l.sections {
		if x.at < next || x.at+x.size > s.Size() {
			return format.Malformed("section %.8q at %d of %d bytes overlaps or runs over the file", x.name, x.at, x.size)
		}
		l.gaps = l.gaps || x.at > next
		next = x.at + x.size
	}
	if l.tableSize > 0 && l.table < next {
		return format.Malformed("the certificate table at %d overlaps the sections, which end at %d", l.table, next)
	}
	l.gaps = l.gaps || l.tableSize > 0 && l.table-next >= tableAlign
	return nil
}

func (l *layout) checkTable(size int64) error {
	switch {
	case l.tableSize == 0 && l.table == 0:
		return nil
	case l.tableSize == 0 || l.table%tableAlign != 0 || l.table+l.tableSize > size:
		return format.Malformed("certificate table at %d of %d bytes, the file has %d", l.table, l.tableSize, size)
	case l.table+l.tableSize < size:
		return format.Wrap(format.ErrTrailing, "%d bytes behind the certificate table", size-l.table-l.tableSize)
	}
	return nil
}

// covered are the ranges that the hash is of (Windows Authenticode Portable Executable
// Signature Format, "Calculating the PE Image Hash"): all but the checksum, the directory's
// entry of the certificate table, and that table.
func (l *layout) covered(size int64) []format.Region {
	end := size
	if l.tableSize > 0 {
		end = l.table
	}
	ranges := []format.Region{{Name: "headers", Size: l.checksumAt}}
	at := l.checksumAt + 4
	if l.directoryAt > 0 {
		ranges = append(ranges, format.Region{Name: "headers", Offset: at, Size: l.directoryAt - at})
		at = l.directoryAt + 8
	}
	return append(ranges, format.Region{Name: "headers and sections", Offset: at, Size: end - at})
}

// hashInto reads the covered ranges once.
func (img *Image) hashInto(h hash.Hash) error {
	buffer := make([]byte, 256<<10)
	for _, r := range img.covered(img.in.Size()) {
		n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{img.in.Section(r.Offset, r.Size)}, buffer)
		if err != nil {
			return fmt.Errorf("read PE image: %w", err)
		}
		if n != r.Size {
			return format.Malformed("the file ends at %d", r.Offset+n)
		}
	}
	return nil
}

func sha256Of(s format.Source) (*Image, []byte, error) {
	img, err := open(format.Input{Source: s})
	if err != nil {
		return nil, nil, err
	}
	h := sha256.New()
	err = img.hashInto(h)
	return img, h.Sum(nil), err
}

// peChecksum is the sum of 16-bit words with carry, plus the size; the field itself counts
// as zero. It protects against nothing.
func peChecksum(s format.Source, fieldAt int64) (uint32, error) {
	r := s.Section(0, s.Size())
	buffer := make([]byte, 256<<10)
	var sum uint64
	for at := int64(0); at < s.Size(); {
		n, err := io.ReadFull(r, buffer[:min(int64(len(buffer)), s.Size()-at)])
		if err != nil {
			return 0, fmt.Errorf("read PE image: %w", err)
		}
		b := buffer[:n]
		for i := range int64(4) {
			if p := fieldAt + i - at; p >= 0 && p < int64(n) {
				b[p] = 0
			}
		}
		at += int64(n)
		// Eight bytes at a time: with the carry kept, the order in which words are added does not matter.
		var carry uint64
		for ; len(b) >= 8; b = b[8:] {
			sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b), carry)
		}
		var last [8]byte
		copy(last[:], b)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(last[:]), carry)
		sum, carry = bits.Add64(sum, 0, carry)
		sum += carry
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint32(sum) + uint32(s.Size()), nil
}
