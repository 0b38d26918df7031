package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func inspect(t testing.TB, b []byte, o Options) *Inventory {
	t.Helper()
	inv, err := Image(context.Background(), format.FromBytes(b), o)
	require.NoError(t, err)
	return inv
}

func has(inv *Inventory, path, kind string) bool {
	for _, f := range inv.Findings {
		if f.Kind == kind && strings.HasSuffix(f.Path, "!"+path) {
			return true
		}
	}
	return false
}

// requirePlanted wants every planted finding and component, and no secret in any face.
func requirePlanted(t testing.TB, inv *Inventory, modes bool) {
	t.Helper()
	list := planted
	if modes {
		list = append(append(list[:0:0], list...), rights...)
	}
	for _, p := range list {
		assert.True(t, has(inv, p.path, p.kind), "%s of %s", p.kind, p.path)
	}
	versions := map[string]string{}
	for _, c := range inv.Components {
		versions[c.Name+" "+c.Version] = c.Places[0].How
	}
	assert.Equal(t, map[string]string{"busybox 1.30.1-5": "package-database", "busybox 1.30.1": "version-string", "lab 2.1": "os-release"}, versions)
	requireDiscreet(t, inv)
}

func requireDiscreet(t testing.TB, inv *Inventory) {
	t.Helper()
	j, err := json.Marshal(inv)
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, inv.WriteText(&text))
	for _, s := range secretTexts {
		require.NotContains(t, string(j), s)
		require.NotContains(t, text.String(), s)
	}
}

// TestContainersOfTools reads what the tools of Debian make of one root file system.
func TestContainersOfTools(t *testing.T) {
	root := rootDir(t)
	for _, r := range recipes() {
		t.Run(r.name, func(t *testing.T) {
			inv := inspect(t, r.make(t, root), Options{})
			require.NotEmpty(t, inv.Containers)
			assert.Equal(t, r.kind, inv.Containers[0].Kind)
			assert.Equal(t, Inspected, inv.Containers[0].State, inv.Containers[0].Reason)
			requirePlanted(t, inv, r.modes)
			assert.True(t, inv.Complete, "%v %v", inv.NotInspected, inv.LimitsHit)
			assert.Equal(t, !r.modes, strings.Contains(strings.Join(inv.Notes, " "), "records no permissions"))
		})
	}
}

// TestContainersMadeHere is for machines without the tools.
func TestContainersMadeHere(t *testing.T) {
	members := rootFS(t)
	for name, b := range map[string][]byte{
		"tar": tarOf(t, members), "cpio": cpioOf(members), "zip": zipOf(t, members), "tar.gz": gzipOf(t, tarOf(t, members)), "cpio.gz.gz": gzipOf(t, gzipOf(t, cpioOf(members))),
		"tar in zip in tar": tarOf(t, []member{{"a.zip", 0o644, string(zipOf(t, []member{{"b/c.tar", 0o644, string(tarOf(t, members))}}))}}),
	} {
		t.Run(name, func(t *testing.T) {
			inv := inspect(t, b, Options{})
			requirePlanted(t, inv, true)
			assert.True(t, inv.Complete, "%v", inv.NotInspected)
		})
	}
}

// TestEveryRunIsTheSame: the inventory is evidence.
func TestEveryRunIsTheSame(t *testing.T) {
	b := gzipOf(t, tarOf(t, rootFS(t)))
	first, err := json.Marshal(inspect(t, b, Options{}))
	require.NoError(t, err)
	for range 3 {
		again, err := json.Marshal(inspect(t, b, Options{}))
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
}

func TestPathsNameEveryStep(t *testing.T) {
	inner := cpioOf([]member{{"etc/inittab", 0o644, "x:respawn:telnetd -l /bin/sh\n"}})
	dump := append(bytes.Repeat([]byte{0xff}, 0x10000), gzipOf(t, inner)...)
	inv := inspect(t, tarOf(t, []member{{"images/flash.bin", 0o644, string(dump)}}), Options{Name: "update.tar"})
	require.Len(t, inv.Findings, 1)
	assert.Equal(t, "update.tar!/images/flash.bin!gzip@0x10000!/etc/inittab", inv.Findings[0].Path)
	assert.Equal(t, int64(0), inv.Findings[0].Offset)
	assert.Regexp(t, `^telnet-shell-[0-9a-f]{12}$`, inv.Findings[0].ID)
}
