package states

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

type still struct{ at time.Time }

func (s *still) Now() time.Time { s.at = s.at.Add(time.Second); return s.at }

func (s *still) Wait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// bench is every move that a bench may have, over a device that is just a state.
type bench struct {
	state  State
	broken []string // moves that fail
	hangs  bool     // the device answers no more until its supply is cut
	did    []string
}

func (b *bench) moves(names ...string) []Move {
	every := []Move{
		{Name: "wait", From: []State{Booting}, To: InUse, Seconds: 20},
		{Name: "power on", From: []State{Off}, To: InUse, Seconds: 20},
		{Name: "power cycle", From: []State{Booting, InUse}, To: InUse, Seconds: 25},
		{Name: "power off", From: []State{Booting, InUse, FactoryDefault, Commissioned}, To: Off, Seconds: 6},
		{Name: "reset by command", From: Up(), To: FactoryDefault, Seconds: 20},
		{Name: "reset by button", From: []State{Booting, InUse, Commissioned}, To: FactoryDefault, Seconds: 30},
		{Name: "flash", From: all, To: FactoryDefault, Seconds: 90},
		{Name: "commission", From: []State{FactoryDefault}, To: Commissioned, Seconds: 30},
	}
	var out []Move
	for _, m := range every {
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		m.Do = func(context.Context) error {
			b.did = append(b.did, m.Name)
			switch {
			case slices.Contains(b.broken, m.Name), b.hangs && m.Name == "wait":
				return errors.New("no")
			case m.Name == "power cycle" || m.Name == "flash":
				b.hangs = false
			}
			b.state = m.To
			return nil
		}
		out = append(out, m)
	}
	return out
}

func (b *bench) look(context.Context) State {
	switch {
	case b.hangs:
		return Booting
	case b.state == FactoryDefault || b.state == Commissioned:
		return InUse // a look cannot tell
	}
	return b.state
}

func TestReach(t *testing.T) {
	for name, c := range map[string]struct {
		begin  bench
		moves  []string
		to     State
		did    []string
		failed string
	}{
		"the cheapest first":                  {begin: bench{state: InUse}, to: FactoryDefault, did: []string{"reset by command"}},
		"commissioned after a reset":          {begin: bench{state: InUse}, to: Commissioned, did: []string{"reset by command", "commission"}},
		"from the dark":                       {begin: bench{state: Off}, to: Commissioned, did: []string{"power on", "reset by command", "commission"}},
		"switched off":                        {begin: bench{state: InUse}, to: Off, did: []string{"power off"}},
		"waits for a device that is starting": {begin: bench{state: Booting}, to: InUse, did: []string{"wait"}},
		"cuts the supply of one that hangs":   {begin: bench{hangs: true}, to: InUse, did: []string{"wait", "power cycle"}},
		"the button where it does not answer": {begin: bench{hangs: true}, to: FactoryDefault, did: []string{"reset by button"}},
		"the next way where one fails": {begin: bench{state: InUse, broken: []string{"reset by command"}}, to: FactoryDefault,
			did: []string{"reset by command", "reset by button"}},
		"the flash at last": {begin: bench{state: InUse, broken: []string{"reset by command", "reset by button"}}, to: FactoryDefault,
			did: []string{"reset by command", "reset by button", "flash"}},
		"nothing helps": {begin: bench{state: InUse, broken: []string{"reset by command", "reset by button", "flash"}}, to: FactoryDefault,
			did: []string{"reset by command", "reset by button", "flash"}, failed: "every way failed"},
		"no way": {begin: bench{state: InUse}, moves: []string{"power cycle"}, to: FactoryDefault, failed: "no way to that state"},
	} {
		t.Run(name, func(t *testing.T) {
			b := c.begin
			s := &Strategy{Moves: b.moves(c.moves...), Observe: b.look, Clock: &still{}}
			deeds, err := s.Reach(t.Context(), c.to, true)
			if c.failed != "" {
				require.ErrorContains(t, err, c.failed)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, c.did, b.did)
			require.Len(t, deeds, len(c.did))
			for i, d := range deeds {
				assert.Equal(t, c.did[i], d.Move)
				assert.Equal(t, 1.0, d.Seconds)
				assert.Equal(t, slices.Contains(b.broken, d.Move) || d.Move == "wait" && c.begin.hangs, d.Error != "", d.Move)
			}
		})
	}
}

// What was reached once is reached again where a step wants it fresh, and left where it does not.
func TestFresh(t *testing.T) {
	b := &bench{state: InUse}
	s := &Strategy{Moves: b.moves(), Observe: func(context.Context) State { return FactoryDefault }, Clock: &still{}}
	deeds, err := s.Reach(t.Context(), FactoryDefault, false)
	require.NoError(t, err)
	assert.Empty(t, deeds)
	deeds, err = s.Reach(t.Context(), FactoryDefault, true)
	require.NoError(t, err)
	assert.Len(t, deeds, 1)
}

func TestReachObeysTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &bench{state: InUse}
	_, err := (&Strategy{Moves: b.moves(), Observe: b.look, Clock: &still{}}).Reach(ctx, Off, true)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.Empty(t, b.did)
}

func TestReaches(t *testing.T) {
	b := &bench{}
	assert.True(t, Reaches(b.moves(), Commissioned))
	assert.False(t, Reaches(b.moves("reset by command"), FactoryDefault), "not from a device that does not answer")
	assert.False(t, Reaches(b.moves("reset by button"), Commissioned))
	assert.Equal(t, "wait, power on", Names(b.moves("wait", "power on")))
}
