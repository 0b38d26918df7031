package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"assay/lab"
	"assay/reports"
)

// progress draws how far a run has come: one moving line on a terminal, one line
// a step elsewhere. It is told by the loop and ticks by itself, so that a long
// step is seen to live.
type progress struct {
	w       io.Writer
	live    bool
	verbose bool
	mu      sync.Mutex // guards what follows
	line    string
	since   time.Time
	quit    chan struct{}
	done    sync.WaitGroup
}

func newProgress(f *os.File, quiet, verbose bool) *progress {
	p := &progress{w: f, live: terminal(f), verbose: verbose, quit: make(chan struct{})}
	if quiet {
		p.w = io.Discard
	}
	if p.live && !quiet {
		p.done.Add(1)
		go p.tick()
	}
	return p
}

func (p *progress) tick() {
	defer p.done.Done()
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	frames := []rune("|/-\\")
	for i := 0; ; i++ {
		select {
		case <-p.quit:
			return
		case <-t.C:
		}
		p.mu.Lock()
		if p.line != "" {
			fmt.Fprintf(p.w, "\r\x1b[K%c %s %.0fs", frames[i%len(frames)], p.line, time.Since(p.since).Seconds())
		}
		p.mu.Unlock()
	}
}

// say writes one lasting line of the story.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// proved tells of the bench's tests of itself; that there are none is told once.
func (p *progress) proved() func(lab.SelfTest) {
	told := false
	return func(t lab.SelfTest) {
		if t.NotDone == "" || !told {
			p.say("%v", t)
		}
		told = told || t.NotDone != ""
	}
}

// doing names what goes on now; it is drawn only where somebody looks.
func (p *progress) doing(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line, p.since = fmt.Sprintf(format, args...), time.Now()
}

func (p *progress) clear() {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// step is the run loop's watcher.
func (p *progress) step(e lab.Event) {
	if e.Observation == nil {
		p.doing("[%d/%d] %s", e.Number, e.Of, reports.Label(e.Step.Probe, e.Step.With))
		return
	}
	o := e.Observation
	mark, note := "saw", ""
	switch {
	case o.NotAsked != "":
		mark, note = "---", o.NotAsked
	case o.Error != "":
		mark, note = "err", o.Error
	case o.Alive != nil && !*o.Alive:
		note = "the device does not answer afterwards"
	}
	if e.Unit != "" {
		note = strings.TrimSpace(e.Unit + "  " + note)
	}
	took := o.End.Sub(o.Start).Seconds()
	p.say("%s", strings.TrimRight(fmt.Sprintf("[%2d/%d] %s %-42s %5.1fs  %s", e.Number, e.Of, mark, reports.Label(o.Probe, o.With), took, note), " "))
}

// end stops the drawing.
func (p *progress) end() {
	p.mu.Lock()
	p.line = ""
	p.clear()
	p.mu.Unlock()
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	p.done.Wait()
}

// story writes a line that the bench tells, for those who asked for it.
func (p *progress) story(line string) {
	if p.verbose {
		p.say("  %s", line)
	}
}
