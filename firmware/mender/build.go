package mender

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"assay/firmware/format"
)

// A Spec is what Build needs to make an artifact. Name, DeviceTypes and Files matter, the
// rest may stay zero.
type Spec struct {
	Version     int // of the format, 2 or 3; 0 means 3
	Name        string
	Group       string
	DeviceTypes []string
	Depends     map[string][]string // artifact_name, artifact_group
	Type        string              // of the payload; empty means rootfs-image
	Needs       map[string][]string // what the payload depends on
	Provides    map[string]string   // what the payload provides
	Scripts     []File
	Files       []File
	Compression string // None, Gzip, XZ or Zstd
}

// A File is a file of the payload, or a state script.
type File struct {
	Name string
	Data []byte
}

// Build makes an artifact signed by key: RSA, or ECDSA on P-256. Without key it is unsigned.
func Build(spec Spec, key crypto.Signer) ([]byte, error) {
	b, err := spec.build(key)
	if err != nil {
		return nil, fmt.Errorf("build mender artifact %q: %w", spec.Name, err)
	}
	return b, nil
}

func (spec Spec) build(key crypto.Signer) ([]byte, error) {
	if spec.Version == 0 {
		spec.Version = 3
	}
	if spec.Type == "" {
		spec.Type = "rootfs-image"
	}
	files, err := spec.headerFiles()
	if err != nil {
		return nil, err
	}
	header, err := pack(spec.Compression, files)
	if err != nil {
		return nil, err
	}
	data, err := pack(spec.Compression, spec.Files)
	if err != nil {
		return nil, err
	}
	p := parts{
		version: fmt.Appendf(nil, `{"format":"mender","version":%d}`, spec.Version),
		header:  File{"header.tar" + spec.Compression, header},
		data:    []File{{"data/0000.tar" + spec.Compression, data}},
	}
	for _, f := range spec.Files {
		p.lines = append(p.lines, line{sha256.Sum256(f.Data), "data/0000/" + f.Name})
	}
	p.lines = append(p.lines, line{sha256.Sum256(header), p.header.Name}, line{sha256.Sum256(p.version), "version"})
	if err := p.sign(key); err != nil {
		return nil, err
	}
	b, err := p.archive()
	if err != nil {
		return nil, err
	}
	// What Build makes must be what the verifier takes apart.
	if _, err := OpenUnverified(format.Input{Source: format.FromBytes(b)}); err != nil {
		return nil, err
	}
	return b, nil
}

func (spec Spec) headerFiles() ([]File, error) {
	type object = map[string]any
	depends := object{"device_type": spec.DeviceTypes}
	for k, v := range spec.Depends {
		depends[k] = v
	}
	provides := object{"artifact_name": spec.Name}
	if spec.Group != "" {
		provides["artifact_group"] = spec.Group
	}
	types := []object{{"type": spec.Type}}
	info := object{"payloads": types, "artifact_provides": provides, "artifact_depends": depends}
	typeInfo := object{"type": spec.Type}
	if spec.Version == 2 {
		info = object{"artifact_name": spec.Name, "updates": types, "device_types_compatible": spec.DeviceTypes}
	} else {
		if len(spec.Needs) > 0 {
			typeInfo["artifact_depends"] = spec.Needs
		}
		if len(spec.Provides) > 0 {
			typeInfo["artifact_provides"] = spec.Provides
		}
	}
	var files []File
	add := func(name string, v any) error {
		b, err := json.Marshal(v)
		files = append(files, File{name, b})
		return err
	}
	if err := add("header-info", info); err != nil {
		return nil, err
	}
	for _, s := range spec.Scripts {
		files = append(files, File{"scripts/" + s.Name, s.Data})
	}
	if spec.Version == 2 {
		names := []string{}
		for _, f := range spec.Files {
			names = append(names, f.Name)
		}
		if err := add("headers/0000/files", object{"files": names}); err != nil {
			return nil, err
		}
	}
	return files, add("headers/0000/type-info", typeInfo)
}

// parts are an artifact before it is an archive.
type parts struct {
	version  []byte
	lines    []line
	manifest []byte // what was signed
	sig      []byte // base64; nil: unsigned
	header   File
	data     []File
}

func manifestOf(lines []line) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&b, "%x  %s\n", l.sum, l.name)
	}
	return b.Bytes()
}

// sign writes the manifest from its lines, and its signature where there is a key.
func (p *parts) sign(key crypto.Signer) error {
	p.manifest, p.sig = manifestOf(p.lines), nil
	if key == nil {
		return nil
	}
	sig, err := sign(key, crypto.SHA256, p.manifest)
	if err != nil {
		return err
	}
	p.sig = base64.StdEncoding.AppendEncode(nil, sig)
	return nil
}

// sign makes the signature of mender-artifact: PKCS #1 v1.5, or r and s in a row.
func sign(key crypto.Signer, hash crypto.Hash, message []byte) ([]byte, error) {
	h := hash.New()
	h.Write(message)
	sig, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	switch p := key.Public().(type) {
	case *rsa.PublicKey:
		return sig, nil
	case *ecdsa.PublicKey:
		if p.Curve == elliptic.P256() {
			return rawFromDER(sig)
		}
	}
	return nil, format.Wrap(format.ErrAlgorithm, "the format knows RSA and ECDSA on P-256 only")
}

func (p *parts) members() []File {
	list := []File{{"version", p.version}, {"manifest", p.manifest}}
	if p.sig != nil {
		list = append(list, File{"manifest.sig", p.sig})
	}
	return append(append(list, p.header), p.data...)
}

func (p *parts) archive() ([]byte, error) { return pack(None, p.members()) }

// pack writes a tar archive, compressed.
func pack(kind string, files []File) ([]byte, error) {
	var b bytes.Buffer
	w, err := compressor(kind, &b)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Size: int64(len(f.Data)), Mode: 0o600}
		if strings.HasSuffix(f.Name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o700
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func compressor(kind string, w io.Writer) (io.WriteCloser, error) {
	switch kind {
	case None:
		return nopCloser{w}, nil
	case Gzip:
		return gzip.NewWriter(w), nil
	case XZ:
		return xz.WriterConfig{DictCap: 1 << 20}.NewWriter(w)
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	return nil, fmt.Errorf("unknown compression %q", kind)
}
