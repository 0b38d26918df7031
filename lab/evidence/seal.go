package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore/pkg/signature"
)

// Seal makes one signed bundle at out of a run directory whose journal has ended. It
// verifies the directory first: what would not verify is never sealed. The bundle
// appears under its name only when it is whole and on the disk; one that is there
// already is never overwritten. The directory stays as it is.
func Seal(ctx context.Context, dir, out string, signer signature.Signer) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("seal %s: %w", dir, err)
		}
	}()
	e, c, err := openDir(dir)
	if err != nil {
		return err
	}
	if c.torn > 0 {
		return broken(layerChain, lineName(len(c.lines)+1), "it was never finished")
	}
	if err := e.checkComplete(); err != nil {
		return err
	}
	switch _, err := os.Lstat(out); {
	case err == nil:
		return fmt.Errorf("%s: %w", out, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".assay-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name by then, if all went well
	err = writeBundle(ctx, f, e, c, signer)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return err
	}
	return syncDir(filepath.Dir(out))
}

func writeBundle(ctx context.Context, f *os.File, e *Evidence, c *chain, signer signature.Signer) error {
	w := &writer{f: f}
	if err := w.bytes(mimeName, []byte(mimeType)); err != nil {
		return err
	}
	leaves := make([]digest, 0, len(c.lines)+len(e.Artefacts))
	var journal bytes.Buffer
	for _, line := range c.lines {
		leaves = append(leaves, leafHash(line))
		journal.Write(line)
		journal.WriteByte('\n')
	}
	if err := w.bytes(journalName, journal.Bytes()); err != nil {
		return err
	}
	_, counts, err := e.frameCounts()
	if err != nil {
		return err
	}
	for _, a := range e.files() {
		leaf, err := writeArtefact(ctx, w, e, a, counts)
		if err != nil {
			return err
		}
		leaves = append(leaves, leaf)
	}
	t := newTree(len(c.lines), leaves)
	treeJSON, err := t.encode()
	if err != nil {
		return err
	}
	if err := w.bytes(treeName, treeJSON); err != nil {
		return err
	}
	seal, err := signStatement(state(e, t.Root, treeJSON), signer)
	if err != nil {
		return err
	}
	if err := w.bytes(sealName, seal); err != nil {
		return err
	}
	return w.finish()
}

func writeArtefact(ctx context.Context, w *writer, e *Evidence, a Artefact, counts map[string]uint64) (digest, error) {
	r, err := e.source.open(a)
	if err != nil {
		return digest{}, err
	}
	defer r.Close()
	frames := e.frameCheck(a, counts)
	leaf, err := w.file(ctx, a, io.TeeReader(r, frames.beside(io.Discard)))
	if err == nil {
		err = frames.result(a)
	}
	return leaf, err
}
