package expr

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"
)

// A Program is one compiled expression. It may be evaluated by many at once.
type Program struct {
	Source string

	env  *Env
	refs map[string][]string
	out  *cel.Type
	ast  *ast.AST
	prg  cel.Program
}

// Refers lists the fields of the environment's first variable that the expression names, sorted.
func (p *Program) Refers() []string { return p.refs[p.env.scopes[0].variable] }

// RefersTo lists the fields of one variable that the expression names, sorted.
func (p *Program) RefersTo(variable string) []string { return p.refs[variable] }

// Reads lists the fields that the expression names of a variable whose fields the environment does not know, as the reply is, sorted.
func (p *Program) Reads() []string {
	var names []string
	ast.PreOrderVisit(p.ast.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.SelectKind {
			return
		}
		if s := x.AsSelect(); s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == p.env.scopes[0].variable {
			names = append(names, s.FieldName())
		}
	}))
	slices.Sort(names)
	return slices.Compact(names)
}

// Bool evaluates a condition. An error means that it has no answer for this value,
// e.g. because a field is missing: it is neither true nor false.
func (p *Program) Bool(value map[string]any) (bool, error) { return p.Holds(value) }

// Holds evaluates a condition over the values of the environment's variables, in its order.
func (p *Program) Holds(values ...map[string]any) (bool, error) {
	v, err := p.eval(values)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("evaluate %s: yields %s, wants true or false", clip(p.Source), v.Type().TypeName())
	}
	return b, nil
}

// Names evaluates an expression that yields a list of texts.
func (p *Program) Names(values ...map[string]any) ([]string, error) {
	v, err := p.eval(values)
	if err != nil {
		return nil, err
	}
	list, err := v.ConvertToNative(reflect.TypeFor[[]string]())
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: yields %s, wants a list of text", clip(p.Source), v.Type().TypeName())
	}
	names, _ := list.([]string)
	return names, nil
}

// String evaluates an expression that yields a string.
func (p *Program) String(value map[string]any) (string, error) {
	v, err := p.eval([]map[string]any{value})
	if err != nil {
		return "", err
	}
	s, ok := v.Value().(string)
	if !ok {
		return "", fmt.Errorf("evaluate %s: yields %s, wants a string", clip(p.Source), v.Type().TypeName())
	}
	return s, nil
}

func (p *Program) eval(values []map[string]any) (ref.Val, error) {
	v, _, err := p.prg.Eval(activation{p.env, values})
	if err != nil {
		// The library's message may quote what the device said; only its first line is kept, shortened.
		text, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("evaluate %s: %s", clip(p.Source), clip(text))
	}
	return v, nil
}

// activation gives CEL the values under the names that their environment declares.
type activation struct {
	env    *Env
	values []map[string]any
}

// ResolveName finds a variable.
func (a activation) ResolveName(name string) (any, bool) {
	for i, value := range a.values[:min(len(a.values), len(a.env.scopes))] {
		s := a.env.scopes[i]
		if s.fields == nil {
			if name == s.variable {
				return value, true
			}
			continue
		}
		if field, ok := strings.CutPrefix(name, s.variable+"."); ok {
			v, ok := value[field]
			return v, ok
		}
	}
	return nil, false
}

// Parent is nil: there is nothing else to see.
func (a activation) Parent() cel.Activation { return nil }

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "..."
	}
	return s
}
