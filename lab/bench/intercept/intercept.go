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
	// written down, where they are no unit of their own (Unit). nil: everybody is.
	From func(net.Addr) bool
	Unit string // the device's name in the story; empty where it is the only one
	Now  func() time.Time
	Keys *Keys // nil: keys are not logged
	Log  func(string)
}

// Interceptor stands at every way in to the cloud. It is the one of its first unit, and implements
// probes.Interceptor as such.
type Interceptor struct {
	*Unit
	o     Options
	units []*Unit // the first one, and those that were added before the doors

	mu    sync.Mutex // guards the rest
	gates map[string]*gate
}

// A Unit is one device as the interceptor tells it from others: what is presented to it, and its calls, are its
// own. It implements probes.Interceptor.
type Unit struct {
	of    *Interceptor
	name  string // for the story; empty where there is one
	from  func(net.Addr) bool
	lines map[string]*line // by way in; guarded by the interceptor's lock
}

// gate is one way in.
type gate struct {
	url  string
	base *stage // the genuine cloud, as strangers meet it

	rehearsal *rehearsal // nil: there is none
}

// A line is one unit at one way in.
type line struct {
	base  *stage // the genuine cloud
	now   *stage // what answers at present
	calls []*call
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
	i := &Interceptor{o: o, gates: map[string]*gate{}}
	i.Unit = i.Another(o.Unit, o.From)
	return i
}

// Another makes one more unit, whose calls are told by from. It is not called any more once there is a door.
func (i *Interceptor) Another(name string, from func(net.Addr) bool) *Unit {
	u := &Unit{of: i, name: name, from: from, lines: map[string]*line{}}
	i.units = append(i.units, u)
	return u
}

// caller finds whose call it is; nil: a stranger's.
func (i *Interceptor) caller(from net.Addr) *Unit {
	for _, u := range i.units {
		if u.from == nil || u.from(from) {
			return u
		}
	}
	return nil
}

// gate finds or makes the way in. The caller holds the lock.
func (i *Interceptor) gate(via, url string) *gate {
	g := i.gates[via]
	if g == nil {
		g = &gate{url: url, base: i.genuine()}
		i.gates[via] = g
		for _, u := range i.units {
			base := i.genuine()
			u.lines[via] = &line{base: base, now: base}
		}
	}
	return g
}

func (i *Interceptor) genuine() *stage {
	return &stage{scenario: probes.Genuine, chain: i.o.Cloud.Genuine, conns: map[*watched]struct{}{}}
}

// Stand hangs up on the device at one way in and presents a scenario there, to it alone. Where the same chain stays,
// in pass-through, nobody is hung up on.
func (u *Unit) Stand(ctx context.Context, via string, s probes.Scenario) (probes.Stand, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	i := u.of
	if why := i.o.Cloud.Lacks(via, s, i.o.Now()); why.Because != "" {
		return nil, fmt.Errorf("present %.32s at %.16s: %s: %w", s, via, why.Because, probes.ErrBench)
	}
	chain, err := i.o.Cloud.Chain(s, i.o.Now())
	if err != nil {
		return nil, fmt.Errorf("present %s at %s: %w: %w", s, via, err, probes.ErrBench)
	}
	i.mu.Lock()
	g, l := i.gates[via], u.lines[via]
	if g == nil || l == nil {
		i.mu.Unlock()
		return nil, fmt.Errorf("present %s at %.16s: the bench has no such way in: %w", s, via, probes.ErrBench)
	}
	st := &stage{scenario: s, chain: chain, conns: map[*watched]struct{}{}}
	left := l.leave(st, s == probes.PassThrough)
	i.mu.Unlock()
	hangUp(left)
	if i.o.Log != nil {
		to := ""
		if u.name != "" {
			to = " to " + u.name
		}
		i.o.Log("interception: " + via + " answers" + to + " as " + string(s))
	}
	return &stand{of: u, via: via, stage: st, url: g.url}, nil
}

// leave changes what answers, and returns the connections that do not belong to it any more.
func (l *line) leave(next *stage, gently bool) []func() error {
	old := l.now
	l.now = next
	if gently && old.chain == next.chain && old.scenario != probes.OldVersion {
		return nil
	}
	left := old.goodbyes()
	if old != l.base && next != l.base { // in pass-through the genuine cloud's own calls went on
		left = append(left, l.base.goodbyes()...)
	}
	return left
}

// goodbyes end the device's connections.
func (s *stage) goodbyes() []func() error {
	all := make([]func() error, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c.goodbye)
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
func (u *Unit) Calls(ctx context.Context, via string) ([]probes.Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	l := u.lines[via]
	if l == nil {
		return nil, fmt.Errorf("list the calls at %.16s: the bench has no such way in: %w", via, probes.ErrBench)
	}
	return told(l.calls), nil
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
	of    *Unit
	via   string
	url   string
	stage *stage
}

// URL is where the device finds it.
func (s *stand) URL() string { return s.url }

// Calls lists the device's calls under it.
func (s *stand) Calls() []probes.Call {
	s.of.of.mu.Lock()
	defer s.of.of.mu.Unlock()
	return told(s.stage.calls)
}

// Close gives the genuine cloud back, unless another stand has taken the place.
func (s *stand) Close() error {
	s.of.of.mu.Lock()
	l := s.of.lines[s.via]
	var left []func() error
	if l.now == s.stage {
		left = l.leave(l.base, s.stage.chain == l.base.chain && s.stage.scenario != probes.OldVersion)
		if left == nil { // they talk to the genuine cloud already
			for c := range s.stage.conns {
				c.stage = l.base
				l.base.conns[c] = struct{}{}
			}
			clear(s.stage.conns)
		}
	}
	s.of.of.mu.Unlock()
	hangUp(left)
	return nil
}
