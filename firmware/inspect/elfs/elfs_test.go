package elfs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
	"assay/firmware/inspect/found"
)

const program = `#include <stdio.h>
#include <string.h>
int main(int n, char **v) { char b[64]; if (n < 2) return 1; strcpy(b, v[1]); printf("%s", b); return strlen(b); }
`

func build(t *testing.T, options string) string {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/p.c", []byte(program), 0o600))
	out := filepath.Join(dir, "p")
	text, err := exec.Command("gcc", append(strings.Fields(options), "-o", out, dir+"/p.c")...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	return out
}

func read(t testing.TB, path string) *Hardening {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	h, err := Read(found.File{Source: format.FromBytes(b)})
	require.NoError(t, err)
	return h
}

// TestAgreesWithChecksec builds programs in many ways, takes some of the machine's, and wants the
// same words as Debian's checksec.
func TestAgreesWithChecksec(t *testing.T) {
	if _, err := exec.LookPath("checksec"); err != nil {
		t.Skip("checksec is not installed")
	}
	var paths []string
	for _, options := range []string{
		"-O2 -fPIE -pie -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now -Wl,-z,noexecstack", "-O1 -fno-pie -no-pie -fno-stack-protector -U_FORTIFY_SOURCE -Wl,-z,norelro -Wl,-z,execstack",
		"-O2 -fPIE -pie -fno-stack-protector -Wl,-z,relro -Wl,-z,lazy", "-O2 -no-pie -fstack-protector-all -Wl,-z,relro,-z,lazy", "-O2 -shared -fPIC", "-O2 -fPIE -pie -s -Wl,-z,relro,-z,now",
	} {
		paths = append(paths, build(t, options))
	}
	for _, p := range []string{"/bin/ls", "/bin/busybox", "/usr/bin/openssl", "/usr/bin/curl", "/sbin/mke2fs"} {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			paths = append(paths, real)
		}
	}
	for _, path := range paths {
		out, err := exec.Command("checksec", "--output=json", "--file="+path).Output()
		require.NoError(t, err)
		var all map[string]map[string]any
		require.NoError(t, json.Unmarshal(out, &all), "%s", out)
		for _, c := range all {
			h := read(t, path)
			word := func(yes bool) string { return map[bool]string{true: "yes", false: "no"}[yes] }
			pie := word(h.PIE)
			if h.Kind == "shared-object" {
				pie = "dso"
			}
			assert.Equal(t, c["pie"], pie, "%s: pie", path)
			assert.Equal(t, c["nx"], word(h.NX), "%s: nx", path)
			assert.Equal(t, c["relro"], map[string]string{"none": "no", "partial": "partial", "full": "full"}[h.RELRO], "%s: relro", path)
			if !h.Static { // of static programs checksec says "no" where it sees no symbol
				assert.Equal(t, c["canary"], word(h.Canary), "%s: canary", path)
				assert.Equal(t, c["fortify_source"], word(h.Fortify), "%s: fortify", path)
			}
		}
	}
}

func TestHardening(t *testing.T) {
	h := read(t, build(t, "-O1 -no-pie -fno-stack-protector -U_FORTIFY_SOURCE -Wl,-z,norelro -Wl,-z,execstack -Wl,-rpath,/tmp/lib"))
	assert.Equal(t, []string{"no PIE", "executable stack", "no canary", "no RELRO", "no fortified functions", `libraries from "/tmp/lib"`}, h.Missing())
	assert.Equal(t, []string{"strcpy"}, h.Dangerous)
	assert.False(t, h.Stripped)
	h = read(t, build(t, "-O2 -pie -fPIE -fstack-protector-all -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now -s -Wl,-rpath,$ORIGIN/../lib -fcf-protection=full"))
	assert.Empty(t, h.Missing())
	assert.True(t, h.Stripped)
	h, err := Read(found.File{Source: format.FromBytes([]byte("\x7fELF" + strings.Repeat("\x00", 60)))})
	assert.Error(t, err)
	assert.Nil(t, h)
}

func TestGoProgram(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	h := read(t, self)
	assert.NotEmpty(t, h.Go)
	assert.NotContains(t, h.Missing(), "no canary")
}

func FuzzRead(f *testing.F) {
	for _, p := range []string{"/usr/bin/true", "/bin/true"} {
		if b, err := os.ReadFile(p); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		if h, err := Read(found.File{Source: format.FromBytes(b)}); err == nil && h != nil {
			h.Missing()
		}
	})
}
