package lab

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/plan"
)

// provingRig is a bench whose tests with a known-good device come out as a list says.
type provingRig struct {
	sickRig
	tests []SelfTest
	asked []int // questions before each test
}

func (r *provingRig) Check(context.Context) error { return nil }

func (r *provingRig) Prove(context.Context) SelfTest {
	r.asked = append(r.asked, r.sickRig.asked)
	t := r.tests[0]
	r.tests = r.tests[1:]
	return t
}

func sound() SelfTest { return SelfTest{Sound: true, Answers: []SelfAnswer{{Asked: "name", OK: true}}} }

func unsound() SelfTest {
	return SelfTest{Mend: "look", Answers: []SelfAnswer{{Asked: "time", OK: true}, {Asked: "name", Want: "a", Got: "b"}, {Asked: "broker", NotDone: "none"}}}
}

func TestWhatNoSoundTestVouchesFor(t *testing.T) {
	none := SelfTest{NotDone: "not the lab's network", Mend: "another mode"}
	const before, after, between = "before the run", "after the run", "after o-002"
	cases := map[string]struct {
		every   int
		tests   []SelfTest
		asked   []int
		outcome Outcome
		void    map[int]string // by the observation's place: which test speaks against it
		left    int            // observations from here on were not asked
	}{
		"sound":                   {0, []SelfTest{sound(), sound()}, []int{0, 4}, Finished, nil, 4},
		"none":                    {2, []SelfTest{none, none, none, none}, []int{0, 2, 4, 4}, Finished, nil, 4},
		"bad before":              {0, []SelfTest{unsound()}, []int{0}, Broken, nil, 0},
		"bad after":               {0, []SelfTest{sound(), unsound()}, []int{0, 4}, Finished, map[int]string{0: after, 1: after, 2: after, 3: after}, 4},
		"bad after, good between": {2, []SelfTest{sound(), sound(), sound(), unsound()}, []int{0, 2, 4, 4}, Finished, nil, 4},
		"bad in the third part":   {3, []SelfTest{sound(), sound(), unsound()}, []int{0, 3, 4}, Finished, map[int]string{3: after}, 4},
		"bad between":             {2, []SelfTest{sound(), unsound()}, []int{0, 2}, Finished, map[int]string{0: between, 1: between}, 2},
		"no answers":              {0, []SelfTest{sound(), {}}, []int{0, 4}, Finished, map[int]string{0: after, 1: after, 2: after, 3: after}, 4},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := evidence.Create(dir, time.Now)
			require.NoError(t, err)
			_, err = j.Append(evidence.KindBegin, Begin{Run: "r"})
			require.NoError(t, err)
			rig := &provingRig{tests: c.tests}
			kind := probes.Kind{Name: "a/b", New: func() probes.Probe { return &question{&rig.sickRig} }}
			steps := make([]plan.Step, 4)
			for i := range steps {
				steps[i] = plan.Step{ID: string(rune('a' + i)), Probe: "a/b", Touch: probes.Observe}
			}
			told := 0
			run := Run{
				Rig: rig, Plan: &plan.Plan{Steps: steps}, Kinds: []probes.Kind{kind}, Journal: j, Unit: "u", Every: c.every,
				Proved: func(SelfTest) { told++ },
			}
			outcome, err := run.Do(t.Context())
			assert.Equal(t, c.outcome, outcome)
			var unfit *UnfitError
			if c.outcome == Broken {
				require.ErrorAs(t, err, &unfit)
				require.ErrorIs(t, err, probes.ErrBench)
				assert.Equal(t, "look", unfit.Hint())
				assert.Equal(t, WentBad+" before the run: name: want a, got b", err.Error())
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.asked, rig.asked)
			assert.Equal(t, len(c.asked), told)
			require.NoError(t, j.Close())
			ev, err := evidence.Open(dir)
			require.NoError(t, err)
			all, proofs := vouched(t, ev)
			if c.outcome == Broken {
				assert.Empty(t, all)
				return
			}
			require.Len(t, all, 4)
			var voids []string
			for n, o := range all {
				if c.void[n] != "" {
					voids = append(voids, o.ID)
				}
			}
			last := proofs[len(proofs)-1]
			assert.Equal(t, voids, last.Voids, "the test that went wrong names what it takes back")
			assert.Equal(t, ev.Records[last.Record-1].Time, last.Time)
			for n, o := range all {
				attempt, due := Due(steps[n], "u", all)
				switch why := c.void[n]; {
				case n >= c.left:
					assert.Equal(t, WentBad, o.NotAsked, o.ID)
					assert.True(t, due)
				case why != "":
					assert.Contains(t, o.Error, WentBad+" "+why+", and this was observed since the last good one: ", o.ID)
					assert.Nil(t, o.Facts)
					assert.Nil(t, o.Alive)
					assert.True(t, due, "a run that goes on asks it again")
					assert.Equal(t, 2, attempt)
				default:
					assert.Empty(t, o.Error, o.ID)
					assert.NotEmpty(t, o.Facts, o.ID)
					assert.False(t, due)
				}
			}
		})
	}
}

// vouched reads the observations, and the tests that vouch for them, as Read does.
func vouched(t *testing.T, ev *evidence.Evidence) ([]probes.Observation, []Proof) {
	t.Helper()
	in := &Inputs{}
	require.NoError(t, in.records(ev))
	return in.Observations, in.SelfTests
}

func TestStoppedWhileProving(t *testing.T) {
	j, err := evidence.Create(t.TempDir(), time.Now)
	require.NoError(t, err)
	defer j.Close()
	_, err = j.Append(evidence.KindBegin, Begin{Run: "r"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	rig := &stoppedRig{cancel: cancel}
	run := Run{Rig: rig, Plan: &plan.Plan{}, Journal: j}
	outcome, err := run.Do(ctx)
	require.NoError(t, err, "a test that somebody stopped says nothing about the bench")
	assert.Equal(t, Cancelled, outcome)
}

// stoppedRig is stopped in the middle of its test.
type stoppedRig struct {
	sickRig
	cancel context.CancelFunc
}

func (r *stoppedRig) Prove(context.Context) SelfTest {
	r.cancel()
	return unsound()
}

func TestVouchingForOneThatIsNotThere(t *testing.T) {
	v := vouching{seen: 3, since: 1}
	v.test(unsound())
	v.apply(nil, nil)
	all := make([]probes.Observation, 2)
	all[1].NotAsked = "no power"
	tests := []Proof{{SelfTest: unsound()}}
	v.apply(all, tests)
	assert.Empty(t, tests[0].Voids)
	assert.Empty(t, all[0].Error)
	assert.Empty(t, all[1].Error)
}
