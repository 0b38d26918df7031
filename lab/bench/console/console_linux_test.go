package console

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"assay/probes"
)

type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pty is a pair of pseudo terminals: the kernel's own serial line. It returns the device's end and the port's name.
func pty(t *testing.T) (*os.File, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs /dev/ptmx: " + err.Error())
	}
	t.Cleanup(func() { _ = f.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetUint32(int(f.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	return f, fmt.Sprintf("/dev/pts/%d", n)
}

func log(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 10*time.Second, 5*time.Millisecond)
}

func TestConsoleIsLogged(t *testing.T) {
	device, port := pty(t)
	path := filepath.Join(t.TempDir(), "console.log")
	c, err := Open(t.Context(), Options{Port: port, Path: path, Clock: wall{}})
	require.NoError(t, err)
	_, err = device.WriteString("U-Boot 2024.01\r\n\x1b[31mred\xff\n# console: a lie\n\nno end")
	require.NoError(t, err)
	eventually(t, func() bool { return c.Stats().Lines == 4 && c.Stats().Bytes > 40 })
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "twice is as once")
	var lines []string
	for _, l := range strings.Split(strings.TrimSpace(log(t, path)), "\n") {
		at, rest, _ := strings.Cut(l, " ")
		_, err := time.Parse(stamp, at)
		require.NoError(t, err, l)
		lines = append(lines, rest)
	}
	assert.Equal(t, []string{
		"# console: " + port + " at 115200 baud", "| U-Boot 2024.01", `| \u001b[31mred\xff`, "| # console: a lie", "| ", "| no end",
		fmt.Sprintf("# console: closed; %d bytes in 5 lines, 0 times gone", c.Stats().Bytes),
	}, lines)
}

func TestMissingPort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "console.log")
	_, err := Open(t.Context(), Options{Port: filepath.Join(dir, "ttyUSB9"), Path: path, Clock: wall{}})
	require.ErrorIs(t, err, probes.ErrBench)
	require.ErrorContains(t, err, "ttyUSB9: no such file")
	require.NoFileExists(t, path)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	_, err = Open(t.Context(), Options{Port: filepath.Join(dir, "file"), Path: path, Clock: wall{}})
	require.ErrorIs(t, err, probes.ErrBench)
	_, port := pty(t)
	require.NoError(t, os.WriteFile(path, []byte("evidence"), 0o600))
	_, err = Open(t.Context(), Options{Port: port, Path: path, Clock: wall{}})
	require.ErrorIs(t, err, os.ErrExist, "nothing is overwritten")
}

// A device that never stops talking costs so many bytes, and the log says what it lacks.
func TestConsoleIsBounded(t *testing.T) {
	device, port := pty(t)
	path := filepath.Join(t.TempDir(), "console.log")
	c, err := Open(t.Context(), Options{Port: port, Path: path, Clock: wall{}, Most: 8 << 10})
	require.NoError(t, err)
	for range 64 {
		_, err = device.Write(bytes.Repeat([]byte("a"), 1024))
		require.NoError(t, err)
	}
	eventually(t, func() bool { return c.Stats().Bytes == 64<<10 })
	require.NoError(t, c.Close())
	s := c.Stats()
	text := log(t, path)
	assert.Less(t, len(text), 9<<10)
	assert.Contains(t, text, fmt.Sprintf("LOST: %d bytes at the end are not in this log, which was full", s.Lost))
	assert.EqualValues(t, 64<<10, s.Lost+int64(strings.Count(text, "a")-strings.Count(text[strings.LastIndex(text, "#"):], "a")-strings.Count(text[:strings.Index(text, "\n")], "a")))
}

// An adapter that is fed by the device goes with its supply.
func TestPortThatVanishes(t *testing.T) {
	device, port := pty(t)
	dir := t.TempDir()
	link, path := filepath.Join(dir, "ttyUSB0"), filepath.Join(dir, "console.log")
	require.NoError(t, os.Symlink(port, link))
	c, err := Open(t.Context(), Options{Port: link, Path: path, Clock: wall{}})
	require.NoError(t, err)
	_, err = device.WriteString("before\n")
	require.NoError(t, err)
	eventually(t, func() bool { return c.Stats().Lines == 1 })
	require.NoError(t, os.Remove(link))
	require.NoError(t, device.Close())
	eventually(t, func() bool { return c.Stats().Gaps == 1 })
	again, port := pty(t)
	require.NoError(t, os.Symlink(port, link))
	eventually(t, func() bool { return strings.Contains(log(t, path), "is back") })
	_, err = again.WriteString("after\n")
	require.NoError(t, err)
	eventually(t, func() bool { return c.Stats().Lines == 2 })
	require.NoError(t, c.Close())
	assert.Regexp(t, `(?s)\| before\n.* is gone; .* is back\n.*\| after\n.*1 times gone\n$`, log(t, path))
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[2J\xffa\n")
	f.Fuzz(func(t *testing.T, s string) {
		require.NotContains(t, printable(s), "\x1b")
		require.NotContains(t, printable(s), "\n")
	})
}
