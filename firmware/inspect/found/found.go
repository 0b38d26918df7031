// Package found is for telling what the inspection found, in words that carry no judgement and
// no secret: the kind, the place, a short digest of the evidence. It never holds the evidence.
package found

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"

	"assay/firmware/format"
)

// The kinds of findings. They are API: evidence and reports name them.
const (
	PrivateKey      = "private-key"
	AuthorizedKey   = "authorized-key"
	Password        = "hardcoded-password"
	CloudCredential = "cloud-credential"
	Token           = "token"
	SecondRoot      = "second-uid0"
	EmptyPassword   = "empty-password"
	DefaultPassword = "default-password"
	WeakHash        = "weak-hash"
	PasswordHash    = "password-hash"
	TelnetShell     = "telnet-shell"
	SetUID          = "suid"
	Permissions     = "permissions"
	Hardening       = "elf-hardening"
	KernelConfig    = "kernel-config"
	TestKey         = "test-key"
	Expired         = "certificate-expired"
	NotYetValid     = "certificate-not-yet-valid"
	WeakCertificate = "weak-certificate"
	PathEscape      = "path-escape"
	DeviceNode      = "device-node"
)

// A Finding is one statement about one place of an image.
type Finding struct {
	ID        string `json:"id"`               // kind and a digest of what and where: the same in every run
	Kind      string `json:"kind"`             // private-key
	Statement string `json:"statement"`        // what is there; how bad it is, a profile decides
	Path      string `json:"path"`             // image!/boot/initrd!gzip!/etc/shadow
	Offset    int64  `json:"offset"`           // in the file that the path names
	Digest    string `json:"digest,omitempty"` // of the evidence: "sha256:" and the first 16 digits
}

// Digest is short: enough to see the same key again in another image, too short to stand for it.
func Digest(evidence []byte) string {
	sum := sha256.Sum256(evidence)
	return "sha256:" + hex.EncodeToString(sum[:8])
}

// Identify gives the finding its id.
func (f *Finding) Identify() {
	sum := sha256.Sum256([]byte(f.Kind + "\x00" + f.Path + "\x00" + f.Statement + "\x00" + f.Digest))
	f.ID = f.Kind + "-" + hex.EncodeToString(sum[:6])
}

// A File is one file as the analyses see it.
type File struct {
	format.Source
	Name   string      // absolute path in its file system; empty for what has none
	Mode   fs.FileMode // type and permissions
	NoMode bool        // no permissions were recorded
	UID    uint32
	Text   []byte // the whole content of a text of at most MaxText bytes
}

// MaxText is the size of the largest text that is read as a whole.
const MaxText = 4 << 20
