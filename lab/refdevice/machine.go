package refdevice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// ram is what outlives a restart of the firmware, but not a cut of the supply.
type ram struct {
	mu      sync.Mutex
	profile *profile // still shown after a reset, by the flaw wipe-leaves-api
	name    string   // still the DHCP host name after a reset, by the flaw wipe-leaks-later
	warm    bool     // the firmware has started since the supply came
}

// machine is the hardware: it knows a supply, a button and a plug, but no firmware.
type machine struct {
	config Config
	flaws  flawSet
	log    *slog.Logger
}

// Run is the device process. It waits for the line "start", then the device has
// power until "power off", the end of stdin, or of the context. It closes stdin
// where it can, so that nothing is left reading it. The log is for people.
func Run(ctx context.Context, c Config, stdin io.Reader, log io.Writer) error {
	if closer, ok := stdin.(io.Closer); ok {
		defer closer.Close()
	}
	if err := c.check(); err != nil {
		return err
	}
	flaws, err := parseFlaws(c.Flaws)
	if err != nil {
		return fmt.Errorf("device configuration: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &machine{config: c, flaws: flaws, log: newLog(log).With("serial", c.Serial)}
	return m.obey(ctx, readControls(ctx, stdin, m.log))
}

// obey does what the bench's hand does, until there is no hand any more.
func (m *machine) obey(ctx context.Context, controls <-chan control) error {
	var on *supply
	defer func() { on.cut() }()
	for started := false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-on.dead():
			return on.err
		case c, ok := <-controls:
			switch {
			case !ok:
				return nil
			case c.verb == "start":
				started = true
			case !started:
				m.log.Warn("ignored before start", "line", c.String())
				continue
			}
			switch c.String() {
			case "start", "power on":
				if on == nil {
					on = m.power(ctx)
				}
			case "power off":
				on.cut()
				on = nil
			default:
				on.press(ctx, c)
			}
			m.answer(c)
		}
	}
}

// answer tells the bench that a control line has been done.
func (m *machine) answer(c control) {
	if m.config.Answers == nil {
		return
	}
	if _, err := fmt.Fprintf(m.config.Answers, "ok %s\n", c); err != nil {
		m.log.Warn("nobody reads the answers", "error", err)
	}
}

// A supply is the time from power on to power off. The zero pointer is no supply.
type supply struct {
	cancel  context.CancelFunc
	presses chan control
	done    chan struct{}
	err     error // valid once done is closed
}

func (m *machine) power(ctx context.Context) *supply {
	ctx, cancel := context.WithCancel(ctx)
	s := &supply{cancel: cancel, presses: make(chan control), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = m.lives(ctx, s.presses)
	}()
	return s
}

// cut ends the supply and waits until everything is dark.
func (s *supply) cut() {
	if s == nil {
		return
	}
	s.cancel()
	<-s.done
}

func (s *supply) dead() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.done
}

// press hands a button to the firmware; without supply nothing happens.
func (s *supply) press(ctx context.Context, c control) {
	if s == nil {
		return
	}
	select {
	case s.presses <- c:
	case <-s.done:
	case <-ctx.Done():
	}
}

// lives starts the firmware again whenever it ends by itself.
func (m *machine) lives(ctx context.Context, presses <-chan control) error {
	memory := &ram{}
	for {
		err := m.live(ctx, memory, presses)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("device %s: %w", m.config.Serial, err)
		}
	}
}

// live is one start of the firmware.
func (m *machine) live(ctx context.Context, memory *ram, presses <-chan control) (err error) {
	f, err := openFlash(m.config.Flash)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	l, err := m.wake(f, memory)
	if err != nil {
		m.log.Error("recovery: stays off the network", "reason", err)
		sleep(ctx, presses)
		return nil
	}
	return l.run(ctx, presses)
}

// newLog writes lines without the host's time, which the device does not know.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
