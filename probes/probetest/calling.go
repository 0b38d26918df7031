package probetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"assay/probes"
)

// Calling says how the device behaves as a client of its cloud. It calls by itself a moment after it was
// hung up on, over MQTT; over HTTPS only when it is told to fetch an update.
type Calling struct {
	Believes     []probes.Scenario // impostors that it speaks to
	Shakes       []probes.Scenario // impostors that it finishes the handshake with, before it hangs up
	GivesIn      int               // calls that are refused before it speaks to anybody; 0: never
	Wordless     bool              // finishes handshakes and says nothing
	Deaf         bool              // never calls
	Sulks        bool              // after a refusal it does not call any more
	Cross        bool              // after a refusal it does not speak to the genuine cloud either
	Needs        string            // operation without which it does not call
	KeepsSession bool              // goes on with an earlier session whoever answers
	Backoff      time.Duration     // before it calls again; default 250 ms, and twice as long after each refusal
	Offers       probes.Call       // what its ClientHello has; default TLS 1.2 and 1.3
	Extra        []string          // further operations of the dossier: connect-mqtts, reboot
}

// calling is what the bench and the device know of calls.
type calling struct {
	via     string
	now     *callStand // what answers; nil: the genuine cloud
	calls   []probes.Call
	refused int
	turn    int // calls that were planned before it are off
}

type callStand struct {
	t        *Thermostat
	via      string
	scenario probes.Scenario
	calls    []probes.Call
}

type interceptor struct{ t *Thermostat }

func (i interceptor) Stand(ctx context.Context, via string, s probes.Scenario) (probes.Stand, error) {
	if err := i.t.use(ctx); err != nil {
		return nil, err
	}
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	st := &callStand{t: i.t, via: via, scenario: s}
	c := &i.t.calling
	c.via, c.now = via, st
	if via != probes.ViaHTTPS && i.t.script.Needs == "" {
		i.t.callSoon()
	}
	return st, nil
}

func (i interceptor) Calls(ctx context.Context, via string) ([]probes.Call, error) {
	if err := i.t.use(ctx); err != nil {
		return nil, err
	}
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	c := &i.t.calling
	if len(c.calls) == 0 && c.via == "" && via != probes.ViaHTTPS {
		c.via = via
		i.t.callSoon()
	}
	return slices.Clone(c.calls), nil
}

func (s *callStand) URL() string { return s.via + "://cloud.thermostat.example" }

func (s *callStand) Calls() []probes.Call {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *callStand) Close() error {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.t.calling.now == s {
		s.t.calling.now = nil
	}
	return nil
}

// asked makes the device call because of an operation.
func (t *Thermostat) asked(operation string) {
	s := t.script
	fetches := t.calling.via == probes.ViaHTTPS && strings.HasPrefix(operation, probes.UpdatePrefix)
	if operation == probes.Reboot {
		t.calling.refused = 0
	}
	if fetches || operation == s.Needs || slices.Contains(s.Extra, operation) {
		t.callSoon()
	}
}

// callSoon plans the next call. The caller holds the lock.
func (t *Thermostat) callSoon() {
	c, s := &t.calling, t.script
	if s.Deaf || s.Sulks && c.refused > 0 {
		return
	}
	c.turn++
	turn := c.turn
	t.after(s.Backoff<<min(c.refused, 4), func() {
		if turn == c.turn {
			t.callNow()
		}
	})
}

func (t *Thermostat) callNow() {
	c, s := &t.calling, t.script
	call := s.Offers
	call.At, call.Scenario = t.clock.Now(), probes.Genuine
	if c.now != nil {
		call.Scenario = c.now.scenario
	}
	genuine := call.Scenario == probes.Genuine || call.Scenario == probes.PassThrough
	speaks := genuine && !(s.Cross && c.refused > 0) || slices.Contains(s.Believes, call.Scenario) || s.GivesIn > 0 && c.refused >= s.GivesIn
	call.Resumed = s.KeepsSession && !genuine
	call.Finished = genuine || speaks || call.Resumed || slices.Contains(s.Shakes, call.Scenario)
	if call.Finished {
		call.Version, call.Cipher = "TLS 1.3", "TLS_AES_128_GCM_SHA256"
	}
	switch {
	case (speaks || call.Resumed) && !s.Wordless:
		call.Bytes, call.Protocol = 128, map[string]string{"mqtts": "mqtt", "https": "http", "coaps": "coap"}[c.via]
		if genuine {
			c.refused = 0
		}
	case s.Wordless && speaks:
	default:
		call.Ended = true
		if !call.Finished {
			call.Alert = "bad certificate"
		}
	}
	c.calls = append(c.calls, call)
	if c.now != nil {
		c.now.calls = append(c.now.calls, call)
	}
	if call.Ended {
		c.refused++
		if c.via != probes.ViaHTTPS {
			t.callSoon()
		}
	}
}
