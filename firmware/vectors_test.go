package firmware_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
)

var vectorsDir = flag.String("vectors", "", "folder of <format>/MANIFEST.yaml; without it the generated sets are judged")

// An adapter turns the rows of one format's manifest into calls of the front door. What
// is nil is the common way: the file (with its artifact) under the row's key, no device.
type adapter struct {
	input    func(t *testing.T, c vectorCase) firmware.Input
	trust    func(t *testing.T, c vectorCase) firmware.Trust
	device   func(t *testing.T, c vectorCase) firmware.Device // asked of rows of scope "device"
	judge    func(t *testing.T, c vectorCase)                 // instead of everything else
	generate func(t *testing.T, dir string) manifest          // the project's own set, written to dir
}

// adapters has one line per format that a manifest can name.
func adapters() map[string]adapter {
	return map[string]adapter{
		"mcuboot":    mcubootVectors(),
		"rauc":       raucVectors(),
		"uboot-fit":  fitVectors(),
		"esp32":      esp32Vectors(),
		"suit":       suitVectors(),
		"mender":     menderVectors(),
		"swupdate":   swupdateVectors(),
		"inspection": inspectionVectors(),
		"sigstore":   sigstoreVectors(),
		"tuf":        tufVectors(),
		"detached":   detachedVectors(),
		"survey":     surveyVectors(),
	}
}

// manifest is MANIFEST.yaml of one format, with every field that it may have.
type manifest struct {
	About         string   `yaml:"about,omitempty"`
	Tool          string   `yaml:"tool,omitempty"`
	Checker       string   `yaml:"checker,omitempty"`
	DeviceContext ast.Node `yaml:"device_context,omitempty"`
	DevKeyNote    string   `yaml:"dev_key_note,omitempty"`
	Format        string   `yaml:"format"`
	Vectors       []row    `yaml:"vectors"`
}

type row struct {
	File        string   `yaml:"file"`
	Format      string   `yaml:"format"`
	Verdict     string   `yaml:"verdict"`
	Scope       string   `yaml:"scope"`
	Class       string   `yaml:"class,omitempty"`
	Key         string   `yaml:"key,omitempty"`
	DecryptKey  string   `yaml:"decrypt_key,omitempty"`
	Artifact    string   `yaml:"artifact,omitempty"`
	TrustedRoot string   `yaml:"trusted_root,omitempty"`
	ControlDTB  string   `yaml:"control_dtb,omitempty"`
	Target      string   `yaml:"target,omitempty"`
	Variant     string   `yaml:"variant,omitempty"`
	Expected    ast.Node `yaml:"expected,omitempty"`
	ImageInfo   []string `yaml:"image_info,omitempty"`
	Why         string   `yaml:"why,omitempty"`
	Note        string   `yaml:"note,omitempty"`
	Base        string   `yaml:"base,omitempty"`
	MadeBy      string   `yaml:"made_by,omitempty"`
	Checked     any      `yaml:"checked,omitempty"` // one line, or several
	Context     ast.Node `yaml:"context,omitempty"`
	Reference   string   `yaml:"reference,omitempty"`
	Origin      string   `yaml:"origin,omitempty"`
	Licence     string   `yaml:"licence,omitempty"`
	Size        int64    `yaml:"size,omitempty"`
	SHA256      string   `yaml:"sha256,omitempty"`
}

// vectorCase is one row, with what its adapter needs.
type vectorCase struct {
	dir    string // of the manifest
	device ast.Node
	row
}

// path is where a file of the manifest lies.
func (c vectorCase) path(file string) string { return filepath.Join(c.dir, filepath.FromSlash(file)) }

// bytes reads a file of the manifest.
func (c vectorCase) bytes(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(c.path(file))
	require.NoError(t, err)
	return b
}

// context reads the manifest's device context strictly, then what the row changes about it.
func (c vectorCase) context(t *testing.T, into any) {
	t.Helper()
	for _, node := range []ast.Node{c.device, c.Context} {
		if node != nil {
			require.NoError(t, yaml.NodeToValue(node, into, yaml.Strict()))
		}
	}
}

// TestVectors judges every row of every manifest of a folder, or of the sets that the
// project's own generators make. An unknown format or field fails.
func TestVectors(t *testing.T) {
	known := adapters()
	if *vectorsDir == "" {
		for format, a := range known {
			t.Run(format, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), format)
				require.NoError(t, os.Mkdir(dir, 0o700))
				m := a.generate(t, dir)
				m.Format = format
				text, err := yaml.Marshal(m)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "MANIFEST.yaml"), text, 0o600))
				judgeManifest(t, dir, a)
			})
		}
		return
	}
	manifests, err := filepath.Glob(filepath.Join(*vectorsDir, "*", "MANIFEST.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, manifests, "no MANIFEST.yaml under %s", *vectorsDir)
	for _, path := range manifests {
		format := filepath.Base(filepath.Dir(path))
		t.Run(format, func(t *testing.T) {
			a, ok := known[format]
			require.True(t, ok, "no adapter for the format %q", format)
			judgeManifest(t, filepath.Dir(path), a)
		})
	}
}

func judgeManifest(t *testing.T, dir string, a adapter) {
	text, err := os.ReadFile(filepath.Join(dir, "MANIFEST.yaml"))
	require.NoError(t, err)
	var m manifest
	require.NoError(t, yaml.UnmarshalWithOptions(text, &m, yaml.Strict()))
	require.Equal(t, filepath.Base(dir), m.Format)
	require.NotEmpty(t, m.Vectors)
	for i, r := range m.Vectors {
		t.Run(fmt.Sprintf("%d_%s", i, strings.ReplaceAll(r.File, "/", "_")), func(t *testing.T) {
			require.Equal(t, m.Format, r.Format)
			require.Contains(t, []string{"accept", "reject", "policy", "n/a"}, r.Verdict)
			require.Contains(t, []string{"signature", "device"}, r.Scope)
			c := vectorCase{dir: dir, device: m.DeviceContext, row: r}
			if r.SHA256 != "" {
				sum := sha256.Sum256(c.bytes(t, r.File))
				require.Equal(t, r.SHA256, hex.EncodeToString(sum[:]), "the vector itself")
			}
			switch {
			case a.judge != nil:
				a.judge(t, c)
			case r.Verdict == "n/a": // a helper of other rows: whatever it is, it is not genuine
				_, err := firmware.Verify(commonInput(t, c), firmware.Trust{})
				require.Error(t, err)
			default:
				judgeRow(t, c, a)
			}
		})
	}
}

func judgeRow(t *testing.T, c vectorCase, a adapter) {
	if c.Verdict == "n/a" { // a helper of other rows, which nothing judges alone: it must be there
		_, err := os.Stat(c.path(c.File))
		require.NoError(t, err)
		return
	}
	in, trust := commonInput(t, c), firmware.Trust{}
	if a.input != nil {
		in = a.input(t, c)
	}
	if a.trust != nil {
		trust = a.trust(t, c)
	} else {
		trust = commonTrust(t, c)
	}
	report, err := firmware.Verify(in, trust)
	assert.Equal(t, err == nil, report.Verified)
	if err == nil && c.Scope == "device" && a.device != nil {
		img, openErr := firmware.Open(in, trust)
		require.NoError(t, openErr)
		err = img.Check(a.device(t, c))
		require.NotErrorIs(t, err, firmware.ErrDevice)
	}
	t.Logf("%s: %v", c.Verdict, err)
	expect(t, c, report, err)
}

// expect holds the outcome against the row's verdict.
func expect(t *testing.T, c vectorCase, report firmware.Report, err error) {
	switch c.Verdict {
	case "accept":
		require.NoError(t, err, c.Why)
	case "reject":
		require.Error(t, err, c.Why)
		assert.True(t, slices.ContainsFunc(families(), func(f error) bool { return errors.Is(err, f) }), "an error without a sentinel: %v", err)
	case "policy":
		if err == nil {
			require.NotEmpty(t, append(report.Image.Notes, findings(report)...), "accepted without a word: %s", c.Why)
		}
	default:
		require.Fail(t, "a verdict that no image can have", "%s of %s", c.Verdict, c.File)
	}
}

func families() []error {
	return []error{firmware.ErrMalformed, firmware.ErrNotVerified, firmware.ErrNotForDevice, firmware.ErrUnknownFormat}
}

func findings(r firmware.Report) (says []string) {
	for _, f := range r.Findings {
		says = append(says, f.Says)
	}
	return says
}

func commonInput(t *testing.T, c vectorCase) firmware.Input {
	if info, err := os.Stat(c.path(c.File)); err == nil && info.IsDir() {
		return firmware.Input{Dir: os.DirFS(c.path(c.File))}
	}
	in := firmware.FromBytes(c.bytes(t, c.File))
	if c.Artifact != "" {
		artifact := firmware.FromBytes(c.bytes(t, c.Artifact)).Source
		in.Artifact = &artifact
	}
	return in
}

func commonTrust(t *testing.T, c vectorCase) firmware.Trust {
	trust := parseTrust(t, c, c.Key)
	if c.DecryptKey != "" {
		trust.Recipients = []firmware.Anchor{{From: c.DecryptKey, Bytes: c.bytes(t, c.DecryptKey)}}
	}
	return trust
}

// parseTrust reads files of the manifest. A key that is refused (too weak) trusts nobody.
func parseTrust(t *testing.T, c vectorCase, files ...string) firmware.Trust {
	var anchors []firmware.Anchor
	for _, file := range files {
		if file == "" {
			continue // a row without a key trusts nobody
		}
		anchors = append(anchors, firmware.Anchor{From: file, Bytes: c.bytes(t, file)})
	}
	trust, err := firmware.ParseTrust(anchors...)
	if err != nil {
		t.Logf("the keys trust nobody: %v", err)
	}
	return trust
}
