package mender

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"assay/firmware/format"
)

// A member is one file of the outer archive.
type member struct {
	name   string
	header int64 // offset of its tar header
	at     int64 // offset of its bytes
	size   int64
}

func (m member) end() int64 { return m.at + padded(m.size) }

func padded(n int64) int64 { return (n + blockSize - 1) / blockSize * blockSize }

// readArchive lists the members of the outer archive: plain files, padded with zeros,
// ended by two blocks of zeros, and nothing but zeros behind. What is between the members
// and in their tar headers, no signature covers.
func readArchive(in format.Source) ([]member, error) {
	sec := in.Section(0, in.Size())
	tr := tar.NewReader(sec)
	var list []member
	end := int64(0)
	for {
		h, err := tr.Next()
		pos, _ := sec.Seek(0, io.SeekCurrent)
		if errors.Is(err, io.EOF) {
			return list, checkEnd(in, end, pos)
		}
		if err != nil {
			return nil, format.Malformed("tar archive at offset %d: %v", end, err)
		}
		if err := plainFile(h, false, false); err != nil {
			return nil, err
		}
		if h.Size > in.Size()-pos {
			return nil, format.Malformed("%q announces %d bytes, the file has %d left", h.Name, h.Size, in.Size()-pos)
		}
		if len(list) == maxPayloads+8 {
			return nil, format.Malformed("more than %d members", len(list))
		}
		m := member{name: h.Name, header: end, at: pos, size: h.Size}
		if pad, err := in.Bytes(m.at+m.size, m.end()-m.at-m.size); err != nil || !zero(pad) {
			return nil, format.Malformed("%q is not padded with zeros", h.Name)
		}
		list, end = append(list, m), m.end()
	}
}

// checkEnd wants the two blocks of zeros that end an archive (POSIX.1-2017 pax), and nothing but zeros behind.
func checkEnd(in format.Source, end, pos int64) error {
	if pos-end < 2*blockSize {
		return format.Malformed("tar archive ends without its end mark at offset %d", end)
	}
	rest := in.Section(end, in.Size()-end)
	if n, ok := onlyZeros(rest); !ok {
		return format.Wrap(format.ErrTrailing, "byte at offset %d behind the archive", end+n)
	}
	return nil
}

// onlyZeros reads r to its end; else it tells how many zeros came first.
func onlyZeros(r io.Reader) (int64, bool) {
	buf := make([]byte, 32*1024)
	for total := int64(0); ; {
		n, err := r.Read(buf)
		if !zero(buf[:n]) {
			return total + int64(len(buf[:n])-len(bytes.TrimLeft(buf[:n], "\x00"))), false
		}
		total += int64(n)
		if err != nil {
			return total, errors.Is(err, io.EOF)
		}
	}
}

func zero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// plainFile refuses what a reader could take in two ways or that is no file: links,
// devices, sparse files, and extended records beyond those that a large number needs.
func plainFile(h *tar.Header, inner, folders bool) error {
	if h.Typeflag != tar.TypeReg && (!folders || h.Typeflag != tar.TypeDir) {
		return format.Malformed("%q is no plain file (tar type %q)", h.Name, h.Typeflag)
	}
	allowed := []string{"size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname"}
	if inner { // a payload file may have a long name; the fixed members need none
		allowed = append(allowed, "path")
	}
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if !slices.Contains(allowed, key) {
			return format.Malformed("%q has the extended record %q", h.Name, key)
		}
	}
	if len(h.Name) > 255 {
		return format.Malformed("name of %d bytes: %.60q", len(h.Name), h.Name)
	}
	if h.Size < 0 || h.Typeflag == tar.TypeDir && h.Size > 0 {
		return format.Malformed("%q has %d bytes", h.Name, h.Size)
	}
	return nil
}

// walkArchive reads an inner archive through once. No name may come twice. What visit
// leaves of a member is skipped, what follows the archive must be zeros.
func walkArchive(r io.Reader, folders bool, visit func(h *tar.Header, r io.Reader) error) error {
	counted := &counter{r: r}
	tr := tar.NewReader(counted)
	seen := map[string]bool{}
	for end := int64(0); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) && counted.err == nil {
			if counted.n-end < 2*blockSize {
				return format.Malformed("archive ends without its end mark")
			}
			if _, ok := onlyZeros(counted); !ok {
				return cmpErr(counted.err, format.Wrap(format.ErrTrailing, "bytes behind the archive"))
			}
			return nil
		}
		if err != nil {
			return cmpErr(counted.err, format.Malformed("tar archive: %v", err))
		}
		if err := plainFile(h, true, folders); err != nil {
			return err
		}
		if seen[h.Name] {
			return format.Malformed("%q twice", h.Name)
		}
		if len(seen) == maxMembers {
			return format.Malformed("more than %d members", maxMembers)
		}
		seen[h.Name] = true
		end = counted.n + padded(h.Size)
		if err := visit(h, tr); err != nil {
			return cmpErr(counted.err, err)
		}
	}
}

// cmpErr prefers what stopped the decompressor over what tar made of it.
func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// A counter counts what was read and keeps the error that ended it, unless that is the end of the file.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		if !errors.Is(err, format.ErrMalformed) {
			err = fmt.Errorf("decompress: %w: %w", err, format.ErrMalformed)
		}
		c.err = err
	}
	return n, err
}
