package probetest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"assay/probes"
)

// device is the thermostat as its operations show it.
type device struct{ t *Thermostat }

func (d device) Operations() []string {
	all := []string{
		probes.AddAccount, "factory-reset-button", "factory-reset-command", probes.Health,
		"login-coap", "login-http", "login-mqtt", "read-name", probes.ReadVersion, "read-wifi",
		"store-name", "store-wifi", "update-coap", "update-https",
	}
	all = append(all, d.t.script.Extra...)
	slices.Sort(all)
	return slices.DeleteFunc(all, func(op string) bool { return slices.Contains(d.t.script.Lacks, op) })
}

func (d device) Unit() probes.Unit {
	own, others := map[string]probes.Login{}, map[string][]probes.Login{}
	for _, iface := range []string{"http", "mqtt", "coap"} {
		own[iface], others[iface] = d.t.script.Login, d.t.script.Others
	}
	return probes.Unit{ID: "unit-1", Serial: "T100-004711", MAC: d.t.script.MAC, Model: "T-100", Logins: own, Others: others}
}

func (d device) Do(ctx context.Context, operation string, args probes.Args) (probes.Result, error) {
	if err := d.t.use(ctx); err != nil {
		return probes.Result{}, fmt.Errorf("%s: %w", operation, err)
	}
	if ctx.Err() != nil {
		// Cut short in the middle: the worst a driver may make of it.
		return probes.Result{Outcome: probes.Silent}, nil
	}
	t := d.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(d.Operations(), operation) {
		return probes.Result{}, fmt.Errorf("%s: %w", operation, probes.ErrNoOperation)
	}
	if out, ok := t.script.Answers[operation]; ok {
		return probes.Result{Outcome: out}, nil
	}
	if t.bricked || t.clock.Now().Before(t.up) {
		return probes.Result{Outcome: probes.Unreachable}, nil
	}
	res, err := t.operate(operation, args)
	if err != nil {
		return res, fmt.Errorf("%s: %w", operation, err)
	}
	return res, nil
}

func (t *Thermostat) operate(operation string, args probes.Args) (probes.Result, error) {
	kind, rest, _ := strings.Cut(operation, "-")
	t.asked(operation)
	if operation == probes.Health {
		t.looks++
	}
	switch {
	case operation == probes.Reboot:
		t.after(200*time.Millisecond, func() {
			t.restart(800 * time.Millisecond)
			t.updates.started()
		})
	case operation == probes.Health && t.looks == t.script.Loses:
		return probes.Result{Outcome: probes.Silent}, nil
	case slices.Contains(t.script.Extra, operation):
	case operation == probes.Health && t.updates.sick:
		return probes.Result{Outcome: probes.Unexpected}, nil
	case operation == probes.ReadVersion:
		values := map[string]string{probes.ValueVersion: fmt.Sprintf(t.script.Writes, t.updates.version)}
		if t.script.Mute {
			values = nil
		}
		return probes.Result{Outcome: probes.Done, Values: values}, nil
	case operation == probes.AddAccount:
		t.secrets = append(t.secrets, args[probes.ArgUsername], args[probes.ArgPassword])
		t.wiping.accounts[args[probes.ArgUsername]] = args[probes.ArgPassword]
	case kind == "login":
		return probes.Result{Outcome: t.login(args)}, nil
	case kind == "update":
		return t.updates.told(t, args[probes.ArgURL])
	case kind == "store":
		t.secrets = append(t.secrets, args[probes.ArgValue])
		t.wiping.store(t, rest, args[probes.ArgValue])
	case kind == "read":
		value, ok := t.wiping.stored[rest]
		if !ok {
			return probes.Result{Outcome: probes.Unexpected}, nil
		}
		return probes.Result{Outcome: probes.Done, Text: fmt.Sprintf(`{%q:%q}`, rest, value)}, nil
	case kind == "factory":
		t.wiping.begin(t, rest)
	case operation != probes.Health:
		return probes.Result{}, errors.New("the script does not know this operation")
	}
	return probes.Result{Outcome: probes.Done}, nil
}

// logins is what the login remembers.
type logins struct {
	tries int
	names map[string]*account
}

// account is what it remembers of a name, or of all of them together.
type account struct {
	wrong  int
	locked time.Time
}

func (l *logins) account(name string) *account {
	if l.names == nil {
		l.names = map[string]*account{}
	}
	if l.names[name] == nil {
		l.names[name] = &account{}
	}
	return l.names[name]
}

func (t *Thermostat) login(args probes.Args) probes.Outcome {
	s := t.script
	now := t.clock.Now()
	t.logins.tries++
	tried := probes.Login{Username: args[probes.ArgUsername], Password: args[probes.ArgPassword]}
	if s.Flaky > 0 && t.logins.tries%s.Flaky == 0 {
		return probes.Silent
	}
	l := t.logins.account("")
	if s.ByName {
		l = t.logins.account(tried.Username)
	}
	if now.Before(l.locked) {
		return s.Locked
	}
	if t.lets(tried, len(args) == 0) {
		l.wrong = 0
		if s.AlsoSees != "" && tried.Username != s.Login.Username {
			return s.AlsoSees
		}
		return probes.Done
	}
	if s.Form != "" && !regexp.MustCompile(s.Form).MatchString(tried.Password) {
		return s.Says
	}
	l.wrong++
	t.clock.pass(time.Duration(l.wrong) * s.Sleepy)
	if !s.NoLock && l.wrong >= s.LockAt {
		l.wrong, l.locked = 0, now.Add(s.LockEnds)
	}
	return s.Says
}

func (t *Thermostat) lets(l probes.Login, nobody bool) bool {
	s := t.script
	if nobody {
		return s.Open
	}
	same := func(o probes.Login) bool { return o.Username == l.Username && o.Password == l.Password }
	if same(s.Login) {
		return !t.wiping.wiped || !s.ForgetsLabel
	}
	password, known := t.wiping.accounts[l.Username]
	return s.Any || slices.ContainsFunc(s.Also, same) || (known && password == l.Password)
}
