package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"assay/probes"
	"assay/profiles/dossier"
)

// Bounds on a dialogue, and on how often a stream that never ends is looked at: a device that
// sends a byte at a time would else have every byte before it read again.
const (
	maxWindow = 16 << 10 // what a match is looked for in, the latest
	chunk     = 4 << 10
	breath    = 5 * time.Millisecond  // between two looks for a match
	glance    = 50 * time.Millisecond // between two looks at the recipe's refused and limited
)

// A line is one line of a dialogue, compiled.
type line struct {
	expect *regexp.Regexp // nil: it only sends
	send   *string        // template; nil: it only awaits
	raw    bool
	within time.Duration
}

func compileLines(s dossier.Step) ([]line, error) {
	var from []dossier.Line
	switch {
	case s.SSH != nil:
		from = s.SSH.Dialogue
	case s.Telnet != nil:
		from = s.Telnet.Dialogue
	case s.Serial != nil:
		from = s.Serial.Dialogue
	}
	var lines []line
	for i, l := range from {
		if !(l.Seconds >= 0 && l.Seconds <= longest) || l.Expect == "" && l.Send == nil {
			return nil, fmt.Errorf("dialogue: line %d: wants expect or send, and seconds that make sense", i+1)
		}
		c := line{send: l.Send, raw: l.Raw, within: seconds(l.Takes())}
		if l.Expect != "" {
			var err error
			if c.expect, err = regexp.Compile(l.Expect); err != nil {
				return nil, fmt.Errorf("dialogue: line %d: expect: %w", i+1, err)
			}
		}
		lines = append(lines, c)
	}
	return lines, nil
}

// script expands what a dialogue will send, before anything is sent.
func (x *scope) script(s step, ending string) ([]string, error) {
	out := make([]string, len(s.lines))
	for i, l := range s.lines {
		if l.send == nil {
			continue
		}
		if x.login && x.bare && credentials(*l.send) {
			return nil, fmt.Errorf("dialogue: line %d sends a credential; give the operation an anonymous recipe "+
				"for a login without one: %w", i+1, probes.ErrNoOperation)
		}
		text, err := x.text(fmt.Sprintf("dialogue: line %d: send", i+1), *l.send)
		if err != nil {
			return nil, err
		}
		if !l.raw {
			text += ending
		}
		out[i] = text
	}
	return out, nil
}

// An ear collects what a stream says, in bounded memory, while a dialogue waits for parts of it.
type ear struct {
	ended chan struct{} // reading is over
	news  chan struct{} // something came, or reading is over

	mu     sync.Mutex
	text   []byte // the beginning of all that came
	window []byte // the end of what no match has used
	total  int64
	err    error // why reading is over
}

// hear reads a stream until it ends; whoever began it closes the stream.
func hear(stream io.Reader) *ear {
	e := &ear{ended: make(chan struct{}), news: make(chan struct{}, 1)}
	go func() {
		defer close(e.ended)
		buffer := make([]byte, chunk)
		for {
			n, err := stream.Read(buffer)
			e.take(buffer[:n], err)
			if err != nil {
				return
			}
		}
	}()
	return e
}

func (e *ear) take(p []byte, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total += int64(len(p))
	e.text = append(e.text, p[:min(len(p), maxText-len(e.text))]...)
	e.window = append(e.window, p...)
	if over := len(e.window) - maxWindow; over > 0 {
		e.window = append(e.window[:0], e.window[over:]...)
	}
	e.err = err
	if len(p) > 0 || err != nil {
		select {
		case e.news <- struct{}{}:
		default:
		}
	}
}

// match looks for an expression and uses up what came before the end of its match.
func (e *ear) match(expect *regexp.Regexp) (matched string, found bool, over error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := expect.FindIndex(e.window)
	if at == nil {
		return "", false, e.err
	}
	matched = string(e.window[at[0]:at[1]])
	e.window = append(e.window[:0], e.window[at[1]:]...)
	return matched, true, nil
}

func (e *ear) heard() (text string, total int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.text), e.total
}

// errEnough ends the waiting because the recipe knows already that it was a no.
var errEnough = errors.New("the recipe knows the answer")

// await waits until an expression matches. Now and then, where something has come, enough is asked whether to go on.
func (e *ear) await(ctx context.Context, expect *regexp.Regexp, enough func() bool) (string, error) {
	pause, look := time.NewTimer(0), time.NewTicker(glance)
	defer pause.Stop()
	defer look.Stop()
	fresh := true // something came since the last look
	for {
		matched, found, over := e.match(expect)
		switch {
		case found:
			return matched, nil
		case over != nil && enough():
			return "", errEnough
		case over != nil:
			return "", over
		}
		pause.Reset(breath)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		select {
		case <-e.news:
			fresh = true
		case <-look.C:
			if fresh && enough() {
				return "", errEnough
			}
			fresh = false
		case <-ctx.Done():
		}
	}
}

// A dialogue is one conversation over a stream.
type dialogue struct {
	step   step
	script []string
	ear    *ear
	voice  io.Writer
	more   map[string]any // of the reply, beside text and matched

	matched string
	said    int64 // how much had come when something was last sent
}

// lead goes through the lines. Its error says why it did not come to the end of them.
func (d *dialogue) lead(ctx context.Context) (at int, err error) {
	for i, l := range d.step.lines {
		if l.expect != nil {
			within, cancel := context.WithTimeout(ctx, l.within)
			matched, err := d.ear.await(within, l.expect, d.answered)
			cancel()
			if err != nil {
				return i + 1, err
			}
			d.matched = matched
		}
		if l.send != nil {
			_, d.said = d.ear.heard()
			if _, err := io.WriteString(d.voice, d.script[i]); err != nil {
				return i + 1, err
			}
		}
	}
	return 0, nil
}

// answered tells whether the recipe's refused or limited holds already.
func (d *dialogue) answered() bool {
	s := d.step
	if s.refused == nil && s.limited == nil {
		return false
	}
	reply := d.reply()
	return s.limited != nil && holds(s.limited, reply) || s.refused != nil && holds(s.refused, reply)
}

func (d *dialogue) reply() map[string]any {
	text, _ := d.ear.heard()
	reply := map[string]any{"text": valid(text), "matched": valid(d.matched)}
	for key, value := range d.more {
		reply[key] = value
	}
	return reply
}

// answer says what the device did from how the dialogue ended: at a line, by an error, or well.
//
//	nothing came since the last line was sent      silent
//	something came, and not what was expected      unexpected
//	it hung up                                     reset
//	what the protocol below does not allow         malformed
func (d *dialogue) answer(at int, err error) answer {
	text, total := d.ear.heard()
	a := answer{reply: d.reply(), outcome: probes.Done, text: []byte(text), detail: fmt.Sprintf("dialogue of %d lines", len(d.step.lines))}
	if err == nil {
		return a
	}
	a.partial, a.words = true, tail(text)
	where := fmt.Sprintf("line %d: ", at)
	switch {
	case errors.Is(err, errEnough):
		a.outcome, a.detail = probes.Unexpected, where+"answered otherwise" // the recipe's own condition decides
	case timedOut(err) && total == d.said:
		a.outcome, a.detail = probes.Silent, where+"connected, then nothing came"
	case timedOut(err):
		a.outcome, a.detail = probes.Unexpected, fmt.Sprintf("%swhat is expected was not among the %d bytes that came", where, total)
	case hungUp(err):
		a.outcome, a.detail = probes.Reset, where+"it hung up"
	default:
		a.outcome, a.detail = probes.Malformed, where+plain(err)
	}
	return a
}

// tail is the end of what a device said, for people.
func tail(text string) string {
	const most = 120
	r := []rune(valid(text[max(0, len(text)-4*most):]))
	return string(r[max(0, len(r)-most):])
}
