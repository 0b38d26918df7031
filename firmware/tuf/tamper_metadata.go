package tuf

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"assay/firmware/format"
)

func (c *change) header() error {
	c.say(format.LayerSignature, format.ErrBadSignature, "the timestamp is not what its role signed", "version of "+c.repo.time.path)
	return c.edit(c.repo.time.path, func(signed object) { signed["version"] = c.repo.time.Signed.Version + 1 })
}

func (c *change) lengthLie() error {
	c.say(format.LayerSignature, format.ErrBadSignature, "the timestamp is not what its role signed", "length of the snapshot in "+c.repo.time.path)
	return c.edit(c.repo.time.path, func(signed object) { sub(signed, "meta", "snapshot.json")["length"] = int64(1) << 40 })
}

func (c *change) escape() error {
	const name = "../../../../tmp/assay-escape"
	c.say(format.LayerStructure, format.ErrMalformed, "no target lies outside the folder", "target "+name+" in "+c.repo.targets.path)
	if err := c.edit(c.repo.targets.path, func(signed object) {
		sub(signed, "targets")[name] = object{"length": 0, "hashes": object{"sha256": hexSum(nil)}}
	}); err != nil {
		return err
	}
	return c.repair(c.repo)
}

// signatures changes those of the timestamp, above which nothing stands but the root.
func (c *change) signatures(f func([]any) []any) error {
	return c.editAll(c.repo.time.path, func(all object) error {
		list, ok := all["signatures"].([]any)
		if !ok || len(list) == 0 {
			return wrap(format.ErrNotApplicable, "it is not signed")
		}
		all["signatures"] = f(list)
		return nil
	})
}

func (c *change) flipSignatures() error {
	c.say(format.LayerSignature, format.ErrBadSignature, "no signature fits", "lowest bit of each signature's last byte in "+c.repo.time.path)
	return c.signatures(func(list []any) []any {
		for _, s := range list {
			if entry, ok := s.(object); ok {
				text, _ := entry["sig"].(string)
				if b, err := hex.DecodeString(text); err == nil && len(b) > 0 {
					b[len(b)-1] ^= 1
					entry["sig"] = hex.EncodeToString(b)
				}
			}
		}
		return list
	})
}

func (c *change) strip() error {
	c.say(format.LayerSignature, format.ErrUnsigned, "there is no signature", "signatures of "+c.repo.time.path+" removed")
	return c.signatures(func([]any) []any { return []any{} })
}

func (c *change) doubleSignatures() error {
	c.m.Classic = "CVE-2020-6174"
	c.say(format.LayerStructure, format.ErrMalformed, "a key counts once towards a threshold", "first signature of "+c.repo.time.path+" twice")
	return c.signatures(func(list []any) []any { return append(list, list[0]) })
}

func (c *change) wrongKey() error {
	key, err := stranger()
	if err != nil {
		return err
	}
	c.say(format.LayerTrust, format.ErrNoTrustedKey, "the root does not list the key", c.repo.time.path+" signed by a fresh key under its own id")
	return c.sign(c.repo.time.path, key)
}

// forgedKey names the maker's keys over signatures of a stranger.
func (c *change) forgedKey() error {
	key, err := stranger()
	if err != nil {
		return err
	}
	if len(c.repo.time.Signatures) == 0 {
		return wrap(format.ErrNotApplicable, "it is not signed")
	}
	if err := c.sign(c.repo.time.path, key); err != nil {
		return err
	}
	c.say(format.LayerSignature, format.ErrBadSignature, "the signature is not of the key that it names", c.repo.time.path+" signed by a fresh key under the maker's id")
	return c.signatures(func(list []any) []any {
		entry, _ := list[0].(object)
		var forged []any
		for _, s := range c.repo.time.Signatures {
			forged = append(forged, object{"keyid": s.KeyID, "sig": entry["sig"]})
		}
		return forged
	})
}

// sign replaces the signatures of a file.
func (c *change) sign(file string, signers ...crypto.Signer) error {
	return c.editAll(file, func(all object) error {
		text, err := signDocument(all["signed"], signers)
		if err != nil {
			return err
		}
		var again object
		if err := json.Unmarshal(text, &again); err != nil {
			return err
		}
		all["signatures"] = again["signatures"]
		return nil
	})
}

// newestRoot is the one in the folder with the highest version.
func (c *change) newestRoot() *document {
	if len(c.repo.roots) == 0 {
		return nil
	}
	return c.repo.roots[slices.Max(slices.Collect(maps.Keys(c.repo.roots)))]
}

// selfMade adds a root of a stranger, who signs everything below it: right in itself, and
// vouched for by nobody.
func (c *change) selfMade() error {
	key, err := stranger()
	if err != nil {
		return err
	}
	root := c.newestRoot()
	if root == nil {
		return wrap(format.ErrNotApplicable, "no root is in the folder")
	}
	id, k, err := keyOf(key.Public())
	if err != nil {
		return err
	}
	version := root.Signed.Version + 1
	file := path.Join(c.repo.metadata, fmt.Sprintf("%d.root.json", version))
	c.files[file] = root.raw
	if err := c.edit(file, func(signed object) {
		signed["version"], signed["keys"] = version, object{id: k}
		for _, name := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
			sub(signed, "roles")[name] = object{"keyids": []string{id}, "threshold": 1}
		}
	}); err != nil {
		return err
	}
	c.say(format.LayerTrust, format.ErrChain, "the new root is not signed by the one before it", file+" by a fresh key, and all below it signed by that")
	c.signer = key
	for _, name := range []string{file, c.repo.targets.path} {
		if err := c.sign(name, key); err != nil {
			return err
		}
	}
	return c.repairSigned(key)
}

// repairSigned repairs snapshot and timestamp, and signs both.
func (c *change) repairSigned(signer crypto.Signer) error {
	if err := c.repair(c.repo); err != nil {
		return err
	}
	if err := c.sign(c.repo.snapshot.path, signer); err != nil {
		return err
	}
	if err := c.repairTimestamp(); err != nil {
		return err
	}
	return c.sign(c.repo.time.path, signer)
}

// repairTimestamp is the last step of repair.
func (c *change) repairTimestamp() error {
	return c.edit(c.repo.time.path, func(signed object) {
		m, text := sub(signed, "meta", "snapshot.json"), c.files[c.repo.snapshot.path]
		if _, ok := m["hashes"]; ok {
			m["hashes"] = object{"sha256": hexSum(text)}
		}
		if _, ok := m["length"]; ok {
			m["length"] = len(text)
		}
	})
}

// may tells whether the maker's key that was given can sign for a role alone.
func (c *change) may(names ...string) error {
	if c.signer == nil {
		return wrap(format.ErrNotApplicable, "it takes the key of the role %s", strings.Join(names, ", "))
	}
	id, _, err := keyOf(c.signer.Public())
	if err != nil {
		return wrap(format.ErrNotApplicable, "%v", err)
	}
	root := c.newestRoot()
	if root == nil {
		return wrap(format.ErrNotApplicable, "no root is in the folder")
	}
	for _, name := range names {
		if r := root.Signed.Roles[name]; r.Threshold != 1 || !slices.Contains(r.KeyIDs, c.idOf(root, id)) {
			return wrap(format.ErrNotApplicable, "the key given cannot sign for %s alone", name)
		}
	}
	return nil
}

// idOf is the id under which a root lists a key; it may write it with more members than we do.
func (c *change) idOf(root *document, id string) string {
	_, mine, err := keyOf(c.signer.Public())
	if err != nil {
		return id
	}
	want, _ := cjson.EncodeCanonical(mine["keyval"])
	for other, k := range root.Signed.Keys {
		have, _ := cjson.EncodeCanonical(object{"public": k.Value.Public})
		if bytes.Equal(have, want) {
			return other
		}
	}
	return id
}
