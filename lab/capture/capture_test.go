package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

func TestOptions(t *testing.T) {
	whole := Options{Interface: "eth0", Path: "x", Clock: wall{}}
	for name, spoil := range map[string]func(*Options){
		"no interface named":            func(o *Options) { o.Interface = "" },
		"no file named":                 func(o *Options) { o.Path = "" },
		"no clock given":                func(o *Options) { o.Clock = nil },
		"device address has 3 bytes":    func(o *Options) { o.MAC = deviceMAC[:3] },
		"ring of 5 bytes is too small,": func(o *Options) { o.RingBytes = 5 },
	} {
		o := whole
		spoil(&o)
		_, err := o.check()
		assert.ErrorContains(t, err, name)
	}
	_, err := Open(t.Context(), Options{Interface: "no-such-if", Path: filepath.Join(t.TempDir(), "x"), Clock: wall{}})
	require.ErrorIs(t, err, probes.ErrNoCapture)
	require.ErrorIs(t, err, probes.ErrBench)
}

func TestFileIsNeverOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "evidence.pcapng")
	require.NoError(t, os.WriteFile(path, []byte("older evidence"), 0o600))
	_, _, err := create(Options{Interface: "eth0", Path: path})
	require.ErrorIs(t, err, os.ErrExist)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "older evidence", string(kept))
}

func TestMarkWaitsForWhatTheKernelHolds(t *testing.T) {
	c, s := scripted(t)
	s.change(func() { s.held = true })
	s.give(arpFrame(t), udpFrame(t, 1, 2, []byte("x")))

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Mark(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.Contains(t, err.Error(), "0 of 2 frames written")

	s.change(func() { s.held = false })
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, m.Frame)
	lines, err := Describe(c.options.Path, 1, m.Frame, 0)
	require.NoError(t, err)
	assert.Len(t, lines, 2, "marked frames are in the file")
}

// TestDevicesOfOneCapture: each has the frames that bear its address, and who sent any is known, this machine apart.
func TestDevicesOfOneCapture(t *testing.T) {
	c, s := scripted(t)
	second := net.HardwareAddr{2, 0, 0x5e, 0, 0x53, 0x63}
	from, err := c.Mark(t.Context())
	require.NoError(t, err)
	theirs, ours := udpFrame(t, 7, 7, []byte("of the second")), udpFrame(t, 8, 8, []byte("of this machine"))
	copy(theirs[6:], second)
	copy(ours[6:], benchMAC)
	s.give(udpFrame(t, 1, 2, []byte("of the first")), theirs, theirs)
	s.change(func() {
		s.waiting, s.taken = append(s.waiting, packet{data: ours, original: len(ours), outbound: true}), s.taken+1
	})
	to, err := c.Mark(t.Context())
	require.NoError(t, err)
	w, err := c.Of(second).Window(t.Context(), from, to)
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte("of the second"), []byte("of the second")}, collect(w))
	assert.EqualValues(t, 2, w.Sent)
	assert.True(t, w.Complete)
	w, err = c.Window(t.Context(), from, to)
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte("of the first")}, collect(w))
	assert.Equal(t, []net.HardwareAddr{deviceMAC, second}, c.Senders())

	// Somebody who invents addresses costs no more than so many.
	for n := range 2 * maxSenders {
		f := bytes.Clone(theirs)
		f[10], f[11] = byte(n>>8), byte(n)
		s.give(f)
	}
	_, err = c.Mark(t.Context())
	require.NoError(t, err)
	assert.Len(t, c.Senders(), maxSenders)
}

func TestWindow(t *testing.T) {
	c, s := scripted(t)
	mark := func() probes.Mark {
		m, err := c.Mark(t.Context())
		require.NoError(t, err)
		return m
	}
	s.give(udpFrame(t, 1, 2, []byte("before")))
	from := mark()
	other := udpFrame(t, 7, 7, []byte("from the bench"))
	copy(other[6:], benchMAC)
	s.give(udpFrame(t, 1, 2, []byte("inside")), other, arpFrame(t))
	to := mark()
	s.give(udpFrame(t, 1, 2, []byte("after")))
	end := mark()

	w, err := c.Window(t.Context(), from, to)
	require.NoError(t, err)
	assert.EqualValues(t, 3, w.Frames)
	assert.EqualValues(t, 2, w.Sent)
	assert.True(t, w.Complete)
	assert.Equal(t, [][]byte{[]byte("inside"), arpFrame(t)}, collect(w))

	for range w.Payloads {
		break // a probe that found what it looked for stops
	}

	s.change(func() { s.lost = 3 })
	late := mark()
	w, err = c.Window(t.Context(), to, late)
	require.NoError(t, err)
	assert.EqualValues(t, 3, w.Dropped)
	assert.False(t, w.Complete, "something was lost")

	w, err = c.Window(t.Context(), to, end)
	require.NoError(t, err)
	assert.True(t, w.Complete, "the loss came later")

	w, err = c.Window(t.Context(), end, end)
	require.NoError(t, err)
	assert.True(t, w.Complete)
	assert.Empty(t, collect(w))

	for _, pair := range [][2]probes.Mark{{to, from}, {from, {At: to.At, Frame: 99, Dropped: 9}}} {
		_, err = c.Window(t.Context(), pair[0], pair[1])
		require.ErrorIs(t, err, probes.ErrBench)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Window(ended, from, to)
	require.ErrorIs(t, err, context.Canceled)
}

func collect(w probes.Window) (payloads [][]byte) {
	for p := range w.Payloads {
		payloads = append(payloads, bytes.Clone(p))
	}
	return payloads
}

func TestWindowOfManyFrames(t *testing.T) {
	c, s := scripted(t)
	var marks []probes.Mark
	for i := range 40 {
		for j := range 100 {
			s.give(udpFrame(t, 1, 2, fmt.Appendf(nil, "frame %d", i*100+j+1)))
		}
		m, err := c.Mark(t.Context())
		require.NoError(t, err)
		marks = append(marks, m)
	}
	require.Greater(t, len(c.places), 2, "reading starts near the window")
	w, err := c.Window(t.Context(), marks[30], marks[31])
	require.NoError(t, err)
	require.True(t, w.Complete)
	seen := collect(w)
	require.Len(t, seen, 100)
	assert.Equal(t, "frame 3101", string(seen[0]))
	assert.Equal(t, "frame 3200", string(seen[99]))
}

func TestWindowWithoutDeviceAddress(t *testing.T) {
	c, s := scripted(t)
	c.SetDevice(nil)
	s.give(udpFrame(t, 1, 2, []byte("in")))
	s.change(func() {
		s.taken++
		f := udpFrame(t, 1, 2, []byte("out"))
		s.waiting = append(s.waiting, packet{data: f, original: len(f), outbound: true})
	})
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	w, err := c.Window(t.Context(), probes.Mark{}, m)
	require.NoError(t, err)
	assert.EqualValues(t, 1, w.Sent)
	assert.Equal(t, [][]byte{[]byte("in")}, collect(w))
}

func TestCutFrameSpoilsTheWindow(t *testing.T) {
	c, s := scripted(t)
	s.change(func() {
		s.taken++
		f := udpFrame(t, 1, 2, bytes.Repeat([]byte("x"), 500))
		s.waiting = append(s.waiting, packet{data: f[:100], original: len(f)})
	})
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	w, err := c.Window(t.Context(), probes.Mark{}, m)
	require.NoError(t, err)
	assert.False(t, w.Complete)
	assert.Len(t, collect(w), 1)
}

func TestDamagedFileIsNoWindow(t *testing.T) {
	c, s := scripted(t)
	s.give(arpFrame(t), arpFrame(t))
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Truncate(c.options.Path, 150))
	w, err := c.Window(t.Context(), probes.Mark{}, m)
	require.NoError(t, err)
	assert.False(t, w.Complete, "a frame is missing")
	require.NoError(t, os.Remove(c.options.Path))
	_, err = c.Window(t.Context(), probes.Mark{}, m)
	require.ErrorIs(t, err, probes.ErrBench)
}

func TestComments(t *testing.T) {
	c, s := scripted(t)
	s.give(arpFrame(t))
	_, err := c.Mark(t.Context())
	require.NoError(t, err)
	c.Comment("step one")
	c.Comment("attempt \x1b[31m2")
	s.give(arpFrame(t), arpFrame(t))
	_, err = c.Mark(t.Context())
	require.NoError(t, err)
	for range 100 {
		c.Comment(string(bytes.Repeat([]byte("x"), 1<<17)))
	}
	require.NoError(t, c.Close())
	lines, err := Describe(c.options.Path, 0, 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 3)
	assert.Equal(t, []string{"", "step one; attempt .[31m2", ""}, []string{lines[0].Comment, lines[1].Comment, lines[2].Comment})
}

func TestSourceFails(t *testing.T) {
	c, s := scripted(t)
	s.give(arpFrame(t))
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	s.change(func() { s.fault = errors.New("cable on fire") })
	require.Eventually(t, func() bool { return !c.Stats().Running }, 5*time.Second, time.Millisecond)
	assert.Contains(t, c.Stats().Err, "cable on fire")
	_, err = c.Mark(t.Context())
	require.ErrorIs(t, err, probes.ErrNoCapture)
	w, err := c.Window(t.Context(), probes.Mark{}, m)
	require.NoError(t, err)
	assert.True(t, w.Complete, "what was marked before stands")
	require.ErrorContains(t, c.Close(), "cable on fire")
}

func TestFileRefuses(t *testing.T) {
	c, s := scripted(t)
	s.give(arpFrame(t))
	_, err := c.Mark(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.file.Close()) // stands for any write error
	s.give(arpFrame(t), arpFrame(t))
	require.Eventually(t, func() bool { return !c.Stats().Running && c.Stats().Dropped == 2 }, 5*time.Second, time.Millisecond)
	_, err = c.Mark(t.Context())
	require.ErrorIs(t, err, probes.ErrNoCapture)
	require.Error(t, c.Close())
	assert.EqualValues(t, 1, c.Stats().Frames)
}

func TestContextEndsTheCapture(t *testing.T) {
	o, err := Options{Interface: "test0", Path: filepath.Join(t.TempDir(), "run.pcapng"), Clock: wall{}}.check()
	require.NoError(t, err)
	out, head, err := create(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s := newScript()
	c := begin(ctx, o, s, out, head)
	s.give(arpFrame(t))
	cancel()
	require.Eventually(t, func() bool { return !c.Stats().Running }, 5*time.Second, time.Millisecond)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	assert.Equal(t, 1, s.closed)
	assert.EqualValues(t, 1, c.Stats().Frames, "what the kernel had is drained")
	assert.Empty(t, c.Stats().Err)
	_, err = c.Mark(t.Context())
	require.ErrorIs(t, err, probes.ErrNoCapture)
}

func TestLossIsInTheFileAtOnce(t *testing.T) {
	c, s := scripted(t)
	s.give(arpFrame(t))
	_, err := c.Mark(t.Context())
	require.NoError(t, err)
	before := size(t, c.options.Path)
	s.change(func() { s.lost = 7 })
	require.Eventually(t, func() bool { return size(t, c.options.Path) > before }, 5*time.Second, time.Millisecond)
	data, err := os.ReadFile(c.options.Path)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(data, appendCount(nil, optOSDrop, 7)))
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}
