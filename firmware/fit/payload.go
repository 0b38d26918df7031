package fit

import (
	"bytes"
	"crypto"
	_ "crypto/md5" // for crypto.Hash: weak ones are checked too, to tell what they are worth
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	"assay/firmware/format"
)

// hashOf is a digest by its name in a FIT; false for what U-Boot does not know and for
// crc16-ccitt, which is not worth computing.
func hashOf(name string) (crypto.Hash, bool) {
	switch name {
	case "md5":
		return crypto.MD5, true
	case "sha1":
		return crypto.SHA1, true
	case "sha256":
		return crypto.SHA256, true
	case "sha384":
		return crypto.SHA384, true
	case "sha512":
		return crypto.SHA512, true
	}
	return 0, false
}

func isWeak(name string) bool { return len(format.WeakDigest(name)) > 0 }

func isStrong(name string) bool {
	_, ok := hashOf(name)
	return ok && !isWeak(name)
}

func newHash(name string) hash.Hash {
	if name == "crc32" {
		return crc32.NewIEEE() // stored big endian, as Sum gives it
	}
	if h, ok := hashOf(name); ok {
		return h.New()
	}
	return nil
}

// sums computes several digests of a part's data while reading it once.
func (img *Image) sums(p *part, names []string) (map[string][]byte, error) {
	hashes := map[string]hash.Hash{}
	var writers []io.Writer
	for _, name := range names {
		if h := newHash(name); h != nil && hashes[name] == nil {
			hashes[name] = h
			writers = append(writers, h)
		}
	}
	w := io.MultiWriter(writers...)
	if len(writers) == 1 {
		w = writers[0]
	}
	if err := img.hashSection(w, p.at, p.size); err != nil {
		return nil, err
	}
	values := map[string][]byte{}
	for name, h := range hashes {
		values[name] = h.Sum(nil)
	}
	return values, nil
}

// bound tells whether a hash node that counts and that is strong binds the data.
func (p *part) bound() bool {
	return slices.ContainsFunc(p.hashes, func(h hashNode) bool { return !h.ignored && isStrong(h.algo) })
}

// checkHashes holds the data against every hash node of the part, as U-Boot does.
func (p *part) checkHashes(sums map[string][]byte) error {
	for _, h := range p.hashes {
		if h.ignored {
			continue
		}
		got, ok := sums[h.algo]
		if !ok && !isWeak(h.algo) {
			return format.Wrap(format.ErrAlgorithm, "%s: unknown algorithm %.20q", h.node.Path(), h.algo)
		}
		if ok && !bytes.Equal(got, h.value) {
			return format.Wrap(format.ErrBadHash, "%s: %s of the %d bytes of data", h.node.Path(), h.algo, p.size)
		}
	}
	return nil
}
