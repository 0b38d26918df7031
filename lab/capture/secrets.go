package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxSecrets bounds the key logs of one capture: a line of TLS 1.3 has some 180 bytes.
const maxSecrets = 16 << 20

// Secrets adds lines of a TLS key log (the NSS format, as tls.Config.KeyLogWriter writes it) to the file. They
// go in at once, so that a killed run has them, and Close moves them to the file's head: programs decrypt
// only what comes after its secrets, and a client of TLS 1.2 logs its keys after its first encrypted records.
func (c *Capture) Secrets(keyLog []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return fmt.Errorf("add secrets to the capture on %s: it has ended", c.name)
	}
	if c.known+len(keyLog) > maxSecrets {
		return fmt.Errorf("add secrets to the capture on %s: more than %d bytes", c.name, maxSecrets)
	}
	c.known += len(keyLog)
	c.secrets = append(c.secrets, keyLog...)
	if c.options.RotateBytes > 0 || c.options.RotateEvery > 0 || len(c.parts) > 1 {
		c.keyLog = append(c.keyLog, keyLog...)
	}
	c.pressing.Store(true)
	return nil
}

// KeyLog is Secrets as the writer that crypto/tls wants.
func (c *Capture) KeyLog() io.Writer { return keyLog{c} }

type keyLog struct{ capture *Capture }

func (k keyLog) Write(b []byte) (int, error) {
	if err := k.capture.Secrets(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *Capture) takeSecrets() []byte {
	if !c.pressing.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.secrets
	c.secrets = nil
	c.pressing.Store(false)
	return taken
}

// MoveSecrets moves the decryption secrets of a pcapng file, and a key log to add, to its head, where programs
// look for them before the first packet. The file must not be written any more. It is replaced in one step;
// packets, their numbers and everything else stay as they are.
func MoveSecrets(path string, keyLog []byte) error {
	if err := moveSecrets(path, keyLog, true); err != nil {
		return fmt.Errorf("move the secrets of %s to its head: %w", path, err)
	}
	return nil
}

// replaceSecrets puts a key log to the head of a file, in the place of all secrets that it has.
func replaceSecrets(path string, keyLog []byte) error {
	if err := moveSecrets(path, keyLog, false); err != nil {
		return fmt.Errorf("put secrets at the head of %s: %w", path, err)
	}
	return nil
}

func moveSecrets(path string, keyLog []byte, keep bool) (err error) {
	if len(keyLog) > maxSecrets {
		return fmt.Errorf("more than %d bytes to add", maxSecrets)
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	var found []byte
	if err := rawBlocks(in, func(kind uint32, block []byte) error {
		if kind == blockSecrets && keep {
			found = append(found, block...)
		}
		if len(found) > 2*maxSecrets {
			return fmt.Errorf("more than %d bytes of secrets", 2*maxSecrets)
		}
		return nil
	}); err != nil {
		return err
	}
	if len(keyLog) > 0 {
		found = appendSecrets(found, keyLog)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(out.Name())
		}
	}()
	if err := rewrite(out, in, found); err != nil {
		return err
	}
	if err := errors.Join(out.Chmod(info.Mode().Perm()), out.Sync(), out.Close()); err != nil {
		return err
	}
	_ = in.Close() // some systems rename over no open file
	return os.Rename(out.Name(), path)
}

// rewrite copies a file with the secrets after its first section header and nowhere else.
func rewrite(out io.Writer, in io.Reader, secrets []byte) error {
	w := bufio.NewWriterSize(out, 1<<20)
	first := true
	err := rawBlocks(in, func(kind uint32, block []byte) error {
		if kind == blockSecrets {
			return nil
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
		if first {
			first = false
			_, err := w.Write(secrets)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// rawBlocks yields the blocks of a little-endian pcapng file of one section, as all are that assay writes. What
// is left of a block that was cut comes last, as kind 0.
func rawBlocks(in io.Reader, each func(kind uint32, block []byte) error) error {
	r := bufio.NewReaderSize(in, 1<<20)
	var block []byte
	for number := 0; ; number++ {
		head, err := r.Peek(12)
		if len(head) == 0 && errors.Is(err, io.EOF) {
			if number == 0 {
				return errors.New("it is empty")
			}
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		var kind, length uint32 = 0, uint32(len(head))
		if len(head) == 12 {
			kind, length = binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		}
		switch section := kind == blockSection; {
		case number == 0 && (!section || binary.LittleEndian.Uint32(head[8:]) != byteOrder):
			return errors.New("it is no little-endian pcapng file")
		case number > 0 && section:
			return errors.New("it has several sections, and secrets belong to one")
		case len(head) == 12 && (length < 12 || length%4 != 0 || length > 2*maxBlock):
			return fmt.Errorf("block %d has %d bytes", number+1, length)
		}
		if cap(block) < int(length) {
			block = make([]byte, length)
		}
		n, err := io.ReadFull(r, block[:length])
		if errors.Is(err, io.ErrUnexpectedEOF) {
			kind = 0
		} else if err != nil {
			return err
		}
		if err := each(kind, block[:n]); err != nil {
			return err
		}
	}
}
