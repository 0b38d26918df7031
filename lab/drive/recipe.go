package drive

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"assay/probes"
	"assay/profiles/dossier"
	"assay/profiles/expr"
)

// longest is how many seconds anything may take; more is a slip of the pen.
const longest = 3600

// A recipe is an operation with its conditions compiled.
type recipe struct {
	steps, anonymous []step
}

// A step is one exchange of a recipe, ready to be carried out.
type step struct {
	dossier.Step
	kind                             string // http, mqtt, coap, ssh, telnet, serial, command, person or button
	takes                            time.Duration
	success, refused, limited, until *expr.Program
	captures                         []capture
	lines                            []line
	tls                              identity
	signer                           ssh.Signer // nil: SSH without a key
}

// A capture is a value that a recipe takes out of a reply.
type capture struct {
	name    string
	program *expr.Program
}

func compile(d *dossier.Dossier, operation string) (recipe, error) {
	o := d.Operations[operation]
	var r recipe
	if len(o.Steps) == 0 && len(o.Anonymous) == 0 {
		return r, fmt.Errorf("operation %s has no steps: %w", operation, probes.ErrBench)
	}
	for _, list := range []struct {
		name string
		from []dossier.Step
		to   *[]step
	}{{"step", o.Steps, &r.steps}, {"anonymous step", o.Anonymous, &r.anonymous}} {
		for i, s := range list.from {
			c, err := compileStep(d, s)
			if err == nil && s.Retry != nil && strings.HasPrefix(operation, probes.LoginPrefix) {
				err = errors.New("retry: how often a login is tried is for the probes to count")
			}
			if err != nil {
				return r, fmt.Errorf("operation %s: %s %d: %w: %w", operation, list.name, i+1, err, probes.ErrBench)
			}
			*list.to = append(*list.to, c)
		}
	}
	return r, nil
}

func compileStep(d *dossier.Dossier, s dossier.Step) (step, error) {
	c := step{Step: s}
	var err error
	if c.kind, err = kindOf(s); err != nil {
		return c, err
	}
	if !(s.Seconds >= 0 && s.Seconds <= longest) {
		return c, fmt.Errorf("seconds: %v is not between 0 and %d", s.Seconds, longest)
	}
	c.takes = seconds(s.Takes())
	if err := c.compileConditions(); err != nil {
		return c, err
	}
	if c.lines, err = compileLines(s); err != nil {
		return c, err
	}
	if c.tls, err = identityOf(d, s); err != nil {
		return c, err
	}
	if s.SSH != nil && s.SSH.Key != nil {
		if c.signer, err = ssh.ParsePrivateKey([]byte(s.SSH.Key.Reveal())); err != nil {
			return c, errors.New("ssh: key: is no private key without a passphrase") // its own error may quote it
		}
	}
	return c, checkStep(s)
}

// compileConditions compiles what a recipe says about the reply.
func (c *step) compileConditions() error {
	s := c.Step
	var until string
	if s.Retry != nil {
		until = s.Retry.Until
		if r := s.Retry; r.Times < 1 || r.Times > longest || !(r.WaitSeconds >= 0 && r.WaitSeconds <= longest) {
			return errors.New("retry: wants times from 1, and wait_seconds that make sense")
		}
	}
	var err error
	for _, p := range []struct {
		key, source string
		program     **expr.Program
	}{{"success", s.Success, &c.success}, {"refused", s.Refused, &c.refused}, {"limited", s.Limited, &c.limited}, {"retry: until", until, &c.until}} {
		if p.source == "" {
			continue
		}
		if *p.program, err = expr.CompileReply(p.source); err != nil {
			return fmt.Errorf("%s: %w", p.key, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Capture)) {
		if !isName(name) {
			return fmt.Errorf("capture %q: a name has letters, digits, dots, dashes and underlines only", name)
		}
		p, err := expr.CompileReply(s.Capture[name])
		if err != nil {
			return fmt.Errorf("capture %s: %w", name, err)
		}
		c.captures = append(c.captures, capture{name, p})
	}
	return nil
}

func kindOf(s dossier.Step) (string, error) {
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"http", s.HTTP != nil}, {"mqtt", s.MQTT != nil}, {"coap", s.CoAP != nil},
		{"ssh", s.SSH != nil}, {"telnet", s.Telnet != nil}, {"serial", s.Serial != nil},
		{"command", s.Command != nil}, {"person", s.Person != nil}, {"button", s.Button != nil},
	} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	if len(kinds) != 1 {
		return "", fmt.Errorf("exactly one of http, mqtt, coap, ssh, telnet, serial, command, person and button is wanted, found %d", len(kinds))
	}
	return kinds[0], nil
}

// checkStep finds what would otherwise come out in the middle of a run.
func checkStep(s dossier.Step) error {
	switch {
	case s.HTTP != nil:
		bodies := 0
		for _, set := range []bool{s.HTTP.JSON != nil, s.HTTP.Form != nil && s.HTTP.Upload == nil, s.HTTP.Body != "", s.HTTP.Upload != nil} {
			if set {
				bodies++
			}
		}
		if bodies > 1 {
			return errors.New("http: only one of json, form and body can be sent, and only a form beside an upload")
		}
	case s.MQTT != nil:
		if l := s.MQTT.Listen; !(l >= 0 && l <= longest) {
			return fmt.Errorf("mqtt: listen: %v is not between 0 and %d seconds", l, longest)
		}
	case s.Command != nil:
		if len(s.Command.Run) == 0 || s.Command.Run[0] == "" {
			return errors.New("command: run names no program")
		}
		// Which program runs on the bench is the dossier's word alone, never a device's.
		if names, _ := variables(s.Command.Run[0]); len(names) > 0 {
			return errors.New("command: the program's name holds a variable")
		}
	case s.Person != nil && s.Person.Say == "":
		return errors.New("person: nothing to say")
	case s.Button != nil:
		if h := s.Button.Hold; s.Button.Name == "" || !(h >= 0 && h <= longest) {
			return errors.New("button: wants a name, and hold seconds that make sense")
		}
	}
	return checkTemplates(s)
}

func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s * float64(time.Second)))
}
