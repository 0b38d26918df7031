// Package expr compiles and evaluates the CEL expressions in dossiers and checks:
// typed, bounded in cost, with errors that name the column. It knows nothing of
// devices, and an expression can reach nothing but the variable it is given.
package expr

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"assay/profiles/strict"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Bounds of one expression. A condition over facts needs a few dozen cost units; one
// over a reply may search a body of a megabyte.
const (
	maxSource = 4096
	maxNodes  = 2000
	factsCost = 100_000
	replyCost = 5_000_000
)

// A Type is the type of one field of a variable. Strings are API.
type Type string

// The types that facts and features may have.
const (
	Bool   Type = "bool"
	Int    Type = "int"
	Double Type = "double"
	String Type = "string"
	List   Type = "list" // of strings
)

func (t Type) cel() (*cel.Type, bool) {
	switch t {
	case Bool:
		return cel.BoolType, true
	case Int:
		return cel.IntType, true
	case Double:
		return cel.DoubleType, true
	case String:
		return cel.StringType, true
	case List:
		return cel.ListType(cel.StringType), true
	}
	return nil, false
}

// An Error tells what is wrong with an expression and where.
type Error struct {
	Line, Column int // from 1, within the expression
	Problem      string
}

func (e *Error) Error() string {
	if e.Line > 1 {
		return fmt.Sprintf("line %d, column %d of the expression: %s", e.Line, e.Column, e.Problem)
	}
	return fmt.Sprintf("column %d of the expression: %s", e.Column, e.Problem)
}

// An Env is one variable with typed fields, or several, for any number of expressions.
type Env struct {
	scopes []scope
	cost   uint64
	env    *cel.Env
}

// A scope is one variable.
type scope struct {
	variable string // facts, dossier, features or reply
	noun     string // what one field is called in errors
	fields   map[string]Type
	none     string // what errors say where there is no field at all
}

// base is the part that every environment shares; it never changes once made.
var base = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(64),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ExpressionNestingDepthLimit(64),
	)
})

// reply is the environment of conditions over a device's reply.
var reply = sync.OnceValues(func() (*Env, error) {
	b, err := base()
	if err != nil {
		return nil, fmt.Errorf("make the reply's environment: %w", err)
	}
	env, err := b.Extend(
		cel.Variable("reply", cel.MapType(cel.StringType, cel.DynType)),
		cel.Function("find", cel.MemberOverload("string_find_string",
			[]*cel.Type{cel.StringType, cel.StringType}, cel.StringType, cel.BinaryBinding(find))),
	)
	if err != nil {
		return nil, fmt.Errorf("make the reply's environment: %w", err)
	}
	return &Env{scopes: []scope{{variable: "reply"}}, cost: replyCost, env: env}, nil
})

// find is text.find(pattern): the first group of the first match of an RE2 pattern, the
// whole match where the pattern has no group, nothing where it does not match.
func find(text, pattern ref.Val) ref.Val {
	t, _ := text.Value().(string)
	p, _ := pattern.Value().(string)
	re, err := regexp.Compile(p)
	if err != nil {
		return types.NewErr("find: the pattern is not RE2")
	}
	switch m := re.FindStringSubmatch(t); {
	case m == nil:
		return types.String("")
	case len(m) > 1:
		return types.String(m[1])
	default:
		return types.String(m[0])
	}
}

// Facts makes an environment with the variable facts alone.
func Facts(fields map[string]Type) (*Env, error) {
	return typed(scope{variable: "facts", noun: "fact", fields: fields})
}

// Check makes the environment of a check's expressions: the variable facts, what was seen, and
// beside it the variable dossier, what was declared. Programs take their values in this order. A
// check without a probe has no facts.
func Check(facts, declared map[string]Type) (*Env, error) {
	if facts == nil {
		facts = map[string]Type{} // a variable without fields, not one whose fields nobody knows
	}
	return typed(scope{variable: "facts", noun: "fact", fields: facts, none: ": there are none without a probe"},
		scope{variable: "dossier", noun: "declaration", fields: declared})
}

// Features makes the environment of applies: the variable features, where each name is true or false.
func Features(names []string) (*Env, error) {
	fields := map[string]Type{}
	for _, n := range names {
		fields[n] = Bool
	}
	return typed(scope{variable: "features", noun: "feature", fields: fields})
}

// typed declares each field as a variable of its own, called variable.field: CEL
// then checks its type and refuses an unknown one when the expression is compiled.
func typed(scopes ...scope) (*Env, error) {
	b, err := base()
	if err != nil {
		return nil, fmt.Errorf("make the environment of %s: %w", scopes[0].variable, err)
	}
	var opts []cel.EnvOption
	for i, s := range scopes {
		for _, name := range slices.Sorted(maps.Keys(s.fields)) {
			t, ok := s.fields[name].cel()
			if !ok {
				return nil, fmt.Errorf("make the environment of %s: %s %q has the unknown type %q", s.variable, s.noun, name, s.fields[name])
			}
			opts = append(opts, cel.Variable(s.variable+"."+name, t))
		}
		scopes[i].fields = maps.Clone(s.fields)
	}
	env, err := b.Extend(opts...)
	if err != nil {
		return nil, fmt.Errorf("make the environment of %s: %w", scopes[0].variable, err)
	}
	return &Env{scopes: scopes, cost: factsCost, env: env}, nil
}

// Compile compiles an expression that yields true or false.
func (e *Env) Compile(src string) (*Program, error) {
	p, err := e.compile(src)
	if err != nil {
		return nil, err
	}
	if p.out != cel.BoolType {
		return nil, &Error{1, 1, fmt.Sprintf("yields %s, wants true or false", cel.FormatCELType(p.out))}
	}
	return p, nil
}

// Names compiles an expression that yields a list of texts.
func (e *Env) Names(src string) (*Program, error) {
	p, err := e.compile(src)
	if err != nil {
		return nil, err
	}
	if !p.out.IsExactType(cel.ListType(cel.StringType)) {
		return nil, &Error{1, 1, fmt.Sprintf("yields %s, wants a list of text", cel.FormatCELType(p.out))}
	}
	return p, nil
}

// Condition compiles an expression made of fields joined with && and || only. It can
// only become true when a field does, so a feature that nobody mentions never hides a question.
func (e *Env) Condition(src string) (*Program, error) {
	p, err := e.Compile(src)
	if err != nil {
		return nil, err
	}
	if at := e.unlike(p.ast.Expr()); at != 0 {
		line, column := e.place(p.ast, at)
		return nil, &Error{line, column, fmt.Sprintf("a condition joins %s with && and || only: give the opposite a name of its own", e.scopes[0].variable)}
	}
	return p, nil
}

// unlike returns the id of a node that is neither a field nor && nor ||, or 0.
func (e *Env) unlike(x ast.Expr) int64 {
	switch x.Kind() {
	case ast.IdentKind: // the checker has made one identifier of features.name
		return 0
	case ast.SelectKind:
		return 0
	case ast.CallKind:
		call := x.AsCall()
		if f := call.FunctionName(); f != operators.LogicalAnd && f != operators.LogicalOr {
			return x.ID()
		}
		for _, arg := range call.Args() {
			if at := e.unlike(arg); at != 0 {
				return at
			}
		}
		return 0
	}
	return x.ID()
}

// CompileReply compiles an expression over a device's reply, whose fields depend on
// the protocol: `reply.status == 401`. Beside CEL's own there is text.find(pattern).
func CompileReply(src string) (*Program, error) {
	e, err := reply()
	if err != nil {
		return nil, err
	}
	return e.compile(src)
}

// Condition tells whether the program may yield true or false; CompileReply leaves that open.
func (p *Program) Condition() bool { return p.out == cel.BoolType || p.out == cel.DynType }

// Texts tells whether the program may yield a string.
func (p *Program) Texts() bool { return p.out == cel.StringType || p.out == cel.DynType }

func (e *Env) compile(src string) (*Program, error) {
	if strings.TrimSpace(src) == "" {
		return nil, &Error{1, 1, "is empty"}
	}
	if len(src) > maxSource {
		return nil, &Error{1, 1, fmt.Sprintf("has %d bytes, more than %d", len(src), maxSource)}
	}
	parsed, iss := e.env.Parse(src)
	if err := first(iss); err != nil {
		return nil, err
	}
	refs, err := e.refers(parsed.NativeRep())
	if err != nil {
		return nil, err
	}
	checked, iss := e.env.Check(parsed)
	if err := first(iss); err != nil {
		return nil, err
	}
	prg, err := e.env.Program(checked, cel.CostLimit(e.cost))
	if err != nil {
		return nil, &Error{1, 1, err.Error()}
	}
	return &Program{Source: src, env: e, refs: refs, out: checked.OutputType(), ast: checked.NativeRep(), prg: prg}, nil
}

// scope finds a variable.
func (e *Env) scope(variable string) (scope, bool) {
	i := slices.IndexFunc(e.scopes, func(s scope) bool { return s.variable == variable })
	if i < 0 {
		return scope{}, false
	}
	return e.scopes[i], true
}

// refers lists the fields that an expression names, by variable, and refuses unknown ones with a hint.
func (e *Env) refers(a *ast.AST) (map[string][]string, error) {
	refs := map[string][]string{}
	var problem *Error
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if problem != nil || x.Kind() != ast.SelectKind {
			return
		}
		s := x.AsSelect()
		if s.Operand().Kind() != ast.IdentKind {
			return
		}
		of, ok := e.scope(s.Operand().AsIdent())
		if !ok || of.fields == nil {
			return
		}
		if _, ok := of.fields[s.FieldName()]; !ok {
			hint := of.none
			if len(of.fields) > 0 {
				hint = strict.Suggest(s.FieldName(), slices.Sorted(maps.Keys(of.fields)))
			}
			line, column := e.place(a, s.Operand().ID())
			problem = &Error{line, column, fmt.Sprintf("there is no %s %q%s", of.noun, s.FieldName(), hint)}
			return
		}
		refs[of.variable] = append(refs[of.variable], s.FieldName())
	}))
	if problem != nil {
		return nil, problem
	}
	for name := range refs {
		slices.Sort(refs[name])
		refs[name] = slices.Compact(refs[name])
	}
	return refs, nil
}

func (e *Env) place(a *ast.AST, id int64) (line, column int) {
	at := a.SourceInfo().GetStartLocation(id)
	return max(at.Line(), 1), max(at.Column()+1, 1)
}

func first(iss *cel.Issues) error {
	if iss == nil || iss.Err() == nil {
		return nil
	}
	var one *common.Error
	for _, e := range iss.Errors() {
		if one == nil || e.Location.Line() < one.Location.Line() ||
			e.Location.Line() == one.Location.Line() && e.Location.Column() < one.Location.Column() {
			one = e
		}
	}
	if one == nil {
		return &Error{1, 1, iss.Err().Error()}
	}
	problem := strings.TrimSuffix(one.Message, " (in container '')")
	return &Error{max(one.Location.Line(), 1), max(one.Location.Column()+1, 1), problem}
}
