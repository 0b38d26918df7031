package lab

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/plan"
)

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }
func (wallClock) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// sickRig is a bench that goes bad when its third question is asked.
type sickRig struct {
	asked   int
	dropped atomic.Uint64
}

func (r *sickRig) Instruments() *probes.Bench    { return &probes.Bench{Clock: wallClock{}} }
func (r *sickRig) Restore(context.Context) error { return nil }
func (r *sickRig) Healthy(context.Context) bool  { return true }
func (r *sickRig) Dropped() (uint64, bool)       { return r.dropped.Load(), true }
func (r *sickRig) Check(context.Context) error {
	if r.asked >= 3 {
		return errors.New("the cable has been eaten")
	}
	return nil
}

type question struct{ rig *sickRig }

type answer struct {
	Seen bool `json:"seen"`
}

func (q *question) Ask(context.Context, *probes.Bench) (probes.Facts, error) {
	q.rig.asked++
	if q.rig.asked == 2 {
		q.rig.dropped.Add(7)
	}
	return answer{true}, nil
}

func TestNothingCountsAfterTheLastGoodMoment(t *testing.T) {
	dir := t.TempDir()
	j, err := evidence.Create(dir, time.Now)
	require.NoError(t, err)
	_, err = j.Append(evidence.KindBegin, Begin{Run: "r"})
	require.NoError(t, err)
	rig := &sickRig{}
	kind := probes.Kind{Name: "a/b", New: func() probes.Probe { return &question{rig} }}
	steps := make([]plan.Step, 4)
	for i := range steps {
		steps[i] = plan.Step{ID: string(rune('a' + i)), Probe: "a/b", Touch: probes.Observe}
	}
	run := Run{Rig: rig, Plan: &plan.Plan{Steps: steps}, Kinds: []probes.Kind{kind}, Journal: j, Unit: "u"}
	outcome, err := run.Do(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Finished, outcome)
	require.NoError(t, j.Close())
	ev, err := evidence.Open(dir)
	require.NoError(t, err)

	seen, err := ev.Observations()
	require.NoError(t, err)
	require.Len(t, seen, 4)
	for i, o := range seen {
		if i < 2 {
			assert.Empty(t, o.Error, o.ID)
			assert.JSONEq(t, `{"seen":true}`, string(o.Facts))
			continue
		}
		assert.Equal(t, "the bench failed its own test after this step: the cable has been eaten", o.Error)
		assert.Nil(t, o.Facts, "what was seen may be the bench's doing")
		assert.Nil(t, o.Alive)
	}
	var sound []Soundness
	var lost uint64
	for _, r := range ev.Records {
		if r.Kind != evidence.KindNote {
			continue
		}
		var s Soundness
		require.NoError(t, json.Unmarshal(r.Body, &s))
		if s.About == "bench" {
			sound = append(sound, s)
			continue
		}
		var d Drops
		require.NoError(t, json.Unmarshal(r.Body, &d))
		require.Equal(t, "drops", d.About)
		for _, l := range d.Lost {
			lost += l.Frames
		}
	}
	assert.EqualValues(t, 7, lost)
	require.Len(t, sound, 4)
	assert.True(t, sound[0].Sound && sound[0].When == "before")
	assert.False(t, sound[3].Sound)
	assert.Equal(t, "after", sound[3].When)
}
