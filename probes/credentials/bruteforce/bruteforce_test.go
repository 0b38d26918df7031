package bruteforce_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/credentials/bruteforce"
	"assay/probes/probetest"
)

func TestAsk(t *testing.T) {
	http := map[string]any{"interface": "http"}
	script := func(c probetest.Credentials) probetest.Script { return probetest.Script{Credentials: c} }
	undeclared := probes.Login{Username: "admin", Password: "Vq7mK2xRt9Ls"}
	probetest.Run(t, bruteforce.Kind(), []probetest.Case{
		{Name: "locks-after-five", With: http, Want: map[string]any{
			"interface": "http", "right_before": true, "tries": 6, "wrong_refused": 5, "wrong_accepted": 0, "limited": true, "limited_by": "answer",
			"limited_after": 5, "right_during": false, "right_later": true,
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.InDelta(t, 2.1, f.(bruteforce.Facts).WaitedSeconds, 0.2)
		}},
		{Name: "never-locks", With: http, Script: script(probetest.Credentials{NoLock: true}), Want: map[string]any{
			"right_before": true, "tries": 12, "wrong_refused": 12, "limited": false, "limited_by": "", "limited_after": 0,
			"right_during": true, "right_later": true, "waited_seconds": 0,
		}, Check: func(t *testing.T, f probes.Facts) {
			assert.Greater(t, f.(bruteforce.Facts).TriesPerMinute, 1000.0)
		}},
		{Name: "lock-of-undeclared-length", With: http, Script: script(probetest.Credentials{Login: undeclared, LockEnds: 9 * time.Second}),
			Want: map[string]any{"limited": true, "limited_by": "answer", "right_later": true}},
		{Name: "locked-in-secret", With: http, Script: script(probetest.Credentials{Locked: probes.Refused}), Want: map[string]any{
			"tries": 12, "wrong_refused": 12, "limited": true, "limited_by": "refusal", "right_during": false, "right_later": true,
		}},
		{Name: "locked-by-silence", With: http, Script: script(probetest.Credentials{Locked: probes.Unreachable}), Want: map[string]any{
			"limited": true, "limited_by": "silence", "limited_after": 5, "right_later": true,
		}},
		{Name: "ever-later", With: http, Script: script(probetest.Credentials{NoLock: true, Sleepy: 500 * time.Millisecond}), Want: map[string]any{
			"limited": true, "limited_by": "delay", "limited_after": 4, "right_during": true, "right_later": true,
		}},
		{Name: "says-no-by-silence-and-never-locks", With: map[string]any{"interface": "coap"},
			Script: script(probetest.Credentials{NoLock: true, Says: probes.Silent}),
			Want:   map[string]any{"tries": 12, "wrong_refused": 12, "limited": false}},
		{Name: "counts-what-may-be-a-pin", With: http, Script: script(probetest.Credentials{
			Form: "^[0-9]{6}$", Login: probes.Login{Username: "admin", Password: "830617", LockoutAfter: 5, LockoutLasts: 2 * time.Second},
		}), Want: map[string]any{"wrong_refused": 5, "limited": true, "limited_by": "answer", "limited_after": 5, "right_later": true}},
		{Name: "loses-an-answer-and-never-locks", With: http, Script: script(probetest.Credentials{NoLock: true, Flaky: 7}), Want: map[string]any{
			"tries": 12, "wrong_refused": 12, "limited": false, "limited_by": "", "right_during": true, "right_later": true,
		}},
		{Name: "loses-the-last-answer-and-never-locks", With: http, Script: script(probetest.Credentials{NoLock: true, Flaky: 14}), Want: map[string]any{
			"tries": 12, "wrong_refused": 12, "limited": false, "limited_by": "", "right_during": true, "right_later": true,
		}},
		{Name: "loses-the-first-answer-and-locks", With: http, Script: script(probetest.Credentials{Flaky: 2, Locked: probes.Unreachable}), Want: map[string]any{
			"limited": true, "limited_by": "silence", "right_later": true,
		}},
		{Name: "breaks", With: http, Script: script(probetest.Credentials{Locked: probes.Unreachable, LockEnds: time.Hour}), Want: map[string]any{
			"limited": false, "right_later": false,
		}},
		{Name: "locks-for-an-hour", With: http, Script: script(probetest.Credentials{LockEnds: time.Hour}), Want: map[string]any{
			"limited": true, "right_later": false,
		}},
		{Name: "any-password", With: http, Script: script(probetest.Credentials{Any: true}), Want: map[string]any{
			"wrong_accepted": 12, "wrong_refused": 0, "limited": false, "tries": 12,
		}},
		{Name: "fewer-tries", With: map[string]any{"interface": "http", "tries": 3}, Want: map[string]any{"tries": 3, "limited": false}},
		{Name: "unreachable", With: http, Script: probetest.Script{Answers: map[string]probes.Outcome{"login-http": probes.Unreachable}},
			Want: map[string]any{"right_before": false, "tries": 0, "limited": false}},
		{Name: "silent", With: http, Script: probetest.Script{Answers: map[string]probes.Outcome{"login-http": probes.Silent}},
			Want: map[string]any{"right_before": false, "tries": 0, "limited": false}},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	assert.NoError(t, err)
	for _, with := range []map[string]any{{}, {"interface": "http", "tries": 0}, {"interface": "http", "delay_seconds": 0}} {
		_, err := probetest.Decode(t, bruteforce.Kind(), with).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", with)
	}
}
