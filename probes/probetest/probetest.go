// Package probetest is for tests of probes: a scripted thermostat on a scripted bench, tables of
// such devices, and the manners that every probe must have. It never sleeps, never opens a
// socket, and no command uses it.
package probetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/probes/credentials"
)

// longest is the bench time that no question may take: a wait without a deadline shows by it.
const longest = 20 * time.Minute

// A Case is one device and what the probe must write down about it.
type Case struct {
	Name   string
	With   map[string]any // parameters that differ from the defaults
	Script Script
	Want   map[string]any                     // facts by JSON name; those not named may be anything
	Check  func(t *testing.T, f probes.Facts) // for what a value cannot say; may be nil
}

// Run puts a probe's question to each device, and checks the probe's manners with each.
func Run(t *testing.T, kind probes.Kind, cases []Case) {
	t.Run("kind", func(t *testing.T) { checkKind(t, kind) })
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			bench, facts, err := ask(t, kind, c, func(*Thermostat) {})
			require.NoError(t, err)
			require.IsType(t, kind.Facts(), facts, "Facts must be of the type that Kind.Facts tells")
			written := checkFacts(t, facts)
			for name, want := range c.Want {
				assert.Contains(t, written, name, "no such fact")
				assert.EqualValues(t, want, written[name], name)
			}
			if c.Check != nil {
				c.Check(t, facts)
			}
			text, err := json.Marshal(facts)
			require.NoError(t, err)
			checkSecrets(t, bench, string(text))
			checkManners(t, kind, c, bench.calls)
			deadline := time.Now().Add(5 * time.Second)
			for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
				runtime.Gosched()
			}
			assert.LessOrEqual(t, runtime.NumGoroutine(), before, "the probe left a goroutine")
		})
	}
}

// ask puts the question to a new device.
func ask(t *testing.T, kind probes.Kind, c Case, prepare func(*Thermostat)) (*Thermostat, probes.Facts, error) {
	t.Helper()
	bench, err := New(c.Script)
	require.NoError(t, err)
	prepare(bench)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	bench.cancel = cancel
	begun := bench.clock.Now()
	facts, err := Decode(t, kind, c.With).Ask(ctx, bench.Bench())
	assert.Less(t, bench.clock.Now().Sub(begun), longest, "the probe waits too long")
	return bench, facts, err
}

// Decode makes a probe with parameters, as strictly as the run loop does.
func Decode(t *testing.T, kind probes.Kind, with map[string]any) probes.Probe {
	t.Helper()
	text, err := json.Marshal(with)
	require.NoError(t, err)
	p := kind.New()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(p), "parameters")
	return p
}

// checkKind holds what planner, command line and documentation rely on.
func checkKind(t *testing.T, k probes.Kind) {
	assert.Regexp(t, regexp.MustCompile(`^[a-z]+(/[a-z]+)+$`), k.Name)
	assert.NotEmpty(t, k.Version)
	assert.True(t, strings.HasSuffix(k.Asks, "?") && strings.Count(k.Asks, "?") == 1, "Asks must be one question: %s", k.Asks)
	assert.Contains(t, probes.Touches, k.Touch)
	assert.Positive(t, k.Typical)

	parameters := fields(t, reflect.TypeOf(k.New()).Elem())
	fields(t, reflect.TypeOf(k.Facts()))
	for _, need := range k.Needs {
		assert.NotEqual(t, need.Instrument == "", need.Operation == "", "a need is an instrument or an operation")
		for _, m := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(string(need.Instrument)+need.Operation, -1) {
			assert.Contains(t, parameters, m[1], "the need %s%s stands for a parameter", need.Instrument, need.Operation)
		}
	}
	text, err := json.Marshal(k.New())
	require.NoError(t, err)
	again := k.New()
	require.NoError(t, json.Unmarshal(text, again))
	assert.Equal(t, k.New(), again, "defaults must survive JSON")
}

// fields returns the JSON names of a flat struct.
func fields(t *testing.T, s reflect.Type) []string {
	var names []string
	require.Equal(t, reflect.Struct, s.Kind())
	for f := range s.Fields() {
		name := f.Tag.Get("json")
		assert.Regexp(t, regexp.MustCompile(`^[a-z][a-z0-9_]*$`), name, "%s.%s needs a JSON name", s, f.Name)
		flat := []reflect.Kind{reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64, reflect.String}
		assert.True(t, slices.Contains(flat, f.Type.Kind()) || f.Type == reflect.TypeFor[[]string](), "%s.%s must be flat", s, f.Name)
		assert.NotContains(t, names, name)
		names = append(names, name)
	}
	return names
}

// checkFacts writes facts down and reads them back.
func checkFacts(t *testing.T, facts probes.Facts) map[string]any {
	t.Helper()
	text, err := json.Marshal(facts)
	require.NoError(t, err)
	again := reflect.New(reflect.TypeOf(facts))
	require.NoError(t, json.Unmarshal(text, again.Interface()))
	assert.Equal(t, facts, again.Elem().Interface(), "facts must survive JSON")
	var written map[string]any
	require.NoError(t, json.Unmarshal(text, &written))
	return written
}

// checkSecrets looks for what must never be written down. What stands in the public list
// of defaults is no secret.
func checkSecrets(t *testing.T, bench *Thermostat, text string) {
	t.Helper()
	for _, secret := range bench.secrets {
		public := slices.ContainsFunc(credentials.Common("http", ""), func(c credentials.Candidate) bool { return c.Password == secret })
		if len(secret) >= 4 && !public {
			assert.False(t, strings.Contains(text, secret), "a secret was written down")
		}
	}
}

// checkManners cancels, and lets the bench break, at several points of the question.
func checkManners(t *testing.T, kind probes.Kind, c Case, calls int) {
	t.Helper()
	for _, at := range slices.Compact([]int{1, 2, 1 + calls/4, 1 + calls/2, 1 + calls*3/4, calls}) {
		if at > calls {
			continue
		}
		bench, facts, err := ask(t, kind, c, func(b *Thermostat) { b.at = at })
		assert.ErrorIs(t, err, context.Canceled, "cancelled at call %d", at)
		assert.Nil(t, facts, "cancelled at call %d", at)
		assert.LessOrEqual(t, bench.calls, at+2, "cancelled at call %d, and went on", at)

		bench, facts, err = ask(t, kind, c, func(b *Thermostat) { b.at, b.broken = at, true })
		assert.True(t, errors.Is(err, probes.ErrBench), "the bench broke at call %d: %v", at, err)
		assert.Nil(t, facts, "the bench broke at call %d", at)
		if err != nil {
			checkSecrets(t, bench, err.Error())
		}
	}
}
