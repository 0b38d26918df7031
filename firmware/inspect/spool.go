package inspect

import (
	"bytes"
	"os"

	"assay/firmware/format"
)

// inMemory is how much of an unpacked file is kept in memory.
const inMemory = 1 << 20

// spool keeps an unpacked file: in memory while it is small, then in a temporary file
// without a name that the image could choose.
type spool struct {
	dir  string
	mem  []byte
	file *os.File
	size int64
	end  int64 // of what was written: zeros at the end are not
}

func (s *spool) write(b []byte) error {
	if s.file == nil && s.size+int64(len(b)) <= inMemory {
		s.mem = append(s.mem, b...)
		s.size += int64(len(b))
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "assay-inspect-")
		if err != nil {
			return err
		}
		s.file = f
		if _, err := f.WriteAt(s.mem, 0); err != nil {
			return err
		}
		s.end, s.mem = s.size, nil
	}
	if !allZero(b) { // holes take no disk
		if _, err := s.file.WriteAt(b, s.size); err != nil {
			return err
		}
		s.end = s.size + int64(len(b))
	}
	s.size += int64(len(b))
	return nil
}

var zeroBlock = make([]byte, 64<<10)

func allZero(b []byte) bool { return len(b) <= len(zeroBlock) && bytes.Equal(b, zeroBlock[:len(b)]) }

func (s *spool) source() (format.Source, error) {
	if s.file == nil {
		return format.FromBytes(s.mem), nil
	}
	if s.end < s.size {
		if err := s.file.Truncate(s.size); err != nil {
			return format.Source{}, err
		}
	}
	return format.NewSource(s.file, s.size), nil
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
