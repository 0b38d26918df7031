package capture

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// liveBlocks stores a mark on libcoap's server and reads it back, over UDP and TCP, in blocks so small that none holds it whole.
func liveBlocks(t *testing.T) {
	for _, program := range []string{"coap-server-notls", "coap-client-notls"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: %v", program, err)
		}
	}
	setUp(t, "lo")
	server := exec.Command("coap-server-notls", "-A", "127.0.0.1")
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	client := func(args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		said, err := exec.CommandContext(ctx, "coap-client-notls", append([]string{"-B", "5"}, args...)...).CombinedOutput()
		require.NoError(t, err, string(said))
		return string(said)
	}
	require.Eventually(t, func() bool { return strings.Contains(client("coap://127.0.0.1/"), "libcoap") }, 10*time.Second, 10*time.Millisecond)

	const canary = "canary-5f0e7c1d9b42"
	c, err := Open(t.Context(), Options{Interface: "lo", Path: filepath.Join(t.TempDir(), "run.pcapng"), Clock: wall{}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	marked, kilobytes := mark32(canary), strings.Repeat("x", 3*1024-8)+canary+strings.Repeat("y", 3000)
	stored := ""
	for _, step := range []struct {
		name, stored string
		ask          []string
	}{
		{"block1", "", []string{"-m", "put", "-b", "32", "-e", marked, "coap://127.0.0.1/example_data"}},
		{"block2", marked, []string{"-b", "32", "coap://127.0.0.1/example_data"}},
		{"block1 over TCP", "", []string{"-m", "put", "-b", "32", "-e", marked, "coap+tcp://127.0.0.1/example_data"}},
		{"block2 over TCP", marked, []string{"-b", "32", "coap+tcp://127.0.0.1/example_data"}},
		{"BERT: blocks of 3072 bytes, as messages may have 4000", kilobytes, []string{"-X", "4000", "coap+tcp://127.0.0.1/example_data"}},
	} {
		name, ask := step.name, step.ask
		if step.stored != stored && step.stored != "" {
			client("-m", "put", "-e", step.stored, "coap+tcp://127.0.0.1/example_data")
		}
		stored = step.stored
		from := mark(t, c)
		client(ask...)
		to := mark(t, c)
		lines := 0
		require.NoError(t, each(c.options.Path, place{}, from.Frame+1, to.Frame, func(f Frame) bool {
			lines++
			assert.NotContains(t, string(f.Data), canary, "libcoap has cut it: %s", name)
			return true
		}))
		require.Greater(t, lines, 2)
		w, err := c.Window(t.Context(), from, to)
		require.NoError(t, err)
		require.True(t, w.Complete)
		found := false
		for p := range w.Payloads {
			found = found || bytes.Contains(p, []byte(canary))
		}
		assert.True(t, found, name)
	}
}

// mark32 puts a mark over the border of the first two blocks of 32 bytes.
func mark32(mark string) string { return strings.Repeat("x", 24) + mark + strings.Repeat("y", 40) }
