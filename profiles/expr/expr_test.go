package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func facts(t testing.TB) *Env {
	e, err := Facts(map[string]Type{"accepted": Bool, "via": String, "tries": Int, "rate": Double, "codes": List})
	require.NoError(t, err)
	return e
}

var value = map[string]any{"accepted": true, "via": "coap", "tries": int64(3), "rate": 1.5, "codes": []string{"a", "b"}}

func TestFacts(t *testing.T) {
	for src, want := range map[string]bool{
		"facts.accepted":                                      true,
		"!facts.accepted":                                     false,
		"facts.tries > 2 && facts.rate < 2.0":                 true,
		"facts.tries > 2.5":                                   true,
		"facts.rate > 1":                                      true,
		`facts.via in ["https", "coap"]`:                      true,
		`"b" in facts.codes && facts.codes.size() == 2`:       true,
		`facts.codes.exists(c, c == "z")`:                     false,
		`facts.via.startsWith("co") ? facts.accepted : false`: true,
		"true": true,
	} {
		p, err := facts(t).Compile(src)
		require.NoError(t, err, src)
		got, err := p.Bool(value)
		require.NoError(t, err, src)
		assert.Equal(t, want, got, src)
	}
}

func TestRefers(t *testing.T) {
	p, err := facts(t).Compile(`facts.via == "x" || facts.accepted && facts.codes.all(c, c != facts.via)`)
	require.NoError(t, err)
	assert.Equal(t, []string{"accepted", "codes", "via"}, p.Refers())
}

// What was seen is held against what was declared, each under its own name.
func TestCheck(t *testing.T) {
	e, err := Check(map[string]Type{"open": List, "via": String}, map[string]Type{"services": List, "via": Int})
	require.NoError(t, err)
	seen := map[string]any{"open": []string{"tcp/22", "tcp/23"}, "via": "x"}
	said := map[string]any{"services": []string{"tcp/22"}, "via": int64(3)}
	p, err := e.Compile(`facts.open.all(s, s in dossier.services) || facts.via == "x" && dossier.via == 3`)
	require.NoError(t, err)
	assert.Equal(t, []string{"open", "via"}, p.Refers())
	assert.Equal(t, []string{"services", "via"}, p.RefersTo("dossier"))
	got, err := p.Holds(seen, said)
	require.NoError(t, err)
	assert.True(t, got)
	_, err = p.Holds(seen)
	assert.Error(t, err, "without a declaration there is no answer")

	n, err := e.Names(`facts.open.filter(s, !(s in dossier.services))`)
	require.NoError(t, err)
	names, err := n.Names(seen, said)
	require.NoError(t, err)
	assert.Equal(t, []string{"tcp/23"}, names)
	names, err = n.Names(seen, map[string]any{"services": []string{"tcp/22", "tcp/23"}})
	require.NoError(t, err)
	assert.Empty(t, names)
	n, err = e.Names(`facts.open + dossier.services`)
	require.NoError(t, err)
	names, err = n.Names(seen, said)
	require.NoError(t, err)
	assert.Equal(t, []string{"tcp/22", "tcp/23", "tcp/22"}, names)
	_, err = n.Names(seen)
	assert.Error(t, err)

	for src, want := range map[string]string{
		"facts.services.size() > 0": `column 1 of the expression: there is no fact "services": there is open, via`,
		"dossier.open.size() > 0":   `column 1 of the expression: there is no declaration "open": there is services, via`,
		"dossier.via == facts.via":  "column 13 of the expression: found no matching overload for '_==_' applied to '(int, string)'",
	} {
		_, err := e.Compile(src)
		assert.EqualError(t, err, want, src)
	}
	_, err = e.Names("facts.via")
	assert.EqualError(t, err, "column 1 of the expression: yields string, wants a list of text")
	_, err = Check(map[string]Type{}, map[string]Type{"at": "time"})
	assert.EqualError(t, err, `make the environment of dossier: declaration "at" has the unknown type "time"`)
}

// A device that answers everywhere cannot exhaust the judge: lists of the length that a probe writes down fit the bound.
func TestCostOfLists(t *testing.T) {
	e, err := Check(map[string]Type{"services": List}, map[string]Type{"services": List})
	require.NoError(t, err)
	var seen, said []string
	for i := range 72 {
		seen = append(seen, fmt.Sprintf("tcp/%d unknown", i))
	}
	for i := range 80 {
		said = append(said, fmt.Sprintf("udp/%d", i))
	}
	p, err := e.Compile(`facts.services.exists(s, !dossier.services.exists(d, s.startsWith(d + " ")))`)
	require.NoError(t, err)
	_, err = p.Holds(map[string]any{"services": seen}, map[string]any{"services": said})
	require.NoError(t, err)
	n, err := e.Names(`facts.services.filter(s, !(dossier.services + dossier.services).exists(d, s.startsWith(d + " ")))`)
	require.NoError(t, err)
	names, err := n.Names(map[string]any{"services": seen}, map[string]any{"services": said})
	require.NoError(t, err)
	assert.Len(t, names, 72)
}

func TestCompileErrors(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"empty", " ", "column 1 of the expression: is empty"},
		{"unknown fact", "facts.accepted && facts.acepted", `column 19 of the expression: there is no fact "acepted": did you mean "accepted"?`},
		{"second line", "facts.accepted &&\n  facts.zzzzzz", `line 2, column 3 of the expression: there is no fact "zzzzzz": there is accepted, codes, rate, tries, via`},
		{"unknown variable", "fact.accepted", "column 5 of the expression: undeclared reference to 'fact.accepted' (did you mean 'facts.accepted'?)"},
		{"the whole variable", "facts", "column 1 of the expression: undeclared reference to 'facts'"},
		{"wrong type", `facts.tries == "3"`, "column 13 of the expression: found no matching overload for '_==_' applied to '(int, string)'"},
		{"not a condition", "facts.via", "column 1 of the expression: yields string, wants true or false"},
		{"half", "facts.accepted &&", "column 18 of the expression: Syntax error: mismatched input '<EOF>'"},
		{"too long", strings.Repeat("facts.accepted || ", 400) + "true", "column 1 of the expression: has 7204 bytes, more than 4096"},
		{"too deep", strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "column 1 of the expression: expression recursion limit exceeded"},
		{"other functions", "now() > 3", "column 4 of the expression: undeclared reference to 'now'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := facts(t).Compile(c.src)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Contains(t, err.Error(), c.want)
			assert.Less(t, len(err.Error()), 400)
		})
	}
}

func TestUnknownType(t *testing.T) {
	_, err := Facts(map[string]Type{"at": "time"})
	assert.EqualError(t, err, `make the environment of facts: fact "at" has the unknown type "time"`)
}

func TestConditions(t *testing.T) {
	e, err := Features([]string{"passwords", "updatable", "network"})
	require.NoError(t, err)
	for _, src := range []string{"features.passwords", "features.passwords && (features.updatable || features.network)"} {
		p, err := e.Condition(src)
		require.NoError(t, err)
		got, err := p.Bool(map[string]any{"passwords": true, "updatable": false, "network": true})
		require.NoError(t, err)
		assert.True(t, got)
	}
	for src, want := range map[string]string{
		"!features.passwords":         "column 1 of the expression: a condition joins features with && and || only: give the opposite a name of its own",
		"features.passwords == false": "column 20 of the expression: a condition joins features with && and || only: give the opposite a name of its own",
		"true":                        "column 1 of the expression: a condition joins features with && and || only: give the opposite a name of its own",
		"features.passwords ? features.network : features.updatable": "column 20 of the expression: a condition joins features with && and || only: give the opposite a name of its own",
		"features.password": `column 1 of the expression: there is no feature "password": did you mean "passwords"?`,
	} {
		_, err := e.Condition(src)
		assert.EqualError(t, err, want, src)
	}
}

func TestReply(t *testing.T) {
	reply := map[string]any{
		"status": 401, "body": "Thermo v1.2.3 ready",
		"json":     map[string]any{"version": "1.1.0", "count": 2.0, "ok": true},
		"messages": []map[string]any{{"topic": "a/b", "payload": "x", "retained": true}},
	}
	for src, want := range map[string]bool{
		"reply.status == 401":                       true,
		"reply.status >= 200 && reply.status < 300": false,
		"reply.json.ok":                             true,
		"reply.json.count == 2":                     true,
		"has(reply.json.token)":                     false,
		`reply.messages.exists(m, m.topic.startsWith("a/") && m.retained)`: true,
		`reply.body.contains("ready")`:                                     true,
		`reply.body.matches("v[0-9]")`:                                     true,
	} {
		p, err := CompileReply(src)
		require.NoError(t, err, src)
		assert.True(t, p.Condition(), src)
		got, err := p.Bool(reply)
		require.NoError(t, err, src)
		assert.Equal(t, want, got, src)
	}
	for src, want := range map[string]string{
		"reply.json.version":            "1.1.0",
		`reply.body.find("v([0-9.]+)")`: "1.2.3",
		`reply.body.find("v[0-9]")`:     "v1",
		`reply.body.find("z(.)")`:       "",
		`string(reply.status)`:          "401",
	} {
		p, err := CompileReply(src)
		require.NoError(t, err, src)
		assert.True(t, p.Texts(), src)
		got, err := p.String(reply)
		require.NoError(t, err, src)
		assert.Equal(t, want, got, src)
	}
}

func TestNoAnswer(t *testing.T) {
	missing, err := CompileReply("reply.json.token == 'x'")
	require.NoError(t, err)
	_, err = missing.Bool(map[string]any{"json": map[string]any{}})
	assert.EqualError(t, err, "evaluate reply.json.token == 'x': no such key: token")
	_, err = missing.Bool(nil)
	assert.Error(t, err)

	text, err := CompileReply("reply.body")
	require.NoError(t, err)
	_, err = text.Bool(map[string]any{"body": "hunter2"})
	assert.EqualError(t, err, "evaluate reply.body: yields string, wants true or false")
	number, err := CompileReply("reply.status")
	require.NoError(t, err)
	_, err = number.String(map[string]any{"status": 1})
	assert.EqualError(t, err, "evaluate reply.status: yields int, wants a string")

	p, err := facts(t).Compile("facts.accepted && facts.tries > 1")
	require.NoError(t, err)
	_, err = p.Bool(map[string]any{"accepted": true})
	assert.Error(t, err)
	_, err = p.Bool(map[string]any{"accepted": "yes", "tries": int64(2)})
	assert.Error(t, err)
}

// No profile can hang the judge.
func TestCost(t *testing.T) {
	list := "[" + strings.Repeat("1,", 150) + "1]"
	p, err := facts(t).Compile(list + ".all(a, " + list + ".all(b, " + list + ".all(c, facts.accepted)))")
	require.NoError(t, err)
	_, err = p.Bool(value)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "cost limit exceeded")
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"facts.accepted", "facts.tries > 2 && !facts.accepted", `facts.via in ["a"]`, "facts.codes.all(c, c != '')", "facts.", "((((", "'\\x'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p, err := facts(t).Compile(src)
		if err != nil {
			var e *Error
			require.True(t, errors.As(err, &e))
			return
		}
		_, _ = p.Bool(value)
	})
}

func BenchmarkBool(b *testing.B) {
	p, err := facts(b).Compile(`facts.accepted && facts.tries > 2 && facts.via in ["https", "coap"]`)
	require.NoError(b, err)
	for b.Loop() {
		if ok, err := p.Bool(value); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
