package tuf

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"assay/firmware/format"
)

// server is a folder as go-tuf's updater fetches it.
type server map[string][]byte

const base = "https://tuf.example/"

func (s server) DownloadFile(url string, most int64, _ time.Duration) ([]byte, error) {
	b, ok := s[strings.TrimPrefix(url, base)]
	if !ok {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: url}
	}
	if int64(len(b)) > most {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: "too long"}
	}
	return b, nil
}

// update is a whole update by go-tuf's own client.
func update(files map[string][]byte, root []byte) error {
	c, err := config.New(base+"metadata/", root)
	if err != nil {
		return err
	}
	c.Fetcher, c.DisableLocalCache, c.RemoteTargetsURL = server(files), true, base+"targets/"
	u, err := updater.New(c)
	if err != nil {
		return err
	}
	u.UnsafeSetRefTime(now)
	if err := u.Refresh(); err != nil {
		return err
	}
	info, err := u.GetTargetInfo(name)
	if err != nil {
		return err
	}
	_, _, err = u.DownloadTarget(info, "ignored", "")
	return err
}

// TestClient lets go-tuf's updater, which is another client over the same library, judge the
// good folders and their variants. It takes one of two members of the same name.
func TestClient(t *testing.T) {
	for _, g := range goods(t) {
		if g.name == "uptane" {
			continue // it knows no pairs
		}
		root := g.trust.Own[Name][0].Bytes
		require.NoError(t, update(g.files, root), g.name)
		for _, variant := range Format().Variants {
			v, err := g.open(t).Tamper(variant, format.Means{Signer: g.key})
			if err != nil || variant == format.Swapped || v.Manifest.Device != nil {
				continue // made of one folder, or for a device that has seen something
			}
			err = update(v.Files, root)
			assert.Equal(t, variant == format.DuplicateEntry, err == nil, "%s: go-tuf says of %s: %v", g.name, variant, err)
		}
	}
}

// TestSecureSystemsLib lets python3-securesystemslib, which shares no code with us, count the
// signatures of the good folders and of the variants whose signatures do not fit.
func TestSecureSystemsLib(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which finds Debian's modules
	if err := exec.Command(python, "-c", "import securesystemslib.keys").Run(); err != nil {
		t.Skip("python3-securesystemslib is not installed")
	}
	script, err := filepath.Abs("testdata/signatures.py")
	require.NoError(t, err)
	count := func(files map[string][]byte, root []byte, r *repo) (string, error) {
		dir := t.TempDir()
		args := []string{script, filepath.Join(dir, "root.json")}
		require.NoError(t, os.WriteFile(args[1], root, 0o600))
		documents := []string{r.time.path, r.snapshot.path, r.targets.path}
		if _, ok := files["metadata/2.root.json"]; ok {
			documents = append([]string{"metadata/2.root.json"}, documents...)
		}
		for _, file := range documents {
			path := filepath.Join(dir, filepath.Base(file))
			require.NoError(t, os.WriteFile(path, files[file], 0o600))
			args = append(args, path)
		}
		out, err := exec.Command(python, args...).CombinedOutput()
		return string(out), err
	}
	for _, g := range goods(t) {
		if g.name != "ed25519" && g.name != "p256" && g.name != "rsa" {
			continue
		}
		root := g.trust.Own[Name][0].Bytes
		img := g.open(t)
		out, err := count(g.files, root, img.repos[0])
		require.NoError(t, err, "%s: %s", g.name, out)
		if g.name != "p256" {
			continue // once is enough: without python3-nacl it takes a second for each signature by Ed25519
		}
		for _, variant := range []string{format.Tampered, format.HeaderFlip, format.SignatureFlip, format.Unsigned,
			format.WrongKey, format.WrongKeyForged, format.SelfMadeChain, format.WrongPurpose} {
			v, err := img.Tamper(variant, format.Means{Signer: g.key})
			require.NoError(t, err, variant)
			out, err := count(v.Files, root, img.repos[0])
			require.Error(t, err, "%s: %s passes", g.name, variant)
			require.Contains(t, out, "below the threshold", variant)
		}
	}
}
