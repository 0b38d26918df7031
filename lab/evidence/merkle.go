package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
)

// A digest is one SHA-256 value.
type digest [sha256.Size]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

// leafHash and nodeHash are those of RFC 6962 section 2.1: the prefix keeps a leaf
// from being passed off as a node.
func leafHash(data []byte) digest {
	return sum(newLeaf(), data)
}

func newLeaf() hash.Hash {
	h := sha256.New()
	h.Write([]byte{0})
	return h
}

func nodeHash(left, right digest) digest {
	h := sha256.New()
	h.Write([]byte{1})
	h.Write(left[:])
	return sum(h, right[:])
}

func sum(h hash.Hash, data []byte) (d digest) {
	h.Write(data)
	h.Sum(d[:0])
	return d
}

// merkleRoot is the Merkle Tree Hash of RFC 6962 section 2.1.
func merkleRoot(leaves []digest) digest {
	// One perfect subtree is kept per set bit of the leaves seen so far.
	var stack []digest
	for i, d := range leaves {
		for n := i; n&1 == 1; n >>= 1 {
			d = nodeHash(stack[len(stack)-1], d)
			stack = stack[:len(stack)-1]
		}
		stack = append(stack, d)
	}
	if len(stack) == 0 {
		return sha256.Sum256(nil)
	}
	d := stack[len(stack)-1]
	for i := len(stack) - 2; i >= 0; i-- {
		d = nodeHash(stack[i], d)
	}
	return d
}

// A tree is the content of tree.json: first the journal's lines, then the files in
// journal order.
type tree struct {
	Hash    string   `json:"hash"` // "sha256-rfc6962"
	Records int      `json:"records"`
	Size    int      `json:"size"`
	Root    string   `json:"root"`
	Leaves  []string `json:"leaves"`
}

const treeHash = "sha256-rfc6962"

func newTree(records int, leaves []digest) *tree {
	t := &tree{Hash: treeHash, Records: records, Size: len(leaves), Root: merkleRoot(leaves).String()}
	for _, l := range leaves {
		t.Leaves = append(t.Leaves, l.String())
	}
	return t
}

// encode writes a tree in the only form that is accepted.
func (t *tree) encode() ([]byte, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode tree: %w", err)
	}
	return append(b, '\n'), nil
}

// A meter takes a file's bytes once and tells its digest, its leaf, its CRC-32 and its size.
type meter struct {
	content, leaf hash.Hash
	crc           uint32
	size          int64
}

// sideBySide is from how many bytes on a second goroutine for the second hash pays.
const sideBySide = 64 << 10

func newMeter() *meter { return &meter{content: sha256.New(), leaf: newLeaf()} }

func (m *meter) Write(p []byte) (int, error) {
	if len(p) < sideBySide {
		m.leaf.Write(p)
		m.content.Write(p)
	} else {
		done := make(chan struct{})
		go func() {
			m.leaf.Write(p)
			close(done)
		}()
		m.content.Write(p)
		<-done
	}
	m.crc = crc32.Update(m.crc, crc32.IEEETable, p)
	m.size += int64(len(p))
	return len(p), nil
}

func (m *meter) sha256() string { return hex.EncodeToString(m.content.Sum(nil)) }

func (m *meter) leafDigest() (d digest) {
	m.leaf.Sum(d[:0])
	return d
}

// copyBuffer is how much of a file is in memory at a time.
const copyBuffer = 1 << 20
