package rauc

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"assay/firmware/format"
)

// A level of the hash tree: where it begins and how many blocks it has. Levels are counted
// from the leaves; the file has the top one first, right behind the data.
type level struct{ offset, blocks int64 }

// levels lays out the tree over so many data blocks, and tells its size in bytes. One
// data block needs none: its hash is the root.
func levels(dataBlocks int64) ([]level, int64) {
	var all []level
	for n := dataBlocks; n > 1; {
		n = (n + hashesInBlock - 1) / hashesInBlock
		all = append(all, level{blocks: n})
	}
	at := dataBlocks * blockSize
	for i := len(all) - 1; i >= 0; i-- {
		all[i].offset = at
		at += all[i].blocks * blockSize
	}
	return all, at - dataBlocks*blockSize
}

// checkTree asks that the tree be as large as the data needs: blocks between the two would
// be mounted and covered by nothing.
func (m *Manifest) checkTree(payload int64) error {
	data := payload - m.VeritySize
	if data <= 0 {
		return format.Malformed("verity-size %d of %d bytes of payload", m.VeritySize, payload)
	}
	if _, want := levels(data / blockSize); want != m.VeritySize {
		return format.Malformed("verity-size %d, a tree over %d bytes has %d", m.VeritySize, data, want)
	}
	return nil
}

// A hasher hashes blocks with a salt before them: dm-verity's version 1.
type hasher struct {
	h    hash.Hash
	salt []byte
}

func newHasher(salt []byte) *hasher { return &hasher{sha256.New(), salt} }

func (h *hasher) sum(to, block []byte) {
	h.h.Reset()
	h.h.Write(h.salt)
	h.h.Write(block)
	h.h.Sum(to[:0])
}

// verifyTree checks the payload against the root, from the top down, each byte once, in flat memory.
func verifyTree(payload io.ReaderAt, dataBlocks int64, salt, root []byte) error {
	tree, _ := levels(dataBlocks)
	h := newHasher(salt)
	top := level{0, dataBlocks}
	if len(tree) > 0 {
		top = tree[len(tree)-1]
	}
	block, sum := make([]byte, blockSize), make([]byte, hashSize)
	if _, err := payload.ReadAt(block, top.offset); err != nil {
		return fmt.Errorf("read hash tree: %w", err)
	}
	if h.sum(sum, block); !bytes.Equal(sum, root) {
		return format.Wrap(format.ErrBadHash, "the hash tree's root is %x, the manifest says %x", sum, root)
	}
	for i := len(tree) - 1; i >= 0; i-- {
		below := level{0, dataBlocks}
		what := "data"
		if i > 0 {
			below, what = tree[i-1], "hash tree"
		}
		if err := verifyLevel(payload, below, tree[i], h, what); err != nil {
			return err
		}
	}
	return nil
}

// verifyLevel compares the blocks of one level with what the level above says of them. What
// is unused at the end of the level above must be zero.
func verifyLevel(payload io.ReaderAt, below, above level, h *hasher, what string) error {
	data, made, said := make([]byte, hashesInBlock*blockSize), make([]byte, blockSize), make([]byte, blockSize)
	for i := range above.blocks {
		n := min(hashesInBlock, below.blocks-i*hashesInBlock)
		at := below.offset + i*hashesInBlock*blockSize
		if _, err := payload.ReadAt(data[:n*blockSize], at); err != nil {
			return fmt.Errorf("read %s: %w", what, err)
		}
		clear(made)
		for j := range n {
			h.sum(made[j*hashSize:], data[j*blockSize:(j+1)*blockSize])
		}
		if _, err := payload.ReadAt(said, above.offset+i*blockSize); err != nil {
			return fmt.Errorf("read hash tree: %w", err)
		}
		if bytes.Equal(made, said) {
			continue
		}
		for j := range n {
			if !bytes.Equal(made[j*hashSize:(j+1)*hashSize], said[j*hashSize:(j+1)*hashSize]) {
				return format.Wrap(format.ErrBadHash, "%s block at offset %d is not what the hash tree says", what, at+j*blockSize)
			}
		}
		return format.Wrap(format.ErrBadHash, "the hash tree is not zero behind its last hash, in the block at offset %d", above.offset+i*blockSize)
	}
	return nil
}

// makeTree returns the tree over data and its root.
func makeTree(data, salt []byte) (tree, root []byte) {
	layout, size := levels(int64(len(data)) / blockSize)
	tree, root = make([]byte, size), make([]byte, hashSize)
	h := newHasher(salt)
	below := data
	for _, l := range layout {
		at := l.offset - int64(len(data))
		level := tree[at : at+l.blocks*blockSize]
		for j := 0; j*blockSize < len(below); j++ {
			h.sum(level[j*hashSize:], below[j*blockSize:(j+1)*blockSize])
		}
		below = level
	}
	h.sum(root, below[:blockSize])
	return tree, root
}
