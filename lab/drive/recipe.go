package drive

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"assay/probes"
	"assay/profiles/dossier"
	"assay/profiles/expr"
)

// How long a step may take when its recipe does not say. A person walks to the device first.
const (
	stepTakes   = 5 * time.Second
	personTakes = 120 * time.Second
	longest     = 3600 // seconds; more is a slip of the pen
)

// A recipe is an operation with its conditions compiled.
type recipe struct {
	steps, anonymous []step
}

// A step is one exchange of a recipe, ready to be carried out.
type step struct {
	dossier.Step
	kind                      string // http, mqtt, coap, command, person or button
	takes                     time.Duration
	success, refused, limited *expr.Program
	captures                  []capture
}

// A capture is a value that a recipe takes out of a reply.
type capture struct {
	name    string
	program *expr.Program
}

func compile(operation string, o dossier.Operation) (recipe, error) {
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
			c, err := compileStep(s)
			if err != nil {
				return r, fmt.Errorf("operation %s: %s %d: %w: %w", operation, list.name, i+1, err, probes.ErrBench)
			}
			*list.to = append(*list.to, c)
		}
	}
	return r, nil
}

func compileStep(s dossier.Step) (step, error) {
	c := step{Step: s, takes: stepTakes}
	var err error
	if c.kind, err = kindOf(s); err != nil {
		return c, err
	}
	if c.kind == "person" || c.kind == "button" {
		c.takes = personTakes
	}
	if !(s.Seconds >= 0 && s.Seconds <= longest) {
		return c, fmt.Errorf("seconds: %v is not between 0 and %d", s.Seconds, longest)
	}
	if s.Seconds > 0 {
		c.takes = seconds(s.Seconds)
	}
	for _, p := range []struct {
		key, source string
		program     **expr.Program
	}{{"success", s.Success, &c.success}, {"refused", s.Refused, &c.refused}, {"limited", s.Limited, &c.limited}} {
		if p.source == "" {
			continue
		}
		if *p.program, err = expr.CompileReply(p.source); err != nil {
			return c, fmt.Errorf("%s: %w", p.key, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Capture)) {
		if !isName(name) {
			return c, fmt.Errorf("capture %q: a name has letters, digits, dots, dashes and underlines only", name)
		}
		p, err := expr.CompileReply(s.Capture[name])
		if err != nil {
			return c, fmt.Errorf("capture %s: %w", name, err)
		}
		c.captures = append(c.captures, capture{name, p})
	}
	return c, checkStep(s)
}

func kindOf(s dossier.Step) (string, error) {
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"http", s.HTTP != nil}, {"mqtt", s.MQTT != nil}, {"coap", s.CoAP != nil},
		{"command", s.Command != nil}, {"person", s.Person != nil}, {"button", s.Button != nil},
	} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	if len(kinds) != 1 {
		return "", fmt.Errorf("exactly one of http, mqtt, coap, command, person and button is wanted, found %d", len(kinds))
	}
	return kinds[0], nil
}

// checkStep finds what would otherwise come out in the middle of a run.
func checkStep(s dossier.Step) error {
	switch {
	case s.HTTP != nil:
		bodies := 0
		for _, set := range []bool{s.HTTP.JSON != nil, s.HTTP.Form != nil, s.HTTP.Body != ""} {
			if set {
				bodies++
			}
		}
		if bodies > 1 {
			return errors.New("http: only one of json, form and body can be sent")
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
