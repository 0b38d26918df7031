package inspect

import (
	"bytes"
	"math"
	"slices"

	"assay/firmware/format"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/scan"
)

const (
	window      = 4096 // of which the entropy is measured
	highEntropy = 7.85 // bits per byte; random bytes have 7.95 in such a window, machine code about 6
	maxHits     = 1 << 20
	maxTries    = 4096 // carved places that turn out to be nothing
	maxReports  = 1000 // findings of one file
)

// span is a part of a file.
type span struct{ from, to int64 }

// content is what one pass over a file's bytes brings.
type content struct {
	carve  []scan.Hit // Needle is the index of the kind
	closer []scan.Hit
	high   []span // windows of high entropy
	filled []span // windows that are not erased
}

// bytes searches what is behind from: for containers, if carve is set, and for everything that
// betrays itself by its bytes.
func (w *walk) bytes(n node, from int64, carve bool) error {
	if from >= n.src.Size() {
		return nil
	}
	c, err := w.pass(n, from, carve)
	if err != nil {
		return err
	}
	inside := []span{}
	if carve {
		if inside, err = w.carve(n, from, c.carve); err != nil {
			return err
		}
	}
	f := found.File{Source: n.src, Name: n.name, Mode: n.mode}
	w.secrets.Begin()
	reports := 0
	for _, h := range c.closer {
		if within(inside, h.Offset) {
			continue
		}
		if t := w.needles[h.Needle]; t.secret >= 0 {
			list := w.secrets.Judge(f, t.secret, h.Offset)
			if reports += len(list); reports > maxReports {
				w.limit(n.path, h.Offset, n.src.Size()-h.Offset, "more than %d findings in one file", maxReports)
				break
			}
			w.report(n.path, list...)
		} else {
			w.set.Judge(f, n.path, t.mark, h.Offset)
		}
	}
	if carve {
		w.unknown(n, from, c, inside)
	}
	return nil
}

// pass reads the bytes once.
func (w *walk) pass(n node, from int64, carve bool) (content, error) {
	var c content
	size := n.src.Size()
	each := func(at int64, b []byte) {
		for len(b) > 0 {
			part := b[:min(window, len(b))]
			w.measure(&c, from+at, part, carve)
			at, b = at+int64(len(part)), b[len(part):]
		}
	}
	err := w.table.Read(w.ctx, n.src.Section(from, size-from), each, func(h scan.Hit) error {
		h.Offset += from
		if t := w.needles[h.Needle]; t.carve >= 0 {
			if carve && len(c.carve) < maxHits {
				c.carve = append(c.carve, scan.Hit{Offset: h.Offset, Needle: t.carve})
			}
		} else if len(c.closer) < maxHits {
			c.closer = append(c.closer, h)
		}
		return nil
	})
	slices.SortStableFunc(c.carve, func(a, b scan.Hit) int { return int(min(max(a.Offset-b.Offset, -1), 1)) })
	return c, err
}

// measure looks at one window: is it erased, is it random, does a file system with a short mark begin there.
func (w *walk) measure(c *content, at int64, b []byte, carve bool) {
	if erased(b) {
		return
	}
	c.filled = extend(c.filled, at, int64(len(b)))
	if len(b) == window && entropy(b) > highEntropy {
		c.high = extend(c.high, at, window)
	}
	if carve && at > 0 && len(b) == window && (b[0x438] == 0x53 && b[0x439] == 0xef || b[510] == 0x55 && b[511] == 0xaa) {
		for i, k := range w.kinds {
			if k.aligned && k.is(b) {
				c.carve = append(c.carve, scan.Hit{Offset: at, Needle: i})
			}
		}
	}
}

func erased(b []byte) bool {
	first := b[0]
	if first != 0 && first != 0xff {
		return false
	}
	return bytes.Count(b, b[:1]) == len(b)
}

func extend(list []span, at, n int64) []span {
	if len(list) > 0 && list[len(list)-1].to == at {
		list[len(list)-1].to = at + n
		return list
	}
	return append(list, span{at, at + n})
}

// logs holds n·log2(n).
var logs = func() (t [window + 1]float64) {
	for i := 2; i <= window; i++ {
		t[i] = float64(i) * math.Log2(float64(i))
	}
	return t
}()

// entropy in bits per byte of at most one window.
func entropy(b []byte) float64 {
	var counts [4][256]uint16 // four, so that equal bytes in a row do not wait for each other
	i := 0
	for ; i+4 <= len(b); i += 4 {
		counts[0][b[i]]++
		counts[1][b[i+1]]++
		counts[2][b[i+2]]++
		counts[3][b[i+3]]++
	}
	for ; i < len(b); i++ {
		counts[0][b[i]]++
	}
	sum := 0.0
	for v := range 256 {
		sum += logs[int(counts[0][v])+int(counts[1][v])+int(counts[2][v])+int(counts[3][v])]
	}
	return (logs[len(b)] - sum) / float64(len(b))
}

func within(list []span, at int64) bool {
	i, ok := slices.BinarySearchFunc(list, at, func(s span, at int64) int { return int(min(max(s.from-at, -1), 1)) })
	return ok || i > 0 && at < list[i-1].to
}

// carve takes apart what begins at the hits, and tells where.
func (w *walk) carve(n node, from int64, hits []scan.Hit) ([]span, error) {
	inside := []span{}
	end, tries := from, 0
	// What looks like a container may make its reader search all that follows, again and again.
	read, most := int64(0), max(minCarve, 4*n.src.Size())
	whole := n
	n.src = format.NewSource(meter{n.src, &read}, n.src.Size())
	for _, h := range hits {
		if h.Offset < end || h.Offset == 0 {
			continue
		}
		k := &w.kinds[h.Needle]
		b, err := n.src.Bytes(h.Offset, min(headSize, n.src.Size()-h.Offset))
		if err != nil || !k.is(b) {
			continue
		}
		if tries++; tries > maxTries {
			w.limit(n.path, h.Offset, n.src.Size()-h.Offset, "more than %d places that look like containers", maxTries)
			break
		}
		before := read
		used, taken, err := w.unpack(n, k, h.Offset)
		if err != nil {
			return inside, err
		}
		if !taken || used <= 0 {
			if read > most {
				w.limit(n.path, h.Offset, whole.src.Size()-h.Offset, "too many places that look like containers and are none")
				break
			}
			continue
		}
		read = before      // real ones have limits of their own
		if k.read != nil { // in what is not taken apart, the bytes are still searched
			inside = append(inside, span{h.Offset, h.Offset + used})
		}
		end = h.Offset + used
	}
	return inside, nil
}

// minCarve is how much failed tries may read in a small file.
const minCarve = 256 << 20

// meter counts what is read.
type meter struct {
	src format.Source
	n   *int64
}

func (m meter) ReadAt(b []byte, at int64) (int, error) {
	*m.n += int64(len(b))
	return m.src.Section(at, int64(len(b))).ReadAt(b, 0)
}

// unknown tells what is neither erased nor in a container: random bytes everywhere, all other
// bytes where they are a part of an image and not a file.
func (w *walk) unknown(n node, from int64, c content, inside []span) {
	head := n.src.Head(16)
	if from == 0 && isMedia(head) {
		w.inv.Counts.Media++
		return
	}
	high := slices.DeleteFunc(without(c.high, inside), func(s span) bool { return s.to-s.from < window/2 }) // the edges of containers
	for _, s := range high {
		if s = trim(n.src, s); s.from < s.to {
			w.gap(n.path, s.from, s.to-s.from, "high entropy: encrypted, or compressed in a way that is not known")
		}
	}
	if !n.segment || from == 0 && len(inside) == 0 && len(high) == 0 && known(n.src, head) {
		return
	}
	for _, s := range without(without(c.filled, inside), high) {
		if s = trim(n.src, s); s.from == s.to {
			continue // padding
		}
		w.gap(n.path, s.from, s.to-s.from, "no known structure: searched for keys, tokens and version strings only")
	}
}

// padding is how many erased bytes in a row are no accident.
const padding = 16

// trim leaves out erased bytes at both ends: spans are of whole windows.
func trim(src format.Source, s span) span {
	head, err := src.Bytes(s.from, min(window, s.to-s.from))
	if err != nil {
		return s
	}
	for _, fill := range []string{"\x00", "\xff"} {
		left := bytes.TrimLeft(head, fill)
		if cut := len(head) - len(left); cut >= padding || len(left) == 0 {
			s.from += int64(len(head) - len(left))
			break
		}
	}
	tail, err := src.Bytes(max(s.from, s.to-window), min(window, s.to-s.from))
	if err != nil {
		return s
	}
	for _, fill := range []string{"\x00", "\xff"} {
		right := bytes.TrimRight(tail, fill)
		if cut := len(tail) - len(right); cut >= padding || len(right) == 0 {
			s.to -= int64(len(tail) - len(right))
			break
		}
	}
	return s
}

// without cuts spans out of others; both are in order.
func without(list, cut []span) []span {
	var out []span
	for _, s := range list {
		for _, c := range cut {
			if c.to <= s.from || c.from >= s.to {
				continue
			}
			if c.from > s.from {
				out = append(out, span{s.from, c.from})
			}
			s.from = min(c.to, s.to)
		}
		if s.from < s.to {
			out = append(out, s)
		}
	}
	return out
}

// known is what a segment may be beside a container: a program, or text from its head to its end.
func known(src format.Source, head []byte) bool {
	const part = 8 << 10
	tail := max(0, src.Size()-part)
	return bytes.HasPrefix(head, []byte("\x7fELF")) || isText(src) && isText(format.NewSource(src.Section(tail, part), src.Size()-tail))
}
