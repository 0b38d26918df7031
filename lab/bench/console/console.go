// Package console keeps what a device says on its serial console: every line with the bench's time, for
// the whole of a run. It only listens: it never writes to the device, and never waits for it.
package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"go.bug.st/serial"

	"assay/probes"
)

const (
	// DefaultSpeed is what most boards speak.
	DefaultSpeed = 115200

	maxLog     = 16 << 20
	maxLine    = 4 << 10
	readPause  = 100 * time.Millisecond // how long a read waits before it looks whether the console is closed
	againPause = 500 * time.Millisecond // between two tries to find a port that vanished
	stamp      = "2006-01-02T15:04:05.000Z"
)

// Options say which port is listened to.
type Options struct {
	Port  string
	Speed int    // 0: DefaultSpeed
	Path  string // the log; it must not exist yet
	Clock probes.Clock
	Most  int64 // bytes of the log; 0: 16 MiB
}

// Stats tells what came of it.
type Stats struct {
	Lines int64 `json:"lines"`
	Bytes int64 `json:"bytes"` // that the device said
	Lost  int64 `json:"lost"`  // of those, not in the log because it was full
	Gaps  int64 `json:"gaps"`  // times that the port was gone
}

// A Console is one port and its log. Close it.
type Console struct {
	o      Options
	file   *os.File
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex // guards the rest
	stats  Stats
	left   int64
	failed error // the log could not be written
}

// Open opens the port and begins to listen. A port that is not there is the bench's error, and names those that are.
func Open(ctx context.Context, o Options) (*Console, error) {
	if o.Speed == 0 {
		o.Speed = DefaultSpeed
	}
	if o.Most == 0 {
		o.Most = maxLog
	}
	port, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w: %w", err, probes.ErrBench)
	}
	f, err := os.OpenFile(o.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		_ = port.Close()
		return nil, fmt.Errorf("open the console's log: %w: %w", err, probes.ErrBench)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Console{o: o, file: f, cancel: cancel, done: make(chan struct{}), left: o.Most}
	c.note("console: %s at %d baud", o.Port, o.Speed)
	go c.listen(ctx, port)
	return c, nil
}

// open opens the port with 8 data bits, no parity and one stop bit.
func open(o Options) (serial.Port, error) {
	port, err := serial.Open(o.Port, &serial.Mode{BaudRate: o.Speed})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Port, plain(err))
	}
	if err := port.SetReadTimeout(readPause); err != nil {
		_ = port.Close()
		return nil, fmt.Errorf("%s: %w", o.Port, plain(err))
	}
	return port, nil
}

// plain gives the library's codes words that say what to do.
func plain(err error) error {
	var p *serial.PortError
	if errors.As(err, &p) {
		switch p.Code() {
		case serial.PortNotFound:
			return errors.New("there is no such port")
		case serial.PortBusy:
			return errors.New("another program has it open")
		case serial.PermissionDenied:
			return errors.New("this user may not open it")
		}
	}
	return err
}

// Ports lists the serial ports of this machine, for a hint.
func Ports() []string {
	names, err := serial.GetPortsList()
	if err != nil {
		return nil
	}
	return names
}

// Stats tells what was heard so far.
func (c *Console) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Close ends the listening and the log, which says in its last line what it lost. A second Close does nothing.
func (c *Console) Close() error {
	c.cancel()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return c.failed
	}
	c.trailer()
	if err := c.file.Close(); c.failed == nil && err != nil {
		c.failed = fmt.Errorf("close the console's log: %w: %w", err, probes.ErrBench)
	}
	c.file = nil
	return c.failed
}

// listen reads until the console is closed. A port that vanishes, as an adapter does that the device
// feeds, is looked for again.
func (c *Console) listen(ctx context.Context, port serial.Port) {
	defer close(c.done)
	var line []byte
	buffer := make([]byte, 4<<10)
	for ctx.Err() == nil {
		if port == nil {
			if c.o.Clock.Wait(ctx, againPause) != nil {
				break
			}
			var err error
			if port, err = open(c.o); err != nil {
				port = nil
				continue
			}
			c.note("console: %s is back", c.o.Port)
		}
		n, err := port.Read(buffer)
		line = c.take(line, buffer[:n])
		if err != nil {
			line = c.end(line)
			_ = port.Close()
			port = nil
			c.gap()
		}
	}
	c.end(line)
	if port != nil {
		_ = port.Close()
	}
}

// take adds what was read to the line that is being heard, and writes down every line that is whole.
func (c *Console) take(line, read []byte) []byte {
	c.mu.Lock()
	c.stats.Bytes += int64(len(read))
	c.mu.Unlock()
	for _, b := range read {
		if b == '\n' {
			c.line(line)
			line = line[:0]
			continue
		}
		if line = append(line, b); len(line) >= maxLine {
			c.line(line)
			line = line[:0]
		}
	}
	return line
}

func (c *Console) end(line []byte) []byte {
	if len(line) > 0 {
		c.line(line)
	}
	return line[:0]
}

func (c *Console) gap() {
	c.mu.Lock()
	c.stats.Gaps++
	c.mu.Unlock()
	c.note("console: %s is gone; what the device says meanwhile is lost", c.o.Port)
}

// line writes down one line of the device.
func (c *Console) line(raw []byte) {
	text := strings.TrimRight(string(raw), "\r")
	c.write("| "+printable(text), int64(len(raw)))
}

// note writes down what happened to the console itself. The device's own lines begin with a bar, so that it cannot imitate these.
func (c *Console) note(format string, args ...any) { c.write("# "+fmt.Sprintf(format, args...), 0) }

// write adds a line as long as the log has room; heard counts the device's bytes in it.
func (c *Console) write(text string, heard int64) {
	at := c.o.Clock.Now().UTC().Format(stamp)
	c.mu.Lock()
	defer c.mu.Unlock()
	if heard > 0 || strings.HasPrefix(text, "| ") {
		c.stats.Lines++
	}
	full := at + " " + text + "\n"
	if c.failed != nil || c.left < int64(len(full)) {
		c.stats.Lost += heard
		c.left = 0 // a gap in the middle would look like silence
		return
	}
	c.left -= int64(len(full))
	if _, err := c.file.WriteString(full); err != nil {
		c.failed = fmt.Errorf("write the console's log: %w: %w", err, probes.ErrBench)
		c.stats.Lost += heard
	}
}

// trailer is the last line, for which there is always room.
func (c *Console) trailer() {
	text := fmt.Sprintf("# console: closed; %d bytes in %d lines, %d times gone", c.stats.Bytes, c.stats.Lines, c.stats.Gaps)
	if c.stats.Lost > 0 {
		text += fmt.Sprintf("; LOST: %d bytes at the end are not in this log, which was full", c.stats.Lost)
	}
	_, _ = c.file.WriteString(c.o.Clock.Now().UTC().Format(stamp) + " " + text + "\n")
}

// printable keeps a device from steering the terminal of whoever reads its log.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\t' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}
