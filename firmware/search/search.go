// Package search is for finding out whether known secrets lie in a dump, a reply or a
// recording, in any of the common encodings: one pass, memory that does not grow with the
// stream. It never writes a secret into hits or errors, and never guesses what might be one.
package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Limits of New and Scan.
const (
	// MinLength is the shortest secret in bytes: a shorter one turns up by chance in
	// a dump of a few megabytes, more so in its encodings.
	MinLength = 6
	// MaxLength bounds what is carried from one read to the next.
	MaxLength = 4096
	// MaxPlaces is how many places of one secret in one encoding are listed; the
	// stream may repeat it without end.
	MaxPlaces = 64
)

// Errors of New.
var (
	ErrSecret  = errors.New("unusable secret")
	ErrTooWeak = fmt.Errorf("shorter than %d bytes: %w", MinLength, ErrSecret)
	ErrTooLong = fmt.Errorf("longer than %d bytes: %w", MaxLength, ErrSecret)
	ErrNothing = errors.New("nothing to search for")
)

// A Hit is one place where a secret lies. It names the secret and never holds it.
type Hit struct {
	Name     string   `json:"name"`
	Encoding Encoding `json:"encoding"`
	Offset   int64    `json:"offset"` // of the first byte that belongs to the secret alone
}

// A Searcher looks for one set of secrets. It may be used by several goroutines at once.
type Searcher struct {
	patterns []pattern
	longest  int
	table    table
}

// New makes a Searcher for the secrets, given as name and value. Values are bytes: a
// binary key goes in as it is, not as hex.
func New(secrets map[string]string) (*Searcher, error) {
	if len(secrets) == 0 {
		return nil, ErrNothing
	}
	names := make([]string, 0, len(secrets))
	for name := range secrets {
		names = append(names, name)
	}
	slices.Sort(names) // so that the order of hits does not depend on the map
	s := &Searcher{}
	for _, name := range names {
		value := secrets[name]
		switch {
		case len(value) < MinLength:
			return nil, fmt.Errorf("search for %q: %w", name, ErrTooWeak)
		case len(value) > MaxLength:
			return nil, fmt.Errorf("search for %q: %w", name, ErrTooLong)
		}
		s.patterns = append(s.patterns, patternsOf(name, value)...)
	}
	for _, p := range s.patterns {
		s.longest = max(s.longest, len(p.bytes))
	}
	s.table = newTable(s.patterns)
	return s, nil
}

// String keeps the secrets out of every formatting verb.
func (s Searcher) String() string { return fmt.Sprintf("search for %d patterns", len(s.patterns)) }

// GoString keeps them out of %#v.
func (s Searcher) GoString() string { return s.String() }

// chunk is what Scan reads at once; it stays in the second-level cache.
const chunk = 256 << 10

// Scan reads r to its end and returns the places in order of offset. With an error
// come the places found before it: they count, their absence does not.
func (s *Searcher) Scan(ctx context.Context, r io.Reader) ([]Hit, error) {
	c := s.collect()
	buf := make([]byte, chunk+s.longest)
	kept := 0 // bytes at the head of buf that were searched before
	var base int64
	for {
		if err := ctx.Err(); err != nil {
			return c.sorted(), fmt.Errorf("search at offset %d: %w", base+int64(kept), err)
		}
		n, err := read(r, buf[kept:kept+chunk])
		if n > 0 {
			c.search(buf[:kept+n], kept, base)
			keep := min(kept+n, s.longest-1)
			base += int64(kept + n - keep)
			copy(buf, buf[kept+n-keep:kept+n])
			kept = keep
		}
		switch {
		case errors.Is(err, io.EOF):
			return c.sorted(), nil
		case err != nil:
			return c.sorted(), fmt.Errorf("search at offset %d: %w", base+int64(kept), err)
		}
	}
}

// ScanAt is Scan of size bytes that can be read at any place, by as many readers as there are
// processors. The places are the same.
func (s *Searcher) ScanAt(ctx context.Context, r io.ReaderAt, size int64) ([]Hit, error) {
	workers := min(runtime.GOMAXPROCS(0), int((size+chunk-1)/chunk))
	var next atomic.Int64
	found, errs := make([]places, workers), make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			found[w] = places{count: make([]int, len(s.patterns))}
			errs[w] = s.readAt(ctx, r, size, &next, &found[w])
		})
	}
	group.Wait()
	var all []place
	for _, f := range found {
		all = append(all, f.list...)
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	c, count := s.collect(), make([]int, len(s.patterns))
	for _, p := range all { // each reader has listed that many
		if count[p.which]++; count[p.which] <= MaxPlaces {
			c.hits = append(c.hits, Hit{Name: s.patterns[p.which].name, Encoding: s.patterns[p.which].encoding, Offset: p.at})
		}
	}
	return c.sorted(), errors.Join(errs...)
}

// places are what one reader of ScanAt found, in order.
type places struct {
	list  []place
	count []int // by pattern
}

type place struct {
	at    int64
	which int
}

// readAt takes the next chunk until there is none. A match belongs to the chunk in which it begins.
func (s *Searcher) readAt(ctx context.Context, r io.ReaderAt, size int64, next *atomic.Int64, found *places) error {
	buf := make([]byte, chunk+s.longest-1)
	for {
		base := (next.Add(1) - 1) * chunk
		if base >= size {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("search at offset %d: %w", base, err)
		}
		b := buf[:min(int64(len(buf)), size-base)]
		if n, err := r.ReadAt(b, base); n < len(b) {
			return fmt.Errorf("search at offset %d: %w", base, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		s.table.each(b, func(at, which int) {
			if at < chunk && found.count[which] < MaxPlaces {
				found.count[which]++
				found.list = append(found.list, place{base + int64(at), which})
			}
		})
	}
}

// read returns at least one byte or an error. A reader that gives neither, again and
// again, would hold Scan for ever.
func read(r io.Reader, b []byte) (int, error) {
	const patience = 100
	for range patience {
		if n, err := r.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// Bytes searches b.
func (s *Searcher) Bytes(b []byte) []Hit {
	c := s.collect()
	c.search(b, 0, 0)
	return c.sorted()
}

// collector gathers the hits of one stream.
type collector struct {
	s     *Searcher
	hits  []Hit
	count []int // by pattern
}

func (s *Searcher) collect() *collector { return &collector{s: s, count: make([]int, len(s.patterns))} }

// search adds the matches in b that end behind seen; those before were added when
// b[:seen] was searched. b begins at offset base of the stream.
func (c *collector) search(b []byte, seen int, base int64) {
	c.s.table.each(b, func(at, which int) {
		p := &c.s.patterns[which]
		if at+len(p.bytes) <= seen || c.count[which] == MaxPlaces {
			return
		}
		c.count[which]++
		c.hits = append(c.hits, Hit{Name: p.name, Encoding: p.encoding, Offset: base + int64(at)})
	})
}

func (c *collector) sorted() []Hit {
	slices.SortStableFunc(c.hits, func(a, b Hit) int {
		if a.Offset != b.Offset {
			return int(min(max(a.Offset-b.Offset, -1), 1))
		}
		if n := strings.Compare(a.Name, b.Name); n != 0 {
			return n
		}
		return strings.Compare(string(a.Encoding), string(b.Encoding))
	})
	return c.hits
}
