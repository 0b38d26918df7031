package evidence

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A bundle is a ZIP archive (PKWARE APPNOTE.TXT 6.3.10) with exactly one possible
// form for given entries: stored, no times, no attributes, no flags, no comments, no
// data descriptors, no extra field but the ZIP64 one where a number needs it. So the
// archive can be rebuilt from its entries and compared with what is there, and no
// byte of it is left that could say anything else.

// Names of a bundle's entries, in their order; the files stand between journal and tree, the
// amendments between stamp and redaction.
const (
	mimeName      = "mimetype"
	treeName      = "tree.json"
	sealName      = "seal/statement.sigstore.json"
	stampName     = "seal/timestamp.tsr"
	redactionName = "redaction.json"
)

// mimeType names the format and its version.
const mimeType = "application/vnd.assay.evidence.v1+zip"

// Signatures and sizes of APPNOTE sections 4.3.7, 4.3.12, 4.3.14, 4.3.15 and 4.3.16.
const (
	sigLocal   = 0x04034b50
	sigCentral = 0x02014b50
	sigEnd64   = 0x06064b50
	sigLocator = 0x07064b50
	sigEnd     = 0x06054b50

	lenLocal   = 30
	lenCentral = 46

	version20 = 20
	version45 = 45 // ZIP64
	max32     = 0xffffffff
	max16     = 0xffff
	extra64   = 0x0001
)

// An entry is one stored file of a bundle.
type entry struct {
	name   string
	crc    uint32
	size   uint64
	offset uint64 // of its local header
}

// data is where an entry's bytes begin.
func (e entry) data() uint64 {
	n := uint64(lenLocal + len(e.name))
	if e.size >= max32 {
		n += 20
	}
	return e.offset + n
}

// next is where the following header begins.
func (e entry) next() uint64 { return e.data() + e.size }

// isFile tells whether the entry is an artefact's file.
func (e entry) isFile() bool {
	d, ok := strings.CutPrefix(e.name, filesName+"/")
	return ok && isDigest(d)
}

// rank is an entry's place in a bundle; 0: a bundle has no entry of that name.
func (e entry) rank() int {
	switch e.name {
	case mimeName:
		return 1
	case journalName:
		return 2
	case treeName:
		return 4
	case sealName:
		return 5
	case stampName:
		return 6
	case redactionName:
		return 8
	}
	if e.isFile() {
		return 3
	}
	if amendmentNumber(e.name) > 0 {
		return 7
	}
	return 0
}

// local is the entry's local file header.
func (e entry) local() []byte {
	version, size, extra := uint16(version20), uint32(min(e.size, max32)), []byte(nil)
	if e.size >= max32 {
		version = version45
		extra = binary.LittleEndian.AppendUint16(extra, extra64)
		extra = binary.LittleEndian.AppendUint16(extra, 16)
		extra = binary.LittleEndian.AppendUint64(extra, e.size)
		extra = binary.LittleEndian.AppendUint64(extra, e.size)
	}
	b := make([]byte, 0, lenLocal+len(e.name)+len(extra))
	b = binary.LittleEndian.AppendUint32(b, sigLocal)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // flags, method, time, date
	b = binary.LittleEndian.AppendUint32(b, e.crc)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, e.name...)
	return append(b, extra...)
}

// central is the entry's header in the central directory. Its ZIP64 field holds just
// the numbers that do not fit, as APPNOTE section 4.5.3 wants.
func (e entry) central() []byte {
	var wide []byte
	if e.size >= max32 {
		wide = binary.LittleEndian.AppendUint64(wide, e.size)
		wide = binary.LittleEndian.AppendUint64(wide, e.size)
	}
	if e.offset >= max32 {
		wide = binary.LittleEndian.AppendUint64(wide, e.offset)
	}
	version, extra := uint16(version20), []byte(nil)
	if len(wide) > 0 {
		version = version45
		extra = binary.LittleEndian.AppendUint16(extra, extra64)
		extra = binary.LittleEndian.AppendUint16(extra, uint16(len(wide)))
		extra = append(extra, wide...)
	}
	size := uint32(min(e.size, max32))
	b := make([]byte, 0, lenCentral+len(e.name)+len(extra))
	b = binary.LittleEndian.AppendUint32(b, sigCentral)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // flags, method, time, date
	b = binary.LittleEndian.AppendUint32(b, e.crc)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // comment length, disk, attributes inside and outside
	b = binary.LittleEndian.AppendUint32(b, uint32(min(e.offset, max32)))
	b = append(b, e.name...)
	return append(b, extra...)
}

// ending is what follows the central directory of n headers, which begins at start
// and is size bytes long.
func ending(n, start, size uint64) []byte {
	var b []byte
	if n >= max16 || start >= max32 || size >= max32 {
		b = binary.LittleEndian.AppendUint32(b, sigEnd64)
		b = binary.LittleEndian.AppendUint64(b, 44) // what follows of this record
		b = binary.LittleEndian.AppendUint16(b, version45)
		b = binary.LittleEndian.AppendUint16(b, version45)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // this disk, disk of the directory
		b = binary.LittleEndian.AppendUint64(b, n)
		b = binary.LittleEndian.AppendUint64(b, n)
		b = binary.LittleEndian.AppendUint64(b, size)
		b = binary.LittleEndian.AppendUint64(b, start)
		b = binary.LittleEndian.AppendUint32(b, sigLocator)
		b = append(b, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint64(b, start+size)
		b = binary.LittleEndian.AppendUint32(b, 1) // disks
	}
	b = binary.LittleEndian.AppendUint32(b, sigEnd)
	b = append(b, 0, 0, 0, 0) // this disk, disk of the directory
	b = binary.LittleEndian.AppendUint16(b, uint16(min(n, max16)))
	b = binary.LittleEndian.AppendUint16(b, uint16(min(n, max16)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(size, max32)))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(start, max32)))
	return append(b, 0, 0) // comment length
}

// checkOrder accepts the entries of a bundle, whole, in their order, none twice.
func checkOrder(entries []entry) error {
	seen := map[string]bool{}
	last, amendments := entry{}, 0
	for _, e := range entries {
		if seen[e.name] {
			return broken(layerContainer, e.name, "is there twice")
		}
		if e.rank() < last.rank() {
			return broken(layerContainer, e.name, "stands behind %s, where it does not belong", last.name)
		}
		if n := amendmentNumber(e.name); n > 0 {
			if amendments++; n != amendments {
				return broken(layerContainer, e.name, "stands where amendment %d belongs", amendments)
			}
		}
		seen[e.name], last = true, e
	}
	for _, name := range []string{mimeName, journalName, treeName, sealName} {
		if !seen[name] {
			return broken(layerContainer, name, "is missing")
		}
	}
	return nil
}

// printable shows a foreign name without letting it play with a terminal.
func printable(name string) string {
	q := fmt.Sprintf("%.80q", name)
	return q[1 : len(q)-1]
}
