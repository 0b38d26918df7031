package suit

import (
	"cmp"
	"maps"
	"slices"

	"assay/firmware/format"
)

// A machine runs the command sequences as a device would, without doing anything: it
// follows every way that a device might take and finds out what it would check. What
// only a device knows (its slot, its clock, what is stored) may turn out either way.
type machine struct {
	img    *Image
	device *identity // nil: any device
	steps  int
	hashed int      // bytes of the manifest's own content
	wants  []want   // digests of what comes from elsewhere
	remote []string // URIs of what does
}

// A want is a payload that the envelope does not carry.
type want struct {
	uri    string
	digest Digest
	size   uint64 // 0: not told
}

const (
	maxSteps  = 10_000
	maxHashed = 64 << 20
	maxStates = 512
)

// A state is one way through the sequences, so far.
type state struct {
	index   []int
	soft    bool // a failed condition ends the sequence only
	frames  int  // sequences around this one
	params  []parameters
	content []content
	slots   []slot
	fetched map[int]bool // members that were fetched
	matched map[int]bool // members that were compared with a digest
	sealed  map[int]bool // members that were decrypted on the way
	seen    map[int64]bool
}

// content is what a component holds.
type content struct {
	kind   int
	member int    // of an integrated payload
	bytes  []byte // written by the manifest itself
	uri    string
}

const (
	contentUnknown = iota
	contentMember
	contentInline
	contentRemote
)

// A slot is what has been found out about the slot of a component.
type slot struct {
	known bool
	value uint64
	not   []uint64
}

// A failure is a way that ended.
type failure struct {
	state state
	kind  int
	err   error // nil where only some devices fail
}

// How far a failure reaches.
const (
	failSoft  = iota // to the end of its sequence
	failHard         // it fails the command that holds the sequence
	failAbort        // a directive failed: to the end of everything
)

func failureOf(s state, err error) failure {
	if s.soft {
		return failure{s, failSoft, err}
	}
	return failure{s, failHard, err}
}

func (s state) clone() state {
	s.index = slices.Clone(s.index)
	s.params, s.content, s.slots = slices.Clone(s.params), slices.Clone(s.content), slices.Clone(s.slots)
	s.fetched, s.matched, s.sealed, s.seen = maps.Clone(s.fetched), maps.Clone(s.matched), maps.Clone(s.sealed), maps.Clone(s.seen)
	return s
}

func (m *machine) start() state {
	n := m.img.manifest.indexes
	return state{
		index: []int{0}, params: make([]parameters, n), content: make([]content, n), slots: make([]slot, n),
		fetched: map[int]bool{}, matched: map[int]bool{}, sealed: map[int]bool{}, seen: map[int64]bool{},
	}
}

// run executes a sequence on every way.
func (m *machine) run(seq []command, from []state) (done []state, failed []failure, err error) {
	done = from
	for _, c := range seq {
		var next []state
		for _, s := range done {
			// A list of components: the command is given to each, in order (section 6.5 of the draft).
			ways := []state{s}
			for _, i := range s.index {
				var on []state
				for _, w := range ways {
					ok, bad, err := m.step(c, i, w)
					if err != nil {
						return nil, nil, err
					}
					on, failed = append(on, ok...), append(failed, bad...)
				}
				ways = on
				if c.number == dirIndex {
					break
				}
			}
			next = append(next, ways...)
		}
		done = next
		failed = slices.DeleteFunc(failed, func(f failure) bool { return f.err == nil && f.state.frames == 0 })
		if len(done)+len(failed) > maxStates {
			return nil, nil, format.Malformed("more than %d ways through the sequences", maxStates)
		}
	}
	return done, failed, nil
}

// step gives one command to one component.
func (m *machine) step(c command, i int, s state) ([]state, []failure, error) {
	if m.steps++; m.steps > maxSteps {
		return nil, nil, format.Malformed("more than %d commands", maxSteps)
	}
	s = s.clone()
	if c.number == dirIndex {
		s.index = c.index
		return []state{s}, nil, nil
	}
	if i >= len(s.params) {
		return nil, nil, format.Malformed("command %d without a component", c.number)
	}
	switch c.number {
	case dirOverride, dirOverrideMany, dirCopyParameters:
		override(c, i, &s)
		return []state{s}, nil, nil
	case dirFetch, dirWrite, dirCopy, dirSwap, dirUnlink:
		return m.move(c.number, i, s)
	case dirTryEach:
		return m.tryEach(c, i, s)
	case dirRun:
		return m.runNested(c, i, s)
	case dirProcess, dirInvoke, dirWait:
		return []state{s}, nil, nil
	}
	return m.condition(c.number, i, s)
}

func override(c command, i int, s *state) {
	set := func(i int, p parameters) {
		merged := maps.Clone(s.params[i])
		if merged == nil {
			merged = parameters{}
		}
		maps.Copy(merged, p)
		s.params[i] = merged
	}
	if raw, ok := c.params[paramSoft]; ok {
		s.soft = raw[0] == cborTrue
	}
	if c.params != nil {
		set(i, c.params)
	}
	for i, p := range c.many {
		set(i, p)
	}
	for from, numbers := range c.from {
		for _, n := range numbers {
			if v, ok := s.params[from][n]; ok {
				set(i, parameters{n: v})
			}
		}
	}
}

// move follows content from where it comes to the component.
func (m *machine) move(number int64, i int, s state) ([]state, []failure, error) {
	p := s.params[i]
	_, encrypted := p[paramEncryption]
	var c content
	switch number {
	case dirFetch:
		uri := p.text(paramURI)
		n, ok := m.img.payload(uri)
		switch {
		case ok:
			c = content{kind: contentMember, member: n}
			s.fetched[n] = true
		case local(uri):
			return nil, []failure{{s, failAbort, format.Wrap(format.ErrNotBound, "integrated payload %q is not in the envelope", uri)}}, nil
		default:
			c = content{kind: contentRemote, uri: uri}
			if !slices.Contains(m.remote, uri) {
				m.remote = append(m.remote, uri)
			}
		}
	case dirWrite:
		if _, ok := p[paramContent]; ok {
			c = content{kind: contentInline, bytes: p.bytes(paramContent)}
		}
	case dirCopy, dirSwap:
		from, ok, err := p.number(paramSource)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return nil, []failure{{s, failAbort, format.Malformed("component %d is to be copied from nowhere", i)}}, nil
		}
		c = s.content[from]
		if number == dirSwap {
			s.content[from] = s.content[i]
		}
	}
	if encrypted {
		if c.kind == contentMember {
			s.sealed[c.member] = true
		}
		c = content{} // nobody without the key knows the plaintext
	}
	s.content[i] = c
	return []state{s}, nil, nil
}

// tryEach takes the branches in order; where one fails softly, the next begins with what
// was found out about the device, and the parameters from before.
func (m *machine) tryEach(c command, i int, s state) (done []state, failed []failure, err error) {
	waiting := []failure{{state: s}}
	for _, branch := range c.nested {
		var again []failure
		for _, w := range waiting {
			ok, bad, err := m.run(branch, []state{w.state.enter(i, true)})
			if err != nil {
				return nil, nil, err
			}
			for _, o := range ok {
				done = append(done, o.leave(s))
			}
			for _, b := range bad {
				if b.kind == failSoft {
					back := w.state.clone()
					back.slots = b.state.slots
					again = append(again, failure{state: back, err: cmp.Or(b.err, w.err)})
					continue
				}
				failed = append(failed, b.outward(s))
			}
		}
		waiting = again
	}
	for _, w := range waiting {
		if c.orNone {
			done = append(done, w.state)
			continue
		}
		failed = append(failed, failureOf(w.state, w.err))
	}
	return done, failed, nil
}

func (m *machine) runNested(c command, i int, s state) (done []state, failed []failure, err error) {
	ok, bad, err := m.run(c.nested[0], []state{s.enter(i, false)})
	for _, b := range bad {
		if b.kind == failSoft {
			ok = append(ok, b.state) // the author wants it to halt and go on
			continue
		}
		failed = append(failed, b.outward(s))
	}
	for _, o := range ok {
		done = append(done, o.leave(s))
	}
	return done, failed, err
}

// enter begins a nested sequence for one component; leave goes back to the one around it.
func (s state) enter(i int, soft bool) state {
	inner := s.clone()
	inner.index, inner.soft, inner.frames = []int{i}, soft, s.frames+1
	return inner
}

func (s state) leave(to state) state {
	s.index, s.soft, s.frames = to.index, to.soft, to.frames
	return s
}

// outward is the failure as the sequence around sees it.
func (f failure) outward(s state) failure {
	if f.kind == failAbort {
		f.state = f.state.leave(s)
		return f
	}
	return failureOf(f.state.leave(s), f.err)
}
