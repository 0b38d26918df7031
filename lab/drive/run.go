package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"assay/probes"
)

// The variables that the bench itself fills in. A captured value may not take their names.
const (
	varHost   = "host"
	varSerial = "serial"
	varMAC    = "mac"
	varUnit   = "unit"
	varBench  = "bench"
	varLogin  = "login." // login.http.username, login.http.password ...
)

// Bounds on what a device may make us keep.
const (
	maxText     = 256 << 10 // of one operation, and of one answer
	maxCaptured = 4 << 10   // of one captured value
	maxDetail   = 200       // characters
)

// errNoAddress ends a step whose recipe wants the unit's address while nobody knows it.
var errNoAddress = errors.New("the unit's address is not known")

// A deviceFault ends a step that cannot be carried out because of what the device answered before.
type deviceFault struct{ error }

// A run is one operation while it is carried out.
type run struct {
	*Driver
	login    bool // the operation is a login
	bare     bool // the caller gave neither username nor password
	last     bool // the step under way is the last one: what comes of it comes of the operation
	args     probes.Args
	captured map[string]string
	mask     *mask
	text     []byte
	cookies  http.CookieJar // lives as long as the operation
}

func newRun(d *Driver, operation string, args probes.Args) *run {
	_, username := args[probes.ArgUsername]
	_, password := args[probes.ArgPassword]
	r := &run{
		Driver: d, args: args, captured: make(map[string]string),
		login: strings.HasPrefix(operation, probes.LoginPrefix), bare: !username && !password,
		mask: newMask(d.secrets...),
	}
	for name, value := range args {
		// Whatever is not known to be public may be a password, a key or a canary.
		if name != probes.ArgUsername && name != probes.ArgURL && name != probes.ArgSignature {
			r.mask.add(value)
		}
	}
	if password {
		r.mask.add(args[probes.ArgUsername] + ":" + args[probes.ArgPassword])
	}
	return r
}

// An answer is what one exchange brought. Without a reply only outcome and detail count.
type answer struct {
	reply   map[string]any // what conditions and captures see; nil: there was none
	outcome probes.Outcome // by the protocol's own terms
	unmet   probes.Outcome // where a recipe's own success does not hold; "": unexpected
	detail  string         // what happened, in our words; secrets are masked later
	words   string         // the device's own, quoted where it did not do as asked
	text    []byte
	partial bool // the exchange did not come to its end: a recipe's success has nothing to say about it
}

// all carries out steps until one is not done.
func (r *run) all(ctx context.Context, steps []step) (probes.Result, error) {
	result := probes.Result{Outcome: probes.Done, Values: make(map[string]string)}
	for i, s := range steps {
		r.last = i == len(steps)-1
		outcome, detail, err := r.tries(ctx, s)
		if err != nil {
			return result, fmt.Errorf("step %d: %s: %w", i+1, s.kind, err)
		}
		if len(steps) > 1 {
			detail = fmt.Sprintf("step %d: %s", i+1, detail)
		}
		result.Outcome, result.Detail = outcome, r.mask.detail(detail)
		if outcome != probes.Done {
			break
		}
	}
	for name, value := range r.captured {
		result.Values[name] = value
	}
	result.Text = string(r.text)
	return result, nil
}

// tries carries out one step as often as its recipe allows.
func (r *run) tries(ctx context.Context, s step) (probes.Outcome, string, error) {
	for try := 1; ; try++ {
		outcome, detail, met, err := r.one(ctx, s)
		if s.Retry == nil || err != nil {
			return outcome, detail, err
		}
		if try > 1 {
			detail = fmt.Sprintf("try %d: %s", try, detail)
		}
		if met || try > s.Retry.Times {
			if !met && outcome == probes.Done {
				outcome, detail = probes.Unexpected, detail+" (the recipe's until does not hold)"
			}
			return outcome, detail, nil
		}
		if err := r.options.Clock.Wait(ctx, s.pause()); err != nil {
			return "", "", fmt.Errorf("stopped: %w: %w", err, probes.ErrBench)
		}
	}
}

// pause is the time between two tries.
func (s step) pause() time.Duration {
	if s.Retry.WaitSeconds > 0 {
		return seconds(s.Retry.WaitSeconds)
	}
	return time.Second
}

// settled tells whether there is nothing to try again. A no and a lock are answers: asking on would
// only wear out a counter that somebody else watches.
func (s step) settled(outcome probes.Outcome, reply map[string]any) bool {
	if s.until != nil {
		return reply != nil && holds(s.until, reply)
	}
	return outcome == probes.Done || outcome == probes.Refused || outcome == probes.Limited
}

// one carries out one step within its time, once. met: it need not be tried again.
func (r *run) one(ctx context.Context, s step) (outcome probes.Outcome, detail string, met bool, err error) {
	within, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	x := &scope{run: r}
	a, err := r.exchange(within, s, x)
	var fault deviceFault
	switch {
	case late(ctx) && (err != nil || a.reply == nil || a.partial):
		// The caller's time is over, which says nothing about the device.
		return "", "", false, fmt.Errorf("stopped: %w: %w", cmp.Or(context.Cause(ctx), context.DeadlineExceeded), probes.ErrBench)
	case errors.Is(err, errNoAddress):
		return probes.Unreachable, err.Error(), false, nil
	case errors.As(err, &fault):
		return probes.Unexpected, fault.Error(), false, nil
	case err != nil:
		return "", "", false, err
	}
	r.keep(a.text)
	outcome, why := s.decide(a)
	if outcome == probes.Done {
		if err := r.capture(s, a.reply); err != nil {
			return probes.Unexpected, a.detail + ": " + err.Error(), false, nil
		}
	}
	// What a device says when all is well may be user data or a fresh token, which no mask knows.
	if a.outcome != probes.Done && a.words != "" {
		why += ": " + a.words
	}
	return outcome, a.detail + why, s.settled(outcome, a.reply), nil
}

func (r *run) exchange(ctx context.Context, s step, x *scope) (answer, error) {
	switch s.kind {
	case "http":
		return r.http(ctx, s, x)
	case "mqtt":
		return r.mqtt(ctx, s, x)
	case "coap":
		return r.coap(ctx, s, x)
	case "ssh":
		return r.ssh(ctx, s, x)
	case "telnet":
		return r.telnet(ctx, s, x)
	case "serial":
		return r.serial(ctx, s, x)
	case "command":
		return r.command(ctx, s, x)
	case "person":
		return r.person(ctx, s, x)
	default:
		return r.button(ctx, s, x)
	}
}

// keep adds to what the device answered in this operation.
func (r *run) keep(text []byte) {
	if len(r.text) > 0 && len(text) > 0 {
		text = append([]byte{'\n'}, text...)
	}
	r.text = append(r.text, text[:min(len(text), maxText-len(r.text))]...)
}

// capture takes the recipe's values out of a reply.
func (r *run) capture(s step, reply map[string]any) error {
	for _, c := range s.captures {
		value, err := c.program.String(reply)
		if err != nil {
			return fmt.Errorf("capture %s: %w", c.name, err)
		}
		if len(value) > maxCaptured {
			return fmt.Errorf("capture %s: longer than %d bytes", c.name, maxCaptured)
		}
		r.captured[c.name] = value
		if c.name != probes.ValueVersion {
			r.mask.add(value)
		}
	}
	return nil
}

// decide says what an answer means in the recipe's terms. The recipe's own conditions go
// before the protocol's: limited, refused, success. A condition that cannot be worked out
// over this reply, say because its JSON lacks the key, does not hold.
func (s step) decide(a answer) (probes.Outcome, string) {
	if a.reply == nil {
		return a.outcome, ""
	}
	if s.limited != nil && holds(s.limited, a.reply) {
		return probes.Limited, ""
	}
	if s.refused != nil && holds(s.refused, a.reply) {
		return probes.Refused, ""
	}
	if s.success == nil || a.partial {
		return a.outcome, ""
	}
	met, err := s.success.Bool(a.reply)
	switch {
	case err == nil && met:
		return probes.Done, ""
	case a.outcome != probes.Done:
		return a.outcome, ""
	case a.unmet != "":
		return a.unmet, ""
	case err != nil:
		return probes.Unexpected, fmt.Sprintf(" (success: %v)", err)
	}
	return probes.Unexpected, " (the recipe's success does not hold)"
}

func holds(p interface {
	Bool(map[string]any) (bool, error)
}, reply map[string]any) bool {
	met, err := p.Bool(reply)
	return err == nil && met
}

// A scope looks up variables for one step and remembers whether the device had its say in it.
type scope struct {
	*run
	device bool // a captured value was put in
}

func (x *scope) lookup(name string) (string, error) {
	if value, known, err := x.own(name); known || err != nil {
		return value, err
	}
	if value, ok := x.captured[name]; ok {
		x.device = true
		return value, nil
	}
	if value, ok := x.args[name]; ok {
		return value, nil
	}
	return "", fmt.Errorf("variable %q is unknown", name)
}

// own looks among what the bench fills in.
func (x *scope) own(name string) (value string, known bool, err error) {
	switch name {
	case varHost:
		if value = x.options.Host(); value == "" {
			return "", true, errNoAddress
		}
	case varSerial:
		value = x.unit.Serial
	case varMAC:
		value = x.unit.MAC
	case varUnit:
		value = x.unit.ID
	case varBench:
		value = x.options.BenchAddress
	default:
		rest, login := strings.CutPrefix(name, varLogin)
		if !login {
			return "", false, nil
		}
		face, field, _ := strings.Cut(rest, ".")
		l, ok := x.unit.Logins[face]
		switch {
		case ok && field == probes.ArgUsername:
			return l.Username, true, nil
		case ok && field == probes.ArgPassword:
			return l.Password, true, nil
		}
		return "", true, fmt.Errorf("variable %q is unknown: unit %s has no such login", name, x.unit.ID)
	}
	if value == "" {
		return "", true, fmt.Errorf("variable %q has no value for unit %s", name, x.unit.ID)
	}
	return value, true, nil
}

// text expands one field of a recipe.
func (x *scope) text(key, template string) (string, error) {
	value, err := expand(template, x.lookup)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return value, nil
}

// fault blames the device for a value that it chose, and the recipe for every other.
func (x *scope) fault(err error) error {
	if x.device {
		return deviceFault{fmt.Errorf("with a value captured from the device: %w", err)}
	}
	return err
}
