// Package intercept answers for a device's cloud on TLS and DTLS, as the genuine one or as an
// impostor whose certificate is wrong in exactly one way, and writes down what the device did: what
// it offered, whether it finished the handshake, and whether it then said anything. It says before a
// run which impostors it can make for a product and what it lacks for the others. It never judges,
// and it keeps nothing of what a device said but its length and its protocol.
package intercept

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"assay/probes"
)

const (
	maxCalls      = 64 // kept for one way in, and for one stand
	maxSeats      = 128
	maxNames      = 64
	handshakeTime = 10 * time.Second
)

// Options say for whom to answer.
type Options struct {
	Cloud Cloud
	// From tells whether a caller is the device; others are served by the genuine cloud and not
	// written down. nil: everybody is.
	From func(net.Addr) bool
	Now  func() time.Time
	Keys *Keys // nil: keys are not logged
	Log  func(string)
}

// Interceptor stands at every way in to the cloud. It implements probes.Interceptor.
type Interceptor struct {
	o Options

	mu    sync.Mutex // guards the rest
	gates map[string]*gate
}

// gate is one way in.
type gate struct {
	url   string
	base  *stage // the genuine cloud
	now   *stage // what answers at present
	calls []*call

	rehearsal *rehearsal // nil: there is none
}

// A stage is one scenario at one way in while it is presented.
type stage struct {
	scenario probes.Scenario
	chain    *tls.Certificate
	calls    []*call
	conns    map[*watched]struct{}
}

// New makes an interceptor without a way in; Door and DTLSDoor add them.
func New(o Options) *Interceptor {
	return &Interceptor{o: o, gates: map[string]*gate{}}
}

// gate finds or makes the way in. The caller holds the lock.
func (i *Interceptor) gate(via, url string) *gate {
	g := i.gates[via]
	if g == nil {
		base := &stage{scenario: probes.Genuine, chain: i.o.Cloud.Genuine, conns: map[*watched]struct{}{}}
		g = &gate{url: url, base: base, now: base}
		i.gates[via] = g
	}
	return g
}

// Stand hangs up on the device at one way in and presents a scenario there. Where the same chain stays,
// in pass-through, nobody is hung up on.
func (i *Interceptor) Stand(ctx context.Context, via string, s probes.Scenario) (probes.Stand, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if why := i.o.Cloud.Lacks(via, s, i.o.Now()); why.Because != "" {
		return nil, fmt.Errorf("present %.32s at %.16s: %s: %w", s, via, why.Because, probes.ErrBench)
	}
	chain, err := i.o.Cloud.Chain(s, i.o.Now())
	if err != nil {
		return nil, fmt.Errorf("present %s at %s: %w: %w", s, via, err, probes.ErrBench)
	}
	i.mu.Lock()
	g := i.gates[via]
	if g == nil {
		i.mu.Unlock()
		return nil, fmt.Errorf("present %s at %.16s: the bench has no such way in: %w", s, via, probes.ErrBench)
	}
	st := &stage{scenario: s, chain: chain, conns: map[*watched]struct{}{}}
	left := g.leave(st, s == probes.PassThrough)
	i.mu.Unlock()
	hangUp(left)
	if i.o.Log != nil {
		i.o.Log("interception: " + via + " answers as " + string(s))
	}
	return &stand{of: i, via: via, stage: st, url: g.url}, nil
}

// leave changes what answers, and returns the connections that do not belong to it any more.
func (g *gate) leave(next *stage, gently bool) []func() error {
	old := g.now
	g.now = next
	if gently && old.chain == next.chain && old.scenario != probes.OldVersion {
		return nil
	}
	left := old.goodbyes()
	if old != g.base && next != g.base { // in pass-through the genuine cloud's own calls went on
		left = append(left, g.base.goodbyes()...)
	}
	return left
}

// goodbyes end the device's connections.
func (s *stage) goodbyes() []func() error {
	var all []func() error
	for c := range s.conns {
		if c.call != nil {
			all = append(all, c.goodbye)
		}
	}
	return all
}

// hangUp closes connections without holding the lock: closing tells the other side, which may not listen.
func hangUp(goodbyes []func() error) {
	for _, goodbye := range goodbyes {
		_ = goodbye()
	}
}

// Calls lists the device's newest calls at one way in.
func (i *Interceptor) Calls(ctx context.Context, via string) ([]probes.Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	g := i.gates[via]
	if g == nil {
		return nil, fmt.Errorf("list the calls at %.16s: the bench has no such way in: %w", via, probes.ErrBench)
	}
	return told(g.calls), nil
}

// told copies what is known of calls.
func told(calls []*call) []probes.Call {
	var out []probes.Call
	for _, c := range calls {
		if c.hello {
			one := c.Call
			one.Ciphers, one.CipherNames = slices.Clone(c.Ciphers), slices.Clone(c.CipherNames)
			out = append(out, one)
		}
	}
	return out
}

// A stand is a scenario as the probe holds it.
type stand struct {
	of    *Interceptor
	via   string
	url   string
	stage *stage
}

// URL is where the device finds it.
func (s *stand) URL() string { return s.url }

// Calls lists the device's calls under it.
func (s *stand) Calls() []probes.Call {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return told(s.stage.calls)
}

// Close gives the genuine cloud back, unless another stand has taken the place.
func (s *stand) Close() error {
	s.of.mu.Lock()
	g := s.of.gates[s.via]
	var left []func() error
	if g.now == s.stage {
		left = g.leave(g.base, s.stage.chain == g.base.chain && s.stage.scenario != probes.OldVersion)
		if left == nil { // they talk to the genuine cloud already
			for c := range s.stage.conns {
				c.stage = g.base
				g.base.conns[c] = struct{}{}
			}
			clear(s.stage.conns)
		}
	}
	s.of.mu.Unlock()
	hangUp(left)
	return nil
}
