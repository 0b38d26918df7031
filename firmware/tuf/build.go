package tuf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// A Spec is what Build makes a repository of.
type Spec struct {
	Targets     map[string]File
	Delegations []Delegation
	Version     int64                      // of timestamp, snapshot and targets; 0: 1
	Expires     time.Time                  // of all metadata
	Signers     map[string][]crypto.Signer // by role, each asked for
	Plain       bool                       // no consistent snapshots
	NoDigests   bool                       // timestamp and snapshot give versions alone
}

// A File is one target. Custom is what a deployment adds: hardwareId, releaseCounter, ecuIdentifiers.
type File struct {
	Content []byte
	Custom  map[string]any
}

// A Delegation is one role below targets, with its own targets.
type Delegation struct {
	Name        string
	Signers     []crypto.Signer
	Paths       []string
	Prefixes    []string // of the path's SHA-256, in hex
	Terminating bool
	Targets     map[string]File
}

type object = map[string]any

// Build makes the files of a repository, by their paths; metadata/1.root.json is the root that a client ships with.
func Build(s Spec) (map[string][]byte, error) {
	b := &builder{spec: s, files: map[string][]byte{}}
	if s.Version == 0 {
		b.spec.Version = 1
	}
	for _, step := range []func() error{b.root, b.targets, b.snapshot, b.timestamp} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("build tuf repository: %w", err)
		}
	}
	return b.files, nil
}

type builder struct {
	spec  Spec
	files map[string][]byte
	meta  object // of the snapshot
}

func (b *builder) head(kind string, version int64) object {
	return object{"_type": kind, "spec_version": "1.0.31", "version": version, "expires": b.spec.Expires.UTC().Format(time.RFC3339)}
}

func keysOf(signers []crypto.Signer, keys object) ([]string, error) {
	var ids []string
	for _, s := range signers {
		id, k, err := keyOf(s.Public())
		if err != nil {
			return nil, err
		}
		keys[id] = k
		ids = append(ids, id)
	}
	return ids, nil
}

func (b *builder) root() error {
	signed, keys, roles := b.head(roleRoot, 1), object{}, object{}
	for _, name := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		ids, err := keysOf(b.spec.Signers[name], keys)
		if err != nil {
			return err
		}
		roles[name] = object{"keyids": ids, "threshold": len(ids)}
	}
	signed["consistent_snapshot"], signed["keys"], signed["roles"] = !b.spec.Plain, keys, roles
	return b.write("1.root.json", signed, b.spec.Signers[roleRoot])
}

func (b *builder) targets() error {
	b.meta = object{}
	signed := b.head(roleTargets, b.spec.Version)
	signed["targets"] = b.list(b.spec.Targets)
	if len(b.spec.Delegations) > 0 {
		keys, roles := object{}, []any{}
		for _, d := range b.spec.Delegations {
			ids, err := keysOf(d.Signers, keys)
			if err != nil {
				return err
			}
			r := object{"name": d.Name, "keyids": ids, "threshold": len(ids), "terminating": d.Terminating}
			if d.Paths != nil {
				r["paths"] = d.Paths
			}
			if d.Prefixes != nil {
				r["path_hash_prefixes"] = d.Prefixes
			}
			roles = append(roles, r)
			below := b.head(roleTargets, b.spec.Version)
			below["targets"] = b.list(d.Targets)
			if err := b.versioned(d.Name, below, d.Signers); err != nil {
				return err
			}
		}
		signed["delegations"] = object{"keys": keys, "roles": roles}
	}
	return b.versioned(roleTargets, signed, b.spec.Signers[roleTargets])
}

// list writes target files and what the metadata says of them.
func (b *builder) list(files map[string]File) object {
	all := object{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		sum := sha256.Sum256(f.Content)
		entry := object{"length": len(f.Content), "hashes": object{"sha256": hex.EncodeToString(sum[:])}}
		if f.Custom != nil {
			entry["custom"] = f.Custom
		}
		all[name] = entry
		folder, last := path.Split(name)
		if !b.spec.Plain {
			last = hex.EncodeToString(sum[:]) + "." + last
		}
		b.files[path.Join("targets", folder, last)] = f.Content
	}
	return all
}

// versioned writes metadata and notes what the one above says of it.
func (b *builder) versioned(name string, signed object, signers []crypto.Signer) error {
	file := name + ".json"
	if !b.spec.Plain {
		file = fmt.Sprintf("%d.%s", b.spec.Version, file)
	}
	if err := b.write(file, signed, signers); err != nil {
		return err
	}
	b.meta[name+".json"] = b.entry(b.files[path.Join("metadata", file)])
	return nil
}

func (b *builder) entry(text []byte) object {
	if b.spec.NoDigests {
		return object{"version": b.spec.Version}
	}
	return object{"version": b.spec.Version, "length": len(text), "hashes": object{"sha256": hexSum(text)}}
}

func (b *builder) snapshot() error {
	signed := b.head(roleSnapshot, b.spec.Version)
	signed["meta"] = b.meta
	b.meta = object{}
	return b.versioned(roleSnapshot, signed, b.spec.Signers[roleSnapshot])
}

func (b *builder) timestamp() error {
	signed := b.head(roleTimestamp, b.spec.Version)
	signed["meta"] = b.meta
	return b.write("timestamp.json", signed, b.spec.Signers[roleTimestamp])
}

func (b *builder) write(name string, signed object, signers []crypto.Signer) error {
	text, err := signDocument(signed, signers)
	b.files[path.Join("metadata", name)] = text
	return err
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// keyOf writes a key as TUF does, and names it by the digest of that.
func keyOf(public crypto.PublicKey) (string, object, error) {
	var k object
	switch p := public.(type) {
	case ed25519.PublicKey:
		k = object{"keytype": "ed25519", "scheme": "ed25519", "keyval": object{"public": hex.EncodeToString(p)}}
	case *ecdsa.PublicKey, *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			return "", nil, err
		}
		kind, scheme := "ecdsa", "ecdsa-sha2-nistp256"
		if _, ok := p.(*rsa.PublicKey); ok {
			kind, scheme = "rsa", "rsassa-pss-sha256"
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		k = object{"keytype": kind, "scheme": scheme, "keyval": object{"public": text}}
	default:
		return "", nil, fmt.Errorf("no way to sign with a %T", public)
	}
	text, err := cjson.EncodeCanonical(k)
	return hexSum(text), k, err
}

// signDocument signs the canonical JSON of signed by every signer.
func signDocument(signed any, signers []crypto.Signer) ([]byte, error) {
	message, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return nil, err
	}
	signatures := []any{}
	for _, s := range signers {
		id, _, err := keyOf(s.Public())
		if err != nil {
			return nil, err
		}
		sig, err := signMessage(s, message)
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, object{"keyid": id, "sig": hex.EncodeToString(sig)})
	}
	return encode(object{"signed": signed, "signatures": signatures})
}

func signMessage(s crypto.Signer, message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	switch s.Public().(type) {
	case ed25519.PublicKey:
		return s.Sign(rand.Reader, message, crypto.Hash(0))
	case *rsa.PublicKey:
		return s.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	return s.Sign(rand.Reader, sum[:], crypto.SHA256)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(v)
	return b.Bytes(), err
}
