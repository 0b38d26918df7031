package drive

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"assay/probes"
	"assay/profiles/dossier"
)

// line2 is a device at the other end of a serial line: a pair of pseudo-terminals.
func line2(t *testing.T, device func(io.ReadWriteCloser)) string {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs pseudo-terminals: %v", err)
	}
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	name := "/dev/pts/" + strconv.Itoa(n)
	// One end stays open, or the device would read an error before the bench has opened its own.
	keep, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	state, err := unix.IoctlGetTermios(keep, unix.TCGETS)
	require.NoError(t, err)
	state.Lflag, state.Oflag, state.Iflag = 0, 0, 0
	require.NoError(t, unix.IoctlSetTermios(keep, unix.TCSETS, state))
	master := os.NewFile(uintptr(fd), "device") // non-blocking: closing it wakes who reads
	done := make(chan struct{})
	go func() {
		defer close(done)
		device(master)
	}()
	t.Cleanup(func() { unix.Close(keep); master.Close(); <-done })
	return name
}

func overSerial(port string, lines ...dossier.Line) dossier.Step {
	return dossier.Step{Serial: &dossier.SerialStep{Port: port, Dialogue: lines}}
}

// reads takes what comes up to a CR, which is what the Enter key sends.
func reads(c io.Reader) string {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := c.Read(one); err != nil || one[0] == '\r' {
			return string(line)
		}
		line = append(line, one[0])
	}
}

func TestSerialOutcomes(t *testing.T) {
	login := []dossier.Line{replies("login: $", "root"), replies("word: $", "{{password}}"), {Expect: "# $", Seconds: 0.4}}
	for _, c := range []struct {
		name   string
		device func(io.ReadWriteCloser)
		want   probes.Outcome
		detail string
	}{
		{"lets in", func(c io.ReadWriteCloser) {
			io.WriteString(c, "U-Boot\r\nbox login: ")
			reads(c)
			io.WriteString(c, "\r\nPassword: ")
			if reads(c) == password {
				io.WriteString(c, "\r\n# ")
			}
			reads(c)
		}, probes.Done, "dialogue of 3 lines"},
		{"refuses", func(c io.ReadWriteCloser) {
			io.WriteString(c, "login: ")
			reads(c)
			io.WriteString(c, "Password: ")
			reads(c)
			io.WriteString(c, "\r\nLogin incorrect\r\nlogin: ")
			reads(c)
		}, probes.Refused, "line 3"},
		{"is silent", func(c io.ReadWriteCloser) { reads(c) }, probes.Silent, "line 1: connected, then nothing came"},
		{"garbage without end", func(c io.ReadWriteCloser) {
			for {
				if _, err := io.WriteString(c, garbage(1024)); err != nil {
					return
				}
			}
		}, probes.Unexpected, "line 1: what is expected was not among"},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs := t.TempDir()
			step := overSerial("console", login...)
			step.Serial.Dialogue[0].Seconds = 1
			step.Refused = "reply.text.contains('incorrect')"
			port := line2(t, c.device)
			got := do(t, driver(t, steps(step), func(o *Options) { o.Console, o.Logs = port, logs }), probes.Args{"password": password})
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.Contains(t, got.Detail, c.detail)
			assert.LessOrEqual(t, len(got.Text), maxText)
			log, err := os.ReadFile(filepath.Join(logs, serialLog))
			require.NoError(t, err)
			assert.Contains(t, string(log), port)
			assert.NotContains(t, string(log), password)
		})
	}
}

func TestSerialLine(t *testing.T) {
	port := line2(t, func(c io.ReadWriteCloser) {
		io.WriteString(c, "secret "+password+" => ")
		one := make([]byte, 4)
		io.ReadFull(c, one)
		io.WriteString(c, "got "+strconv.Quote(string(one))+"\r\n")
	})
	break1, enter := "\x03", "x"
	logs := t.TempDir()
	step := overSerial(port, dossier.Line{Expect: "=> $", Send: &break1, Raw: true}, dossier.Line{Send: &enter}, expects("got .*\n"))
	step.Serial.Ending, step.Serial.Speed, step.Serial.Frame = "crlf", 57600, "8E1"
	step.Success = `reply.text.contains('"\\x03x\\r\\n"')`
	got := do(t, driver(t, steps(step), func(o *Options) { o.Logs = logs }), nil)
	assert.Equal(t, probes.Done, got.Outcome, "%s %q", got.Detail, got.Text)
	log, err := os.ReadFile(filepath.Join(logs, serialLog))
	require.NoError(t, err)
	assert.Contains(t, string(log), "secret *** => ")

	// The line is gone in the middle, as when a device that is its own USB line restarts.
	gone := line2(t, func(c io.ReadWriteCloser) { io.WriteString(c, "bye"); reads(c); c.Close() })
	letter := "go"
	got = try(t, overSerial(gone, replies("bye", letter), dossier.Line{Expect: "back", Seconds: 3}))
	assert.Equal(t, probes.Reset, got.Outcome, got.Detail)
}

func TestSerialOfTheBench(t *testing.T) {
	for want, port := range map[string]string{"this bench has no console": "console", "open serial line /dev/none-such: ": "/dev/none-such"} {
		_, err := driver(t, steps(overSerial(port, expects("x")))).Do(t.Context(), "it", nil)
		require.ErrorIs(t, err, probes.ErrBench, "a line that cannot be opened is not the device's")
		assert.ErrorContains(t, err, want)
	}
	first := get(page(t, 200, "/dev/ttyS0"))
	first.Capture = map[string]string{"there": "reply.body"}
	got := do(t, driver(t, steps(first, overSerial("{{there}}", expects("x")))), nil)
	assert.Contains(t, got.Detail, "must not say which line of the bench is opened")
}
