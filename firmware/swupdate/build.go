package swupdate

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// A Spec is what Build needs to make an archive. Version, Hardware and Images matter, the
// rest may stay zero.
type Spec struct {
	Version  string
	Hardware []string // revisions
	Images   []Artifact
	Files    []Artifact
	Scripts  []Artifact
	JSON     bool   // sw-description in JSON instead of libconfig
	CRC      bool   // cpio with checksums
	Extra    []File // members that sw-description does not name
}

// An Artifact is one file with its entry.
type Artifact struct {
	File
	Type   string            // raw, rawfile, shellscript ...
	Fields map[string]string // device, path and whatever else
	NoHash bool              // leave sha256 out
}

// A File is a member.
type File struct {
	Name string
	Data []byte
}

// An Identity signs: with a chain, its certificate first, by CMS, without one by raw RSA.
type Identity struct {
	Key   crypto.Signer
	Chain []*x509.Certificate
	PSS   bool
}

// Build makes an archive signed by id; without a key it is unsigned.
func Build(spec Spec, id Identity) ([]byte, error) {
	b, err := spec.build(id)
	if err != nil {
		return nil, fmt.Errorf("build swupdate archive %q: %w", spec.Version, err)
	}
	return b, nil
}

func (spec Spec) build(id Identity) ([]byte, error) {
	text, err := spec.description()
	if err != nil {
		return nil, err
	}
	files := []File{{descriptionName, text}}
	if id.Key != nil {
		sig, err := id.sign(text, "")
		if err != nil {
			return nil, err
		}
		files = append(files, File{signatureName, sig})
	}
	for _, list := range [][]Artifact{spec.Images, spec.Files, spec.Scripts} {
		for _, a := range list {
			files = append(files, a.File)
		}
	}
	magic := magicNew
	if spec.CRC {
		magic = magicCRC
	}
	b := archive(magic, append(files, spec.Extra...))
	// What Build makes must be what the verifier takes apart.
	if _, err := OpenUnverified(format.Input{Source: format.FromBytes(b)}); err != nil {
		return nil, err
	}
	return b, nil
}

// sign makes sw-description.sig; digest is empty for SHA-256.
func (id Identity) sign(text []byte, digest string) ([]byte, error) {
	if len(id.Chain) > 0 {
		o := cms.SignOptions{Signers: []cms.Identity{{Key: id.Key, Certificate: id.Chain[0]}}, Detached: true, Digest: digest, PSS: id.PSS}
		for _, c := range id.Chain[1:] {
			if !bytes.Equal(c.RawIssuer, c.RawSubject) {
				o.Certificates = append(o.Certificates, c)
			}
		}
		return cms.Sign(bytes.NewReader(text), o)
	}
	if _, ok := id.Key.Public().(*rsa.PublicKey); !ok {
		return nil, format.Wrap(format.ErrAlgorithm, "a raw signature is RSA, the key %T", id.Key.Public())
	}
	hash := crypto.SHA256
	if digest == "sha1" {
		hash = crypto.SHA1
	}
	h := hash.New()
	h.Write(text)
	var opts crypto.SignerOpts = hash
	if id.PSS {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return id.Key.Sign(rand.Reader, h.Sum(nil), opts)
}

func (spec Spec) description() ([]byte, error) {
	lists := []struct {
		name    string
		entries []map[string]string
	}{{"images", entries(spec.Images)}, {"files", entries(spec.Files)}, {"scripts", entries(spec.Scripts)}}
	if spec.JSON {
		software := map[string]any{"version": spec.Version, "hardware-compatibility": spec.Hardware}
		for _, l := range lists {
			if len(l.entries) > 0 {
				software[l.name] = l.entries
			}
		}
		return json.MarshalIndent(map[string]any{"software": software}, "", "\t")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "software =\n{\n\tversion = %s;\n\thardware-compatibility: [ ", quote(spec.Version))
	for i, h := range spec.Hardware {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(h))
	}
	b.WriteString(" ];\n")
	for _, l := range lists {
		if len(l.entries) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\t%s: (\n", l.name)
		for i, e := range l.entries {
			b.WriteString("\t\t{\n")
			for _, key := range slices.Sorted(maps.Keys(e)) {
				fmt.Fprintf(&b, "\t\t\t%s = %s;\n", key, quote(e[key]))
			}
			b.WriteString("\t\t}")
			if i < len(l.entries)-1 {
				b.WriteString(",")
			}
			b.WriteString("\n")
		}
		b.WriteString("\t);\n")
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

func entries(list []Artifact) []map[string]string {
	var out []map[string]string
	for _, a := range list {
		e := map[string]string{"filename": a.Name}
		if a.Type != "" {
			e["type"] = a.Type
		}
		if !a.NoHash {
			sum := sha256.Sum256(a.Data)
			e["sha256"] = hex.EncodeToString(sum[:])
		}
		for k, v := range a.Fields {
			e[k] = v
		}
		out = append(out, e)
	}
	return out
}

// quote writes a string of libconfig.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`).Replace(s) + `"`
}
