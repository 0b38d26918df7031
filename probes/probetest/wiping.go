package probetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"assay/probes"
)

// wiping is the user's data on the device, in its storage, in the cloud and on the wire.
type wiping struct {
	stored   map[string]string
	accounts map[string]string
	flash    map[string]string // what has been written so far
	backup   string
	retained []probes.Message
	frames   [][]byte // sent by the device
	wiped    bool
}

func (w *wiping) reset() {
	w.stored, w.accounts, w.flash = map[string]string{}, map[string]string{}, map[string]string{}
	w.retained, w.backup = nil, ""
}

func (w *wiping) store(t *Thermostat, name, value string) {
	if t.script.Forgets {
		return
	}
	w.stored[name] = value
	write := func() { w.flash[name] = value }
	if t.script.Hides && name != "name" {
		write = func() {}
	}
	if t.script.WritesBehind {
		t.after(time.Second, write)
	} else {
		write()
	}
	if t.script.Chatty {
		w.frames = append(w.frames, []byte("telemetry of "+value))
	}
	if name == "name" {
		w.retained = []probes.Message{{At: t.clock.Now(), Topic: "thermostat/status", Payload: []byte(value), Retain: true}}
	}
}

// begin starts a factory reset. The button needs a while to be noticed.
func (w *wiping) begin(t *Thermostat, by string) {
	delay := 100 * time.Millisecond
	if strings.HasSuffix(by, "button") {
		delay = 400 * time.Millisecond
	}
	reset := func() {
		if t.script.Goodbye {
			w.frames = append(w.frames, []byte("goodbye from "+w.stored["name"]))
		}
		if !t.script.OnlyRestarts {
			w.wipe(t)
		}
		if !t.script.Stays {
			t.restart(600 * time.Millisecond)
		}
		t.bricked = t.script.NeverBack
	}
	if t.script.Prompt {
		reset()
	} else {
		t.after(delay, reset)
	}
}

func (w *wiping) wipe(t *Thermostat) {
	s, old := t.script.Wiping, *w
	w.reset()
	w.wiped = true
	speak := func() {
		w.frames = append(w.frames, []byte("dhcp, host name thermostat"))
		if s.Leaks {
			w.frames = append(w.frames, []byte("dhcp, host name "+old.stored["name"]))
		}
	}
	if s.Prompt {
		speak()
	} else {
		t.after(500*time.Millisecond, speak)
	}
	if s.KeepsAPI {
		w.stored["name"] = old.stored["name"]
	}
	if s.KeepsFlash {
		w.flash = old.flash
	}
	if s.KeepsBackup {
		w.backup = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%v", old.stored))
	}
	if s.KeepsRetained {
		w.retained = old.retained
	}
	if s.KeepsAccounts {
		w.accounts = old.accounts
	}
}

type broker struct{ t *Thermostat }

func (b broker) Retained(ctx context.Context) ([]probes.Message, error) {
	if err := b.t.use(ctx); err != nil {
		return nil, err
	}
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	return slices.Clone(b.t.wiping.retained), nil
}

func (b broker) Published(ctx context.Context, _ time.Time) ([]probes.Message, error) {
	return b.Retained(ctx)
}

type sniffer struct{ t *Thermostat }

func (s sniffer) Mark(ctx context.Context) (probes.Mark, error) {
	if err := s.t.use(ctx); err != nil {
		return probes.Mark{}, err
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return probes.Mark{At: s.t.clock.Now(), Frame: uint64(len(s.t.wiping.frames))}, nil
}

func (s sniffer) Window(ctx context.Context, from, to probes.Mark) (probes.Window, error) {
	if err := s.t.use(ctx); err != nil {
		return probes.Window{}, err
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	frames := slices.Clone(s.t.wiping.frames[from.Frame:to.Frame])
	w := probes.Window{Frames: uint64(len(frames)), Sent: uint64(len(frames)), Complete: !s.t.script.Torn}
	w.Payloads = func(yield func([]byte) bool) {
		for _, f := range frames {
			if !yield(f) {
				return
			}
		}
	}
	return w, nil
}

// chip is how much the storage holds.
const chip = 64 << 10

type flash struct{ t *Thermostat }

func (f flash) Dump(ctx context.Context) (io.ReadCloser, error) {
	if err := f.t.use(ctx); err != nil {
		return nil, err
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	var b bytes.Buffer
	if !f.t.script.Encrypted {
		f.t.script.Imaging.stored(&b, &f.t.updates)
		w := &f.t.wiping
		for name := range maps.Keys(w.accounts) {
			fmt.Fprintf(&b, "account %s\n", name)
		}
		for name, value := range w.flash {
			fmt.Fprintf(&b, "%s=%s\n", name, value)
		}
		b.WriteString(w.backup)
		b = *bytes.NewBuffer(append(bytes.Repeat([]byte{0xFF}, max(0, chip-b.Len())), b.Bytes()...))
		if w.wiped && f.t.script.ShortDump {
			b.Truncate(chip / 2)
		}
	}
	return io.NopCloser(&b), nil
}
