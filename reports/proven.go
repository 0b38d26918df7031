package reports

import (
	"fmt"
	"strings"
	"time"

	"assay/lab"
	"assay/probes"
)

// What came of a test of the bench with a known-good device. They are no verdicts: a sound bench says nothing about the
// device under test.
const (
	Sound   = "sound"
	Unsound = "not sound"
	NotDone = "not done"
)

// A Proving is a test of the bench with a known-good device, as faces print it.
type Proving struct {
	lab.Proof
	Word   string // sound, not sound, not done
	Says   string // what the known-good device met
	Takes  string // what the test takes back, and since when; empty: nothing
	Frames string // where it can be seen
}

// Provings are the bench's tests of itself, in the record's order.
func (r *Report) Provings() []Proving {
	var out []Proving
	since := "since the run began, " + moment(r.Started)
	for _, p := range r.SelfTests {
		one := Proving{Proof: p}
		switch {
		case p.NotDone != "":
			one.Word, one.Says = NotDone, strings.TrimRight(p.NotDone, ".")+"."
			if p.Mend != "" {
				one.Says += " To mend it: " + p.Mend
			}
		case p.Sound:
			one.Word, one.Says = Sound, met(p.Answers)
			since = "since the last sound test, " + moment(p.Time)
		default:
			one.Word, one.Says = Unsound, p.Wrong()
			one.Takes = takes(p.Voids, since)
		}
		if p.Frames != nil {
			one.Frames = r.Cited(probes.Observation{Frames: p.Frames, Start: p.Time.Add(-time.Duration(p.Milliseconds) * time.Millisecond), End: p.Time})
		}
		out = append(out, one)
	}
	return out
}

// met tells of a sound test how much was asked.
func met(answers []lab.SelfAnswer) string {
	asked := 0
	for _, a := range answers {
		if a.NotDone == "" {
			asked++
		}
	}
	s := fmt.Sprintf("each of %d answers is the known one", asked)
	if left := len(answers) - asked; left > 0 {
		s += fmt.Sprintf("; %d could not be asked for on this bench", left)
	}
	return s
}

// takes tells what counts for nothing. A run that went on may have asked some of it again.
func takes(voids []string, since string) string {
	switch n := len(voids); n {
	case 0:
		return "Nothing was observed " + since + "."
	case 1:
		return fmt.Sprintf("What was observed %s, counts for nothing: %s. It is inconclusive unless it was asked again.", since, voids[0])
	default:
		return fmt.Sprintf("What was observed %s, counts for nothing: %d observations, %s to %s. They are inconclusive unless they were asked again.", since, n, voids[0], voids[n-1])
	}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Unproven tells in sentences where a known-good device found the bench bad, and what rests on nothing since.
func (r *Report) Unproven() []string {
	var out []string
	for _, p := range r.Provings() {
		if p.Word == Unsound {
			out = append(out, fmt.Sprintf("The bench failed its test with a known-good device %s, %s: %s. %s", p.At(), moment(p.Time), p.Says, p.Takes))
		}
	}
	return out
}

// Proven counts the bench's tests with a known-good device in one line.
func (r *Report) Proven() string {
	all := r.Provings()
	n := map[string]int{}
	for _, p := range all {
		n[p.Word]++
	}
	switch {
	case len(all) == 0:
		return "no test with a known-good device is on record"
	case n[NotDone] == len(all):
		return "not tested with a known-good device: " + all[0].Says
	}
	parts := []string{fmt.Sprintf("%d of %d tests with a known-good device sound", n[Sound], len(all))}
	for _, word := range []string{Unsound, NotDone} {
		if n[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[word], word))
		}
	}
	return fmt.Sprintf("%s; first %s, last %s", strings.Join(parts, ", "), all[0].At(), all[len(all)-1].At())
}

// ProvenWhen lists the bench's tests with a known-good device, a field each. Sound ones between others share one.
func (r *Report) ProvenWhen() []Field {
	all := r.Provings()
	var out []Field
	for i := 0; i < len(all); i++ {
		last := i
		for i > 0 && all[i].Word == Sound && last+1 < len(all)-1 && all[last+1].Word == Sound {
			last++
		}
		if last > i {
			out = append(out, Field{fmt.Sprintf("%d in between", last-i+1), fmt.Sprintf("%s each, %s to %s", Sound, moment(all[i].Time), moment(all[last].Time))})
			i = last
			continue
		}
		p := all[i]
		parts := []string{fmt.Sprintf("%s, %s: %s", p.Word, moment(p.Time), p.Says)}
		for _, more := range []string{p.Takes, prefixed("Seen in ", p.Frames)} {
			if more != "" {
				parts = append(parts, more)
			}
		}
		out = append(out, Field{p.At(), joinSentences(parts)})
	}
	return out
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func joinSentences(parts []string) string {
	for i, p := range parts {
		if !strings.HasSuffix(p, ".") {
			parts[i] += "."
		}
	}
	return strings.Join(parts, " ")
}
