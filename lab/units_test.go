package lab

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/plan"
)

// rig is a bench that is told how to fail.
type rig struct {
	clock   *ticks
	restore error // of bringing the device back
	other   error // another unit answered
	asked   int
}

type ticks struct{ at time.Time }

func (c *ticks) Now() time.Time { c.at = c.at.Add(time.Second); return c.at }

func (c *ticks) Wait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (r *rig) Instruments() *probes.Bench    { return &probes.Bench{Clock: r.clock, Device: who{r}} }
func (r *rig) Restore(context.Context) error { return r.restore }
func (r *rig) Healthy(context.Context) bool  { return true }
func (r *rig) Restored() any                 { return []string{"power cycle"} }
func (r *rig) Witness(context.Context) error { return r.other }

// who counts questions.
type who struct{ r *rig }

func (w who) Unit() probes.Unit    { return probes.Unit{} }
func (w who) Operations() []string { return nil }
func (w who) Do(context.Context, string, probes.Args) (probes.Result, error) {
	w.r.asked++
	return probes.Result{}, nil
}

type asking struct{}

func (*asking) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	_, err := b.Device.Do(ctx, "x", nil)
	return map[string]bool{"fine": true}, err
}

// Each step is asked of each unit; a unit that cannot be brought back, or in whose place another answered, has no facts.
func TestUnitsOfARun(t *testing.T) {
	clock := &ticks{at: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	good, stuck, swapped := &rig{clock: clock}, &rig{clock: clock, restore: errors.New("every way failed")}, &rig{clock: clock, other: errors.New("answers from another MAC address")}
	j, err := evidence.Create(t.TempDir(), clock.Now)
	require.NoError(t, err)
	_, err = j.Append(evidence.KindBegin, Begin{})
	require.NoError(t, err)
	var told []string
	run := Run{
		Rig: good, Unit: "unit-1", Others: []Specimen{{Unit: "unit-2", Rig: stuck}, {Unit: "unit-3", Rig: swapped}},
		Plan:    &plan.Plan{Steps: []plan.Step{{ID: "a/b{}", Probe: "a/b", Touch: probes.Disrupt}, {ID: "a/c{}", Probe: "a/b", Touch: probes.Interact}}},
		Kinds:   []probes.Kind{{Name: "a/b", New: func() probes.Probe { return &asking{} }}},
		Journal: j, Watch: func(e Event) {
			if e.Observation != nil {
				told = append(told, e.Unit+" "+e.Step.ID+" "+e.Observation.Error)
			}
		},
	}
	outcome, err := run.Do(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Finished, outcome)
	assert.Equal(t, []string{
		"unit-1 a/b{} ", "unit-2 a/b{} bring the device back to a known state: every way failed", "unit-3 a/b{} answers from another MAC address",
		"unit-1 a/c{} ", "unit-2 a/c{} ", "unit-3 a/c{} answers from another MAC address",
	}, told)
	assert.Equal(t, 2, good.asked)
	assert.Equal(t, 1, stuck.asked, "a device in an unknown state is not asked what would change it")
	require.NoError(t, j.Close())
	ev, err := evidence.Open(j.Dir())
	require.NoError(t, err)
	restored := 0
	for _, r := range ev.Records {
		if r.Kind != evidence.KindRestore {
			continue
		}
		restored++
		var body struct {
			Before string   `json:"before"`
			Deeds  []string `json:"deeds"`
		}
		require.NoError(t, json.Unmarshal(r.Body, &body))
		assert.Equal(t, "a/b{}", body.Before)
		assert.Equal(t, []string{"power cycle"}, body.Deeds)
	}
	assert.Equal(t, 3, restored)
	obs, err := ev.Observations()
	require.NoError(t, err)
	require.Len(t, obs, 6)
	for _, o := range obs {
		assert.NotEqual(t, o.Error == "", len(o.Facts) == 0, o.ID)
	}
}
