package rauc

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// A tool is Debian's rauc, with a PKI valid today, which is the only time it knows.
type tool struct {
	t   *testing.T
	dir string
	p   *cms.PKI
}

func newTool(t *testing.T, o cms.PKIOptions) *tool {
	for _, program := range []string{"rauc", "mksquashfs", "unsquashfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s of Debian's rauc and squashfs-tools is not there", program)
		}
	}
	o.At = time.Now()
	r := &tool{t: t, dir: t.TempDir(), p: newPKI(t, o)}
	r.certificate("root.pem", r.p.Root.Certificate)
	r.certificate("signer.pem", r.p.Signer.Certificate)
	r.write("signer.key", pkcs8(t, r.p.Signer.Key))
	if r.p.Intermediate != nil {
		r.certificate("intermediate.pem", r.p.Intermediate.Certificate)
	}
	return r
}

func (r *tool) path(file string) string { return filepath.Join(r.dir, file) }

func (r *tool) write(file string, b []byte) string {
	require.NoError(r.t, os.WriteFile(r.path(file), b, 0o600))
	return r.path(file)
}

func (r *tool) certificate(file string, c *x509.Certificate) {
	r.write(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (r *tool) run(args ...string) (string, error) {
	cmd := exec.Command("rauc", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// bundle has rauc make one.
func (r *tool) bundle(kind Kind, manifest string, files map[string][]byte) []byte {
	in, err := os.MkdirTemp(r.dir, "in")
	require.NoError(r.t, err)
	for file, b := range files {
		require.NoError(r.t, os.WriteFile(filepath.Join(in, file), b, 0o600))
	}
	require.NoError(r.t, os.WriteFile(filepath.Join(in, "manifest.raucm"), fmt.Appendf(nil, manifest, kind), 0o600))
	args := []string{"--cert=" + r.path("signer.pem"), "--key=" + r.path("signer.key"), "--keyring=" + r.path("root.pem")}
	if r.p.Intermediate != nil {
		args = append(args, "--intermediate="+r.path("intermediate.pem"))
	}
	log, err := r.run(append(args, "bundle", in, in+".raucb")...)
	require.NoError(r.t, err, "%s", log)
	b, err := os.ReadFile(in + ".raucb")
	require.NoError(r.t, err)
	return b
}

// accepts has rauc check signature and payload: info does the first only, extract both.
func (r *tool) accepts(b []byte) (string, error) {
	dir, err := os.MkdirTemp(r.dir, "out")
	require.NoError(r.t, err)
	return r.run("--keyring="+r.path("root.pem"), "extract", r.write("candidate.raucb", b), filepath.Join(dir, "to"))
}

const toolManifest = "[update]\ncompatible=Board A\nversion=2026.11-1\n[bundle]\nformat=%s\n[image.rootfs]\nfilename=rootfs.img\n"

func toolFiles() map[string][]byte {
	b := make([]byte, 9000)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return map[string][]byte{"rootfs.img": b}
}

func TestRAUCMakesWhatWeVerify(t *testing.T) {
	for name, o := range map[string]cms.PKIOptions{
		"ecdsa": {}, "intermediate": {Intermediate: true, Kind: "ecdsa-p384"}, "rsa": {Kind: "rsa-2048"},
	} {
		r := newTool(t, o)
		for _, kind := range []Kind{Plain, Verity, Crypt} {
			t.Run(name+" "+string(kind), func(t *testing.T) {
				b := r.bundle(kind, toolManifest, toolFiles())
				require.True(t, detect(format.Input{Source: format.FromBytes(b)}))
				report, err := verify(b, trustOf(r.p))
				require.NoError(t, err)
				bundle := opened(t, b)
				require.Equal(t, kind, bundle.Kind())
				require.Equal(t, "2026.11-1", report.Image.Version)
				require.Len(t, bundle.Manifest().Images, 1)
				require.EqualValues(t, 9000, bundle.Manifest().Images[0].Size)
				require.NoError(t, bundle.Check(format.Device{Version: "2026.09", Is: map[string]string{"compatible": "Board A"}}))
				require.ErrorIs(t, bundle.Check(format.Device{Is: map[string]string{"compatible": "Board B"}}), format.ErrWrongDevice)
			})
		}
	}
}

func TestRAUCAcceptsWhatWeBuild(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "rsa-2048", "ecdsa-p521"} {
		r := newTool(t, cms.PKIOptions{Kind: kind, Intermediate: true})
		files := toolFiles()
		for range 3 { // two levels of the tree need more than 128 blocks
			files[fmt.Sprint("more", len(files))] = bytes.Repeat(rand300k(len(files)), 1)
		}
		payload := squashed(t, files, "-noI", "-noD", "-noF")
		for _, k := range []Kind{Plain, Verity} {
			s := specOf(k, r.p)
			s.Payload = payload
			log, err := r.accepts(build(t, s))
			if k == Plain { // Build puts no manifest into the payload; the signature is what counts
				require.Contains(t, log, "Verified detached signature")
				continue
			}
			require.NoError(t, err, "%s", log)
		}
	}
}

func rand300k(seed int) []byte {
	b := make([]byte, 300_000)
	x := uint32(seed + 1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// says is how rauc 1.8 tells each reason.
var says = []struct {
	reason error
	words  string
}{
	{format.ErrUnsigned, "Signature size is 0"},
	{format.ErrValidity, "certificate has expired"},
	{format.ErrPurpose, "unsuitable certificate purpose"},
	{format.ErrChain, "self-signed certificate|unable to get local issuer|certificate signature failure|invalid CA"},
	{format.ErrBadSignature, "verification failure|bad signature|invalid padding|signature|wrong"},
	{format.ErrBadHash, "content verify error|bundle payload is corrupted|verification failure|messagedigest"},
	{format.ErrMalformed, "Invalid bundle format|not a multiple|payload is corrupted|content verify error|verification failure|Failed to load|too small|key"},
	{format.ErrNotVerified, "Unsupported number of signers|unable to get local issuer|self-signed"},
}

func TestRAUCRefusesWhatWeTamper(t *testing.T) {
	for _, key := range []string{"ecdsa-p256", "rsa-2048"} {
		r := newTool(t, cms.PKIOptions{Kind: key})
		older := format.FromBytes(r.bundle(Verity, strings.Replace(toolManifest, "2026.11", "2026.10", 1), map[string][]byte{"rootfs.img": rand300k(1)}))
		for _, kind := range []Kind{Plain, Verity} {
			if key != "ecdsa-p256" && kind != Verity {
				continue // another key changes the signature only
			}
			genuine := r.bundle(kind, toolManifest, toolFiles())
			log, err := r.accepts(genuine)
			require.NoError(t, err, "the genuine one: %s", log)
			means := meansOf(r.p)
			means.Older = &older
			for _, variant := range variants() {
				v, err := opened(t, genuine).Tamper(variant, means)
				if errors.Is(err, format.ErrNotApplicable) {
					continue
				}
				require.NoError(t, err)
				assert.ErrorIs(t, judged(v, trustOf(r.p)), v.Manifest.Reason, variant)
				b := v.Bytes
				if v.Files != nil {
					b = v.Files[format.FileSecond]
				}
				log, err := r.accepts(b)
				t.Logf("%s %s %s: %v %.300s", key, kind, variant, err, lastLine(log))
				switch {
				case v.Manifest.Device != nil || variant == format.WeakAlgorithm || variant == format.PathEscape:
					continue // rauc 1.8 asks for these when it installs, or never: SHA-1 and names with a slash
				case !assert.Error(t, err, "rauc takes %s: %s", variant, log):
					continue
				}
				for _, s := range says {
					if errors.Is(v.Manifest.Reason, s.reason) {
						assert.Regexp(t, s.words, log, variant)
						break
					}
				}
			}
		}
	}
}

// TestRAUCCountsIn32Bits shows that Overlong is what CVE-2026-34155 needs: Debian's 1.8 takes it, 1.15.2 does not.
func TestRAUCCountsIn32Bits(t *testing.T) {
	r := newTool(t, cms.PKIOptions{})
	b := opened(t, r.bundle(Plain, toolManifest, toolFiles()))
	long, err := b.Overlong()
	require.NoError(t, err)
	f, err := os.Create(r.path("candidate.raucb"))
	require.NoError(t, err)
	head, err := long.Bytes(0, b.payload)
	require.NoError(t, err)
	tail, err := long.Bytes(overlap+b.payload, long.Size()-overlap-b.payload)
	require.NoError(t, err)
	_, err = f.WriteAt(head, 0)
	require.NoError(t, err)
	if _, err = f.WriteAt(tail, overlap+b.payload); err != nil {
		t.Skipf("no sparse file of 4 GiB here: %v", err)
	}
	require.NoError(t, f.Close())
	version, err := r.run("--version")
	require.NoError(t, err)
	log, err := r.run("--keyring="+r.path("root.pem"), "info", f.Name())
	t.Logf("%s: %v %s", version, err, lastLine(log))
	if strings.Contains(version, "rauc 1.8") {
		require.NoError(t, err, "1.8 is known to take it: %s", log)
	}
}

func lastLine(log string) string {
	lines := bytes.Split(bytes.TrimSpace([]byte(log)), []byte("\n"))
	return string(lines[len(lines)-1])
}

// TestVeritysetup has cryptsetup's veritysetup make the tree.
func TestVeritysetup(t *testing.T) {
	program, err := exec.LookPath("veritysetup")
	if err != nil {
		if program = "/usr/sbin/veritysetup"; exec.Command(program, "--version").Run() != nil {
			t.Skip("veritysetup of Debian's cryptsetup-bin is not there")
		}
	}
	dir := t.TempDir()
	data := rand300k(3)[:300_000/blockSize*blockSize]
	data = bytes.Repeat(data, 3) // 219 blocks: two levels
	salt := bytes.Repeat([]byte{0x5a}, hashSize)
	file, tree := filepath.Join(dir, "data"), filepath.Join(dir, "tree")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	out, err := exec.Command(program, "format", "--no-superblock", "--hash=sha256", "--salt="+hex.EncodeToString(salt), file, tree).CombinedOutput()
	require.NoError(t, err, "%s", out)
	root := regexp.MustCompile(`Root hash:\s+([0-9a-f]{64})`).FindSubmatch(out)
	require.NotNil(t, root, "%s", out)
	theirs, err := os.ReadFile(tree)
	require.NoError(t, err)
	ours, sum := makeTree(data, salt)
	require.Equal(t, string(root[1]), hex.EncodeToString(sum))
	require.Equal(t, theirs, ours)
}
