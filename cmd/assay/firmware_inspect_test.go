package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/inspect"
)

// rootfs is a small root file system with a weak account and one package.
func rootfs(t *testing.T) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{
		"etc/passwd":          "root:$1$abcdefgh$irWbblnpmw.5z7wgBnprh0:0:0:root:/root:/bin/sh\n",
		"etc/shadow":          "root::1:0:99999:7:::\n",
		"usr/lib/opkg/status": "Package: busybox\nVersion: 1.30.1-5\nStatus: install user installed\nArchitecture: arm\n\n",
	} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return written(t, t.TempDir(), "rootfs.tar", b.String())
}

func TestFirmwareInspect(t *testing.T) {
	image := rootfs(t)
	said := assay(t, exitDone, "firmware", "inspect", image).said()
	assert.Contains(t, said, "empty-password")
	assert.Contains(t, said, "busybox 1.30.1-5")
	assert.Contains(t, said, "NOT CHECKED")

	snapshot := t.TempDir()
	written(t, snapshot, "OSV-1.json", `{"id": "OSV-1", "modified": "2026-11-01T00:00:00Z", "affected": [{"package": {"ecosystem": "Alpine", "name": "busybox"}, "versions": ["1.30.1-5"]}]}`)
	out := filepath.Join(t.TempDir(), "image.cdx.json")
	var inv inspect.Inventory
	require.NoError(t, json.Unmarshal([]byte(assay(t, exitDone, "firmware", "inspect", image, "--format", "json", "--vulnerabilities", snapshot, "--sbom", out).said()), &inv))
	assert.True(t, inv.Complete)
	assert.NotEmpty(t, inv.Components)
	assert.Contains(t, slurp(out), `"bomFormat": "CycloneDX"`)
	assert.Contains(t, assay(t, exitDone, "firmware", "inspect", image, "--format", "cyclonedx").said(), `"bomFormat": "CycloneDX"`)

	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(i*i*7 + i>>3*13 + i>>7)
	}
	assert.Contains(t, assay(t, exitIncomplete, "firmware", "inspect", written(t, t.TempDir(), "noise.bin", string(noise))).said(), "not")
	assert.Contains(t, assay(t, exitIncomplete, "firmware", "inspect", image, "--max-files", "1").said(), "limit")

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing there": {[]string{"none.bin"}, "does not exist"},
		"a folder":      {[]string{t.TempDir()}, "is a folder"},
		"empty":         {[]string{written(t, t.TempDir(), "empty.bin", "")}, "is empty"},
		"no snapshot":   {[]string{image, "--vulnerabilities", "none"}, "does not exist"},
		"a file":        {[]string{image, "--vulnerabilities", image}, "is no folder"},
		"no words":      {[]string{image, "--words", "none"}, "does not exist"},
		"no time":       {[]string{image, "--at", "soon"}, "is no time"},
		"negative":      {[]string{image, "--max-depth", "-1"}, "a limit is negative"},
		"no sbom":       {[]string{image, "--sbom", filepath.Join(t.TempDir(), "no", "x")}, "write the software"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, assay(t, exitUnusable, append([]string{"firmware", "inspect"}, c.args...)...).told(), c.says)
		})
	}
}
