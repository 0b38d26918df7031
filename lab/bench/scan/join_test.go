package scan

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

func TestJoin(t *testing.T) {
	port := func(n int, s probes.PortState, speaks probes.Speech) probes.Port {
		return probes.Port{Number: n, State: s, Speaks: speaks}
	}
	only := func(p probes.Port) probes.Port { p.Only6 = true; return p }
	const open, closed, silent = probes.PortOpen, probes.PortClosed, probes.PortSilent
	four := func() probes.Scan {
		return probes.Scan{
			Addresses: []string{"192.0.2.100"}, Complete: true, AliveBefore: true, AliveAfter: true, Tried: 100, Silent: 1,
			TCP: []probes.Port{port(80, open, probes.SpeaksHTTP), port(90, open, probes.SpeaksUnknown)},
			UDP: []probes.Port{port(53, closed, probes.SpeaksUnknown), port(69, closed, probes.SpeaksUnknown), port(123, open, probes.SpeaksNTP), port(161, closed, probes.SpeaksUnknown)},
		}
	}
	all := four()
	Join(&all, probes.Scan{
		Addresses: []string{"fe80::1%eth0"}, Complete: true, AliveBefore: true, AliveAfter: true, Tried: 100, Silent: 2,
		TCP: []probes.Port{port(23, open, probes.SpeaksTelnet), port(80, open, probes.SpeaksUnknown), port(90, open, probes.SpeaksSSH)},
		UDP: []probes.Port{port(53, open, probes.SpeaksDNS), port(69, silent, probes.SpeaksUnknown), port(123, closed, probes.SpeaksUnknown), port(161, closed, probes.SpeaksUnknown)},
	})
	assert.Equal(t, probes.Scan{
		Addresses: []string{"192.0.2.100", "fe80::1%eth0"}, Complete: true, AliveBefore: true, AliveAfter: true, Tried: 100, Silent: 3,
		TCP: []probes.Port{only(port(23, open, probes.SpeaksTelnet)), port(80, open, probes.SpeaksHTTP), port(90, open, probes.SpeaksSSH)},
		UDP: []probes.Port{only(port(53, open, probes.SpeaksDNS)), port(69, silent, probes.SpeaksUnknown), port(123, open, probes.SpeaksNTP), port(161, closed, probes.SpeaksUnknown)},
	}, all)

	for name, c := range map[string]struct {
		six             probes.Scan
		complete, after bool
	}{
		"not complete":      {probes.Scan{AliveBefore: true, AliveAfter: true}, false, true},
		"gone meanwhile":    {probes.Scan{Complete: true, AliveBefore: true}, true, false},
		"never said a word": {probes.Scan{Silent: 100}, false, true},
	} {
		all := four()
		Join(&all, c.six)
		assert.Equal(t, []bool{c.complete, c.after}, []bool{all.Complete, all.AliveAfter}, name)
	}
}

func TestAnswers(t *testing.T) {
	s := Scanner{Target: home, Controls: []int{serve(t, says(""))}, Patience: hasty()}
	yes, err := s.Answers(t.Context())
	require.NoError(t, err)
	assert.True(t, yes)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Answers(ended)
	assert.ErrorIs(t, err, context.Canceled)
}
