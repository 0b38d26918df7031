package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	tty "go.bug.st/serial"

	"assay/probes"
)

const (
	console      = "console" // how recipes name the bench's own serial line
	serialSpeed  = 115200
	serialLog    = "serial.log"
	maxSerialLog = 16 << 20
)

// serial leads a dialogue over a serial line. The line is the bench's: one that cannot be
// opened is the bench's failure, and what comes over it is the device's word.
func (r *run) serial(ctx context.Context, s step, x *scope) (answer, error) {
	name, err := x.text("port", s.Serial.Port)
	if err != nil {
		return answer{}, err
	}
	if x.device {
		return answer{}, x.fault(errors.New("port: a captured value must not say which line of the bench is opened"))
	}
	if name == console {
		if name = r.options.Console; name == "" {
			return answer{}, fmt.Errorf("port: this bench has no console: %w", probes.ErrBench)
		}
	}
	script, err := x.script(s, endings[s.Serial.Ending])
	if err != nil {
		return answer{}, err
	}
	port, err := tty.Open(name, serialMode(s))
	if err != nil {
		return answer{}, fmt.Errorf("open serial line %s: %w: %w", name, err, probes.ErrBench)
	}
	stop := context.AfterFunc(ctx, func() { port.Close() })
	defer stop()
	d := &dialogue{step: s, script: script, ear: hear(serialReader{port}), voice: serialWriter{ctx, port}}
	at, err := d.lead(ctx)
	port.Close()
	<-d.ear.ended
	if late(ctx) && err != nil {
		err = cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	a := d.answer(at, err)
	return a, r.logSerial(name, a.text)
}

// endings are what ends a line that is sent: what the Enter key of a terminal sends, by default.
var endings = map[string]string{"": "\r", "cr": "\r", "lf": "\n", "crlf": "\r\n"}

func serialMode(s step) *tty.Mode {
	m := &tty.Mode{BaudRate: s.Serial.Speed, DataBits: 8, Parity: tty.NoParity, StopBits: tty.OneStopBit}
	if m.BaudRate == 0 {
		m.BaudRate = serialSpeed
	}
	if f := s.Serial.Frame; len(f) == 3 {
		m.DataBits = int(f[0] - '0')
		switch f[1] {
		case 'E':
			m.Parity = tty.EvenParity
		case 'O':
			m.Parity = tty.OddParity
		}
		if f[2] == '2' {
			m.StopBits = tty.TwoStopBits
		}
	}
	return m
}

// A serialReader reads until the line is gone, as a device's own USB line is when it restarts; the
// library has one error for that and for a line that was closed here.
type serialReader struct{ port tty.Port }

// Read returns io.EOF where the line is gone.
func (r serialReader) Read(p []byte) (int, error) {
	n, err := r.port.Read(p)
	if err != nil {
		return n, io.EOF
	}
	return n, nil
}

// A serialWriter gives up when the time is over. Closing a line does not wake who writes to it: a
// device that takes nothing keeps that one goroutine, and no more, until its line is gone.
type serialWriter struct {
	ctx  context.Context
	port tty.Port
}

// Write sends all of p.
func (w serialWriter) Write(p []byte) (int, error) {
	done := make(chan error, 1)
	go func() {
		for rest := p; len(rest) > 0; {
			n, err := w.port.Write(rest)
			if err == nil && n == 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				done <- err
				return
			}
			rest = rest[n:]
		}
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			return 0, io.EOF
		}
		return len(p), nil
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
}

// logSerial adds what a line said to the run's log, without secrets and in bounds.
func (r *run) logSerial(name string, text []byte) error {
	if r.options.Logs == "" {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(r.options.Logs, serialLog), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log serial line: %w: %w", err, probes.ErrBench)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > maxSerialLog {
		return nil
	}
	_, err = fmt.Fprintf(file, "-- %s %s\n%s\n", r.options.Clock.Now().UTC().Format(time.RFC3339), name, r.mask.clean(string(text)))
	if err != nil {
		return fmt.Errorf("log serial line: %w: %w", err, probes.ErrBench)
	}
	return nil
}
