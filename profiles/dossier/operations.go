package dossier

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"assay/profiles/expr"
	"assay/profiles/strict"
)

// maxSteps bounds one recipe, maxSeconds one exchange.
const (
	maxSteps   = 32
	maxSeconds = 3600
)

// loginPrefix begins the names of the operations that log in.
const loginPrefix = "login-"

// The variables that recipes know besides arguments and captured values.
var known = []string{"host", "serial", "mac", "unit", "bench"}

var (
	variable = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
	argument = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	loginVar = regexp.MustCompile(`^login\.([a-z0-9]+(?:-[a-z0-9]+)*)\.(username|password)$`)
)

func (c *checker) operations() {
	rows := map[string]bool{}
	var addresses []string
	for _, r := range c.d.IXIT.all() {
		rows[r.address()] = true
		addresses = append(addresses, r.address())
	}
	for _, name := range slices.Sorted(maps.Keys(c.d.Operations)) {
		op, key := c.d.Operations[name], "operations."+name
		if !namePattern.MatchString(name) {
			c.doc.Complain(key, "%q is not the name of an operation: use lower case letters, digits and -", name)
		}
		if op.Row != "" && !rows[op.Row] {
			c.doc.Complain(key+".row", "the ixit has no row %q%s", op.Row, strict.Suggest(op.Row, addresses))
		}
		if len(op.Steps) == 0 {
			c.doc.Complain(key+".steps", "is missing or empty: say how the device is made to do it")
		}
		c.recipe(key+".steps", op.Steps)
		c.recipe(key+".anonymous", op.Anonymous)
		if strings.HasPrefix(name, loginPrefix) {
			c.triedOnce(key+".steps", op.Steps)
			c.triedOnce(key+".anonymous", op.Anonymous)
		}
	}
}

func (c *checker) recipe(key string, steps []Step) {
	if len(steps) > maxSteps {
		c.doc.Complain(key, "has %d steps, more than the %d that are done", len(steps), maxSteps)
		return
	}
	for i := range steps {
		c.step(fmt.Sprintf("%s[%d]", key, i), &steps[i])
	}
}

func (c *checker) step(key string, s *Step) {
	transports := s.transports()
	if len(transports) != 1 {
		c.doc.Complain(key, "has %s: each step is exactly one of %s", count(transports), strings.Join(transportNames(), ", "))
		return
	}
	if s.Seconds < 0 || s.Seconds > maxSeconds {
		c.doc.Complain(key+".seconds", "is %g, wants at most %d", s.Seconds, maxSeconds)
	}
	c.exchange(key, s)
	c.retry(key, s)
	way := transports[0].name
	c.condition(key+".success", s.Success, way)
	c.condition(key+".refused", s.Refused, way)
	c.condition(key+".limited", s.Limited, way)
	for _, name := range slices.Sorted(maps.Keys(s.Capture)) {
		where := key + ".capture." + name
		switch {
		case !argument.MatchString(name):
			c.doc.Complain(where, "%q is not the name of a value: use lower case letters, digits and _", name)
		case slices.Contains(known, name):
			c.doc.Complain(where, "the bench itself fills in %q: choose another name", name)
		}
		p, err := expr.CompileReply(s.Capture[name])
		switch {
		case err != nil:
			c.doc.Complain(where, "%v", err)
		case !p.Texts():
			c.doc.Complain(where, "column 1 of the expression: wants a text")
		default:
			c.reads(where, p, way)
		}
	}
	visit(reflect.ValueOf(transports[0].value), key+"."+transports[0].name, c.template)
}

func (c *checker) condition(key, src, way string) {
	if src == "" {
		return
	}
	p, err := expr.CompileReply(src)
	switch {
	case err != nil:
		c.doc.Complain(key, "%v", err)
	case !p.Condition():
		c.doc.Complain(key, "column 1 of the expression: wants true or false")
	default:
		c.reads(key, p, way)
	}
}

// replies are what conditions and captures find in the reply of each exchange.
var replies = map[string][]string{
	"http":    {"body", "headers", "json", "redirects", "status", "url"},
	"mqtt":    {"connack", "disconnect", "messages", "puback", "reason", "suback"},
	"coap":    {"code", "json", "notifications", "payload"},
	"ssh":     {"exit", "host_key", "matched", "server", "stderr", "text"},
	"telnet":  {"matched", "text"},
	"serial":  {"matched", "text"},
	"command": {"exit", "json", "stdout"},
	"person":  {"answer"},
	"button":  {"pressed"},
}

// reads refuses what no reply of the exchange has: such a condition would never hold, and a lock-out that it
// should know would pass for none.
func (c *checker) reads(key string, p *expr.Program, way string) {
	for _, field := range p.Reads() {
		if has := replies[way]; !slices.Contains(has, field) {
			c.doc.Complain(key, "the reply over %s has no %q: there is %s", way, field, strings.Join(has, ", "))
		}
	}
}

func (c *checker) url(key, url string, schemes ...string) {
	for _, s := range schemes {
		if strings.HasPrefix(url, s) && len(url) > len(s) {
			return
		}
	}
	c.doc.Complain(key, "wants a URL that begins with %s", oneOf(schemes))
}

// template checks the variables of one text.
func (c *checker) template(key, text string) {
	rest := variable.ReplaceAllStringFunc(text, func(m string) string {
		name := variable.FindStringSubmatch(m)[1]
		login := loginVar.FindStringSubmatch(name)
		switch {
		case slices.Contains(known, name) || argument.MatchString(name):
			// an argument or a captured value: which ones there are shows when the operation is done
		case login != nil:
			if !c.hasLogin(login[1]) {
				c.doc.Complain(key, "{{%s}}: no unit has a login %q", name, login[1])
			}
		default:
			c.doc.Complain(key, "{{%s}} is not a variable: there are %s, login.<interface>.username and .password, arguments and captured values", name, strings.Join(known, ", "))
		}
		return ""
	})
	if strings.Contains(rest, "{{") { // a stray }} may well end a JSON payload
		c.doc.Complain(key, "has {{ without the name of a variable and }} after it")
	}
}

func (c *checker) hasLogin(name string) bool {
	return slices.ContainsFunc(c.d.Units, func(u Unit) bool {
		_, ok := u.Logins[name]
		return ok
	})
}

type transport struct {
	name  string
	value any
}

// transports lists which of its first nine fields a step has.
func (s *Step) transports() []transport {
	var out []transport
	for _, t := range []transport{
		{"http", s.HTTP}, {"mqtt", s.MQTT}, {"coap", s.CoAP},
		{"ssh", s.SSH}, {"telnet", s.Telnet}, {"serial", s.Serial},
		{"command", s.Command}, {"person", s.Person}, {"button", s.Button},
	} {
		if !reflect.ValueOf(t.value).IsNil() {
			out = append(out, t)
		}
	}
	return out
}

// transportNames are the keys of the transports, in the order of the struct.
func transportNames() []string {
	var names []string
	for _, f := range fieldsOf(reflect.TypeFor[Step]()) {
		if f.of.Kind() == reflect.Pointer && f.name != "retry" {
			names = append(names, f.name)
		}
	}
	return names
}

func count(t []transport) string {
	if len(t) == 0 {
		return "no transport"
	}
	names := make([]string, len(t))
	for i, one := range t {
		names[i] = one.name
	}
	return strings.Join(names, " and ")
}
