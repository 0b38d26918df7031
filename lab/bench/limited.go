package bench

import (
	"io"
	"sync"
)

// limited passes on so many bytes and swallows the rest, so that a chatty process is never held up
// and never fills a disk.
type limited struct {
	mu   sync.Mutex
	to   io.Writer
	left int
}

// Write never fails.
func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(p), l.left)
	if n > 0 {
		l.left -= n
		_, _ = l.to.Write(p[:n])
	}
	return len(p), nil
}
