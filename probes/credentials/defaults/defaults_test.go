package defaults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/credentials/defaults"
	"assay/probes/probetest"
)

func TestAsk(t *testing.T) {
	http := map[string]any{"interface": "http"}
	psk := probes.Login{Username: "T100-004711", Password: "hex:8f1d3c5a7b9e2f40618293a4b5c6d7e8"}
	other := probes.Login{Username: "admin", Password: "Zk3nPw8sYh5D"}
	undeclared := probes.Login{Username: "admin", Password: "Vq7mK2xRt9Ls"}
	type login = probetest.Credentials
	good := map[string]any{
		"none_accepted": false, "wrong_accepted": false, "wrong_refused": true, "right_accepted": true, "right_accepted_after": true,
		"default_accepted": false, "universal_accepted": false, "derived_accepted": false, "default_pair": "", "derived_from": "",
		"outcome_none": "refused", "outcome_wrong": "refused", "outcome_right": "done", "unanswered": 0,
	}
	but := func(changes map[string]any) map[string]any {
		want := map[string]any{}
		for _, m := range []map[string]any{good, changes} {
			for k, v := range m {
				want[k] = v
			}
		}
		return want
	}
	script := func(c login) probetest.Script { return probetest.Script{Credentials: c} }

	probetest.Run(t, defaults.Kind(), []probetest.Case{
		{Name: "good", With: http, Script: script(login{Others: []probes.Login{other}}),
			Want: but(map[string]any{"others_tried": 1, "lockouts_met": 0})},
		{Name: "good-without-lock", With: http, Script: script(login{NoLock: true}), Want: good},
		{Name: "undeclared-lock", With: http,
			Script: script(login{Login: undeclared}), Want: but(map[string]any{"lockouts_met": 0})},
		{Name: "locks-earlier-than-declared", With: http, Script: script(login{LockAt: 2}), Want: good},
		{Name: "default-pair", With: http, Script: script(login{Also: []probes.Login{{Username: "root", Password: "toor"}}}),
			Want: but(map[string]any{"default_accepted": true, "default_pair": "root/toor"})},
		{Name: "label-is-a-default", With: http,
			Script: script(login{Login: probes.Login{Username: "admin", Password: "123456", LockoutAfter: 5, LockoutLasts: 2 * time.Second}}),
			Want:   but(map[string]any{"default_accepted": true, "default_pair": "admin/123456"})},
		{Name: "other-units-login-gets-in", With: http, Script: script(login{Others: []probes.Login{other}, Also: []probes.Login{other}}),
			Want: but(map[string]any{"universal_accepted": true})},
		{Name: "same-password-on-every-unit", With: http,
			Script: script(login{Others: []probes.Login{{Username: "T100-004712", Password: "Vq7mK2xRt9Ls"}}}),
			Want:   but(map[string]any{"universal_accepted": true})},
		{Name: "label-from-mac", With: http, Script: script(login{Login: probes.Login{Username: "admin", Password: "104a7f"}}),
			Want: but(map[string]any{"derived_accepted": true, "derived_from": "mac"})},
		{Name: "serial-backwards-gets-in", With: http, Script: script(login{Also: []probes.Login{{Username: "admin", Password: "117400-001T"}}}),
			Want: but(map[string]any{"derived_accepted": true, "derived_from": "serial"})},
		{Name: "label-is-digest-of-mac", With: http,
			Script: script(login{Login: probes.Login{Username: "admin", Password: "77c45343de"}}),
			Want:   but(map[string]any{"derived_accepted": true, "derived_from": "mac"})},
		{Name: "open", With: http, Script: script(login{Open: true}),
			Want: but(map[string]any{"none_accepted": true, "outcome_none": "done", "defaults_tried": 0})},
		{Name: "open-and-loses-an-answer", With: map[string]any{"interface": "coap"}, Script: script(login{Login: psk, Open: true, Flaky: 2}),
			Want: map[string]any{"none_accepted": true, "outcome_none": "done", "right_accepted": true, "right_accepted_after": true}},
		{Name: "any-password", With: http, Script: script(login{Any: true}),
			Want: but(map[string]any{"wrong_accepted": true, "wrong_refused": false, "outcome_wrong": "done", "defaults_tried": 0})},
		{Name: "says-no-by-silence", With: map[string]any{"interface": "coap"}, Script: script(login{Login: psk, Says: probes.Silent, NoLock: true}),
			Want: but(map[string]any{"outcome_none": "silent", "outcome_wrong": "silent"})},
		{Name: "default-key", With: map[string]any{"interface": "coap"},
			Script: script(login{Login: psk, Also: []probes.Login{{Username: "admin", Password: "admin"}}}),
			Want:   but(map[string]any{"default_accepted": true, "default_pair": "admin/admin"})},
		{Name: "key-padded-from-mac", With: map[string]any{"interface": "coap"},
			Script: script(login{Login: probes.Login{Username: "T100-004711", Password: "hex:02005e104a7f00000000000000000000"}}),
			Want:   but(map[string]any{"derived_accepted": true, "derived_from": "mac"})},
		{Name: "silent", With: http, Script: probetest.Script{Answers: map[string]probes.Outcome{"login-http": probes.Silent}},
			Want: map[string]any{"right_accepted": false, "wrong_refused": false, "outcome_wrong": "silent", "defaults_tried": 0}},
		{Name: "unreachable", With: http, Script: probetest.Script{Answers: map[string]probes.Outcome{"login-http": probes.Unreachable}},
			Want: map[string]any{"right_accepted": false, "wrong_refused": false, "outcome_right": "unreachable"}},
		{Name: "locked-in-secret-after-two", With: http, Script: script(login{Login: undeclared, LockAt: 2, Locked: probes.Refused}), Want: good},
		{Name: "locked-in-secret-after-three", With: http, Script: script(login{Login: undeclared, LockAt: 3, Locked: probes.Refused}), Want: good},
		{Name: "default-pair-behind-a-secret-lock", With: http,
			Script: script(login{Login: undeclared, LockAt: 3, Locked: probes.Refused, Also: []probes.Login{{Username: "root", Password: "toor"}}}),
			Want:   but(map[string]any{"default_accepted": true, "default_pair": "root/toor"})},
		{Name: "locks-in-secret-at-every-try", With: http, Script: script(login{Login: undeclared, LockAt: 1, Locked: probes.Refused}),
			Check: func(t *testing.T, f probes.Facts) {
				assert.Positive(t, f.(defaults.Facts).Unanswered, "those noes mean nothing")
			}},
		{Name: "locks-in-secret-for-good", With: http, Script: script(login{Login: undeclared, LockAt: 3, Locked: probes.Refused, LockEnds: time.Hour}),
			Want: map[string]any{"right_accepted": true, "right_accepted_after": false}, Check: func(t *testing.T, f probes.Facts) {
				assert.Greater(t, f.(defaults.Facts).Unanswered, 50, "a locked door turns everybody away")
			}},
		{Name: "no-is-odd", With: http, Script: script(login{Says: probes.Unexpected, Also: []probes.Login{{Username: "user", Password: "user"}}, AlsoSees: probes.Unexpected}),
			Want: map[string]any{"wrong_refused": true, "right_accepted_after": true, "default_accepted": false}, Check: func(t *testing.T, f probes.Facts) {
				assert.Positive(t, f.(defaults.Facts).Unanswered, "an account may have got in to a prompt that the recipe does not know")
			}},
		{Name: "locks-each-account-by-itself", With: http,
			Script: script(login{ByName: true, LockAt: 3, Locked: probes.Refused, Also: []probes.Login{{Username: "root", Password: "toor"}},
				Login: probes.Login{Username: "admin", Password: "Vq7mK2xRt9Ls", LockoutAfter: 3, LockoutLasts: 2 * time.Second}}),
			Want: but(map[string]any{"default_accepted": true, "default_pair": "root/toor"})},
		{Name: "locks-each-account-for-long", With: http,
			Script: script(login{ByName: true, LockAt: 3, LockEnds: time.Hour, Locked: probes.Refused, Also: []probes.Login{{Username: "root", Password: "toor"}},
				Login: probes.Login{Username: "admin", Password: "Vq7mK2xRt9Ls", LockoutAfter: 3, LockoutLasts: time.Hour}}),
			Want: map[string]any{"right_accepted_after": true, "default_accepted": false}, Check: func(t *testing.T, f probes.Facts) {
				assert.Positive(t, f.(defaults.Facts).Unanswered, "nobody knows what root would have said unlocked")
			}},
		{Name: "now-and-then-silent", With: http, Script: script(login{Flaky: 7}), Want: good},
		{Name: "locks-for-an-hour", With: http, Script: script(login{LockAt: 2, LockEnds: time.Hour}),
			Want: map[string]any{"right_accepted": false, "right_accepted_after": false}},
	})
}
