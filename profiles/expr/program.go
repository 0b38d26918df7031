package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"
)

// A Program is one compiled expression. It may be evaluated by many at once.
type Program struct {
	Source string

	env  *Env
	refs []string
	out  *cel.Type
	ast  *ast.AST
	prg  cel.Program
}

// Refers lists the fields that the expression names, sorted.
func (p *Program) Refers() []string { return p.refs }

// Bool evaluates a condition. An error means that it has no answer for this value,
// e.g. because a field is missing: it is neither true nor false.
func (p *Program) Bool(value map[string]any) (bool, error) {
	v, err := p.eval(value)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("evaluate %s: yields %s, wants true or false", clip(p.Source), v.Type().TypeName())
	}
	return b, nil
}

// String evaluates an expression that yields a string.
func (p *Program) String(value map[string]any) (string, error) {
	v, err := p.eval(value)
	if err != nil {
		return "", err
	}
	s, ok := v.Value().(string)
	if !ok {
		return "", fmt.Errorf("evaluate %s: yields %s, wants a string", clip(p.Source), v.Type().TypeName())
	}
	return s, nil
}

func (p *Program) eval(value map[string]any) (ref.Val, error) {
	v, _, err := p.prg.Eval(activation{p.env, value})
	if err != nil {
		// The library's message may quote what the device said; only its first line is kept, shortened.
		text, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("evaluate %s: %s", clip(p.Source), clip(text))
	}
	return v, nil
}

// activation gives CEL the value under the names that its environment declares.
type activation struct {
	env   *Env
	value map[string]any
}

// ResolveName finds a variable.
func (a activation) ResolveName(name string) (any, bool) {
	if a.env.fields == nil {
		return a.value, name == a.env.variable
	}
	field, ok := strings.CutPrefix(name, a.env.variable+".")
	if !ok {
		return nil, false
	}
	v, ok := a.value[field]
	return v, ok
}

// Parent is nil: there is nothing else to see.
func (a activation) Parent() cel.Activation { return nil }

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "..."
	}
	return s
}
