package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"

	"assay/firmware/format"
)

// strangerFor makes a key that fits what the bundle says of the maker's: which curve it is on is nowhere written.
func strangerFor(img *Image) (crypto.Signer, error) {
	if _, der := ecdsaNumbers(img.sig); !der && len(img.sig) == ed25519.SignatureSize {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	curve := elliptic.P256()
	if img.bundle != nil && img.envelope == nil {
		switch img.hash {
		case crypto.SHA384:
			curve = elliptic.P384()
		case crypto.SHA512:
			curve = elliptic.P521()
		}
	}
	return ecdsa.GenerateKey(curve, rand.Reader)
}

// confuse gives the payload another type: it would be read as something else than was signed.
// The digest of a message signature is a hint, and another algorithm there harms nobody.
func (c *change) confuse() error {
	if c.img.envelope == nil {
		return wrap(format.ErrNotApplicable, "a message signature is of a key that has but one algorithm")
	}
	c.say(format.LayerSignature, format.ErrMalformed, "the payload's type is signed with it", "payload type application/octet-stream")
	return c.edit(func(b object) error { sub(b, "dsseEnvelope")["payloadType"] = "application/octet-stream"; return nil })
}

// duplicate writes the content's member twice: the first is a stranger's.
func (c *change) duplicate() error {
	name := "messageSignature"
	if c.img.envelope != nil {
		name = "dsseEnvelope"
	}
	var b map[string]json.RawMessage
	if err := json.Unmarshal(c.signature, &b); err != nil {
		return malformed("%v", err)
	}
	stranger := bytes.ReplaceAll(b[name], []byte(`"sig`), []byte(`"SIG`))
	c.say(format.LayerStructure, format.ErrMalformed, "a member that is there twice is one too many", name+" twice")
	open := bytes.IndexByte(c.signature, '{') + 1
	c.signature = bytes.Join([][]byte{c.signature[:open], []byte(`"` + name + `":`), stranger, []byte(","), c.signature[open:]}, nil)
	return nil
}

// secondSignature puts a stranger's before the maker's.
func (c *change) secondSignature() error {
	if c.img.envelope == nil {
		return wrap(format.ErrNotApplicable, "a message signature is one")
	}
	stranger, err := c.stranger()
	if err != nil {
		return err
	}
	sig, err := sign(stranger, c.img.envelope.message(), true)
	if err != nil {
		return err
	}
	c.say(format.LayerStructure, format.ErrMalformed, "the envelope of a bundle has one signature", "signature by a fresh key before the maker's")
	return c.edit(func(b object) error {
		sub(b, "dsseEnvelope")["signatures"] = []any{object{"sig": sig}, object{"sig": c.img.sig}}
		return nil
	})
}

// changeProof takes out, breaks or exchanges the log entry.
func (c *change) changeProof(variant string, means format.Means) error {
	if len(c.img.entries()) == 0 {
		return wrap(format.ErrNotApplicable, "it has no log entry")
	}
	switch variant {
	case format.StrippedProof:
		c.say(format.LayerTrust, format.ErrNotLogged, "no log vouches for the signature", "log entries removed")
		return c.edit(func(b object) error { delete(sub(b, "verificationMaterial"), "tlogEntries"); return nil })
	case format.TrailerFlip:
		c.say(format.LayerTrust, format.ErrNotLogged, "the entry is not in the log", "lowest bit of the root hash of the inclusion proof")
		return c.edit(func(b object) error {
			entries, _ := sub(b, "verificationMaterial")["tlogEntries"].([]any)
			for i, e := range entries {
				entry, _ := e.(object)
				proof := c.img.entries()[i].GetInclusionProof()
				if len(proof.GetRootHash()) == 0 {
					return wrap(format.ErrNotApplicable, "the log entry has no inclusion proof")
				}
				root := bytes.Clone(proof.GetRootHash())
				root[len(root)-1] ^= 1
				sub(entry, "inclusionProof")["rootHash"] = root
			}
			return nil
		})
	}
	return c.foreignEntry(means)
}

// foreignEntry takes the log entry out of another bundle of the maker: genuine, but about something else.
func (c *change) foreignEntry(means format.Means) error {
	source := means.Older
	if source == nil {
		source = means.Sister
	}
	if source == nil {
		return wrap(format.ErrNotApplicable, "it takes another bundle of the maker, older or of another product")
	}
	other, err := OpenUnverified(format.Input{Source: *source})
	if err != nil {
		return wrap(format.ErrNotApplicable, "the other one: %v", err)
	}
	if len(other.entries()) == 0 {
		return wrap(format.ErrNotApplicable, "the other bundle has no log entry")
	}
	var b object
	if err := json.Unmarshal(other.raw, &b); err != nil {
		return malformed("%v", err)
	}
	c.say(format.LayerTrust, format.ErrNotLogged, "the log entry is about another artifact", "log entries are those of another bundle of the maker")
	c.m.Classic = "CVE-2026-22703"
	return c.edit(func(mine object) error {
		sub(mine, "verificationMaterial")["tlogEntries"] = sub(b, "verificationMaterial")["tlogEntries"]
		return nil
	})
}
