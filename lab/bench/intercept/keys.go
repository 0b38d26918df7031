package intercept

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
)

// maxKeys bounds the key log: some twenty thousand connections.
const maxKeys = 16 << 20

// Keys is the key log of every connection that the bench terminates, in the format of NSS, which
// Wireshark reads: with it the lab decrypts its own capture. The file holds secrets of the test, is for
// its owner only, and does not exist before there is a key.
type Keys struct {
	path string

	mu   sync.Mutex // guards the rest
	all  bytes.Buffer
	file *os.File
	err  error
	lost int
}

// NewKeys keeps the log in a file; without a name only in memory.
func NewKeys(path string) *Keys { return &Keys{path: path} }

// Write takes whole lines.
func (k *Keys) Write(line []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all.Len()+len(line) > maxKeys {
		k.lost++
		return len(line), nil // a handshake must not break for it
	}
	k.all.Write(line)
	if k.path != "" && k.file == nil && k.err == nil {
		k.file, k.err = os.OpenFile(k.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if k.file != nil && k.err == nil {
		_, k.err = k.file.Write(line)
	}
	return len(line), nil
}

// Lines returns the log so far: what the decryption secrets of a capture are made of.
func (k *Keys) Lines() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Clone(k.all.Bytes())
}

// Close ends the file; it says where lines are missing from it.
func (k *Keys) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.err
	if k.file != nil {
		err = errors.Join(err, k.file.Close())
		k.file = nil
	}
	if k.lost > 0 {
		err = errors.Join(err, fmt.Errorf("%d lines beyond %d bytes are not in it", k.lost, maxKeys))
	}
	k.path, k.err, k.lost = "", nil, 0
	if err != nil {
		return fmt.Errorf("write the key log: %w", err)
	}
	return nil
}
