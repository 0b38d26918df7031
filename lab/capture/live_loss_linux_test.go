package capture

import (
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// stalled is a source whose reader can be held up, as a busy machine does it.
type stalled struct {
	source
	gate sync.Mutex
}

func (s *stalled) read(add func(packet)) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	return s.source.read(add)
}

// liveLosses makes the kernel lose frames in the second of three steps.
func liveLosses(t *testing.T) {
	send := cable(t)
	o, err := Options{Interface: "bench0", Path: filepath.Join(t.TempDir(), "run.pcapng"), MAC: deviceMAC, Clock: wall{}, RingBytes: smallRing}.check()
	require.NoError(t, err)
	r, err := openRing(o.Interface, o.RingBytes, o.Filter)
	require.NoError(t, err)
	out, head, err := create(o)
	require.NoError(t, err)
	s := &stalled{source: r}
	c := begin(t.Context(), o, s, out, head)
	t.Cleanup(func() { _ = c.Close() })
	frame := numbered(t, 1000)
	step := func(count int) (m probes.Mark) {
		for n := range uint64(count) {
			require.NoError(t, send(frame(n)))
		}
		return mark(t, c)
	}
	marks := []probes.Mark{mark(t, c), step(20)}
	s.gate.Lock()
	for n := range uint64(4000) { // four times what the ring holds
		require.NoError(t, send(frame(n)))
	}
	s.gate.Unlock()
	marks = append(marks, mark(t, c), step(20))

	for i, complete := range []bool{true, false, true} {
		w, err := c.Window(t.Context(), marks[i], marks[i+1])
		require.NoError(t, err)
		assert.Equal(t, complete, w.Complete, "step %d: %+v", i+1, w)
		assert.Equal(t, complete, w.Dropped == 0)
	}
	require.NoError(t, c.Close())
	l := c.Losses()
	var sum uint64
	for _, one := range l.Within(marks[1].At, marks[2].At.Add(time.Second)) {
		sum += one.Frames
	}
	assert.Equal(t, marks[2].Dropped-marks[1].Dropped, sum, "%+v", l)
	assert.Equal(t, l.Total, sum, "no other step lost any")
	assert.Empty(t, l.Within(l.From, marks[0].At.Truncate(time.Second)))
	tally, err := Count(o.Path)
	require.NoError(t, err)
	assert.Equal(t, Tally{Frames: c.Stats().Frames, Dropped: sum}, tally, "the file tells it, too")
}

// liveFilter sends as the device, as a host that is left out, and as one that is not.
func liveFilter(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	left := net.HardwareAddr{2, 0, 0x5e, 0, 0x53, 0x99}
	c, err := Open(t.Context(), Options{
		Interface: "bench0", Path: path, MAC: deviceMAC, Clock: wall{}, Filter: Filter{Without: []net.HardwareAddr{left}, Keep: []net.HardwareAddr{deviceMAC}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	from := mark(t, c)
	between := func(source, destination net.HardwareAddr) []byte {
		f := append([]byte(nil), udpFrame(t, 1, 2, []byte("x"))...)
		copy(f, destination)
		copy(f[6:], source)
		return f
	}
	other := net.HardwareAddr{2, 0, 0x5e, 0, 0x53, 0x98}
	for range 10 {
		for _, f := range [][]byte{between(deviceMAC, left), between(left, deviceMAC), between(other, other), between(left, other), between(other, left)} {
			require.NoError(t, send(f))
		}
	}
	w, err := c.Window(t.Context(), from, mark(t, c))
	require.NoError(t, err)
	assert.EqualValues(t, 30, w.Frames)
	assert.EqualValues(t, 10, w.Sent)
	assert.True(t, w.Complete)
	require.NoError(t, c.Close())
	about := interfaceOf(t, path)
	assert.Contains(t, about.Filter, "or not (ether host 02:00:5e:00:53:99)", "the file says what it leaves out")
}
