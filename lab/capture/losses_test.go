package capture

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLossesAreKeptBySecond(t *testing.T) {
	second := func(n int, milliseconds int) time.Time {
		return time.Date(2026, 11, 25, 10, 0, n, milliseconds*1e6, time.UTC)
	}
	var list []Loss
	for _, one := range []struct {
		from, to time.Time
		frames   uint64
	}{
		{second(1, 100), second(1, 350), 5},
		{second(1, 350), second(1, 900), 6}, // the same second
		{second(1, 900), second(2, 100), 7}, // either of two
		{second(4, 0), second(4, 0), 1},
		{second(7, 200), second(10, 100), 9}, // a reader that stalled
	} {
		list = addLoss(list, one.from, one.to, one.frames)
	}
	want := []Loss{{second(1, 0), 0, 11}, {second(1, 0), 2, 7}, {second(4, 0), 0, 1}, {second(7, 0), 4, 9}}
	assert.Equal(t, want, list)
	l := Losses{Lost: list}
	assert.Equal(t, want[:2], l.Within(second(1, 990), second(2, 0)))
	assert.Equal(t, want[1:2], l.Within(second(2, 500), second(3, 500)))
	assert.Empty(t, l.Within(second(3, 0), second(4, 0)))
	assert.Equal(t, want[3:], l.Within(second(10, 500), second(11, 0)))
}

func TestManyLossesGrowCoarserAndLoseNothing(t *testing.T) {
	var list []Loss
	began := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	const seconds = 3 * maxLosses
	for n := range seconds {
		at := began.Add(time.Duration(n) * time.Second)
		list = addLoss(list, at, at, 2)
	}
	assert.LessOrEqual(t, len(list), maxLosses)
	total, covered := uint64(0), 0
	for i, one := range list {
		total += one.Frames
		covered += max(one.Seconds, 1)
		if i > 0 {
			require.True(t, one.Second.After(list[i-1].Second))
		}
	}
	assert.EqualValues(t, 2*seconds, total)
	assert.Equal(t, seconds, covered, "no second is told twice, none forgotten")
}

func TestLossesOfACapture(t *testing.T) {
	c, s := scripted(t)
	s.give(arpFrame(t))
	before, err := c.Mark(t.Context())
	require.NoError(t, err)
	s.change(func() { s.lost = 7 })
	after, err := c.Mark(t.Context())
	require.NoError(t, err)
	s.give(arpFrame(t))
	quiet, err := c.Mark(t.Context())
	require.NoError(t, err)
	hit := c.Losses().Within(before.At, after.At.Add(time.Millisecond))
	require.NotEmpty(t, hit)
	for step, complete := range map[string]bool{"hit": false, "quiet": true} {
		from, to := before, after
		if complete {
			from, to = after, quiet
		}
		w, err := c.Window(t.Context(), from, to)
		require.NoError(t, err)
		assert.Equal(t, complete, w.Complete, step)
	}
	require.NoError(t, c.Close())
	l := c.Losses()
	assert.EqualValues(t, 7, l.Total)
	var sum uint64
	for _, one := range l.Lost {
		sum += one.Frames
		assert.False(t, one.Second.After(after.At))
	}
	assert.Equal(t, l.Total, sum)
	assert.False(t, l.To.Before(l.From))
	assert.Equal(t, c.Stats().Dropped, l.Total)
}
