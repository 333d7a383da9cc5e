package profile

import (
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// names gathers the published fields that an expression is made of.
type names []string

func (n *names) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok {
		*n = append(*n, id.Value)
	}
}

// published gives what the maker says about a field of the vectors section: the value of
// that name, or of an expression of several: the tilt of a device that publishes three
// angles. A message that has none of the names says nothing about it.
func (f *vectorFieldSpec) published(name string, expected map[string]any) (v any, ok bool, err error) {
	if f.Expr == "" {
		v, ok = expected[name]
		return v, ok && v != nil, nil
	}
	tree, err := parser.Parse(f.Expr)
	if err != nil {
		return nil, false, fmt.Errorf("expr %q: %w", f.Expr, err)
	}
	var of names
	ast.Walk(&tree.Node, &of)
	there := 0
	for _, n := range of {
		if expected[n] != nil {
			there++
		}
	}
	switch there {
	case 0:
		return nil, false, nil
	case len(of):
		v, err = expr.Eval(f.Expr, expected)
		return v, err == nil, err
	}
	return nil, false, fmt.Errorf("expr %q: the message has %d of its %d fields", f.Expr, there, len(of))
}
