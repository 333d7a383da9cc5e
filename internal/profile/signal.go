package profile

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"

	"gridgate/internal/grid"
)

// rule makes one signal of one channel out of a scope. Its sources are alternatives: a
// condition is true when any of them says so (a fire bit wins over every other), and
// false when one says so and none says otherwise; a value is that of the first source
// that is there.
type rule struct {
	signal  grid.Signal
	bool    bool
	channel string
	sources []source
}

type source struct {
	when          *test
	slot          int // -1: by program
	ranged        bool
	lo, hi        float64 // range of the signal itself
	field         *field  // for the range of the field; nil where it has none
	is, clear     []float64
	not           []float64
	above, below  *float64
	mul, div, add float64
	curve         *curve
	program       *vm.Program
	needs         []need // fields of the program
}

type need struct {
	name string
	slot int
}

// emit makes readings of the fields of a scope. Past the bounds of a frame it makes none,
// and the frame is an error.
func (r *run) emit(s *scope, rec *record, n int) {
	if r.step(r.p.cost) != nil || len(r.readings) > maxReadings {
		r.over = true
		return
	}
	for i := range r.p.rules {
		rl := &r.p.rules[i]
		v, suspect, ok := rl.read(r, s)
		if !ok {
			continue
		}
		reading := grid.Reading{Signal: rl.signal, Channel: rl.channel, Value: v, At: rec.at, History: rec.history, Suspect: suspect}
		if rec.own {
			if rec.channel != "" {
				reading.Channel = r.channelNamed(rec.channelOf(n), s)
			}
			if rec.clock != nil {
				if at := rec.clock.read(r, s, n); !at.IsZero() {
					reading.At = at
				}
			}
			// A record of a cached frame is of the past as well.
			reading.History = reading.History || r.past
		}
		r.readings = append(r.readings, reading)
	}
}

func (rl *rule) read(r *run, s *scope) (value float64, suspect, ok bool) {
	for i := range rl.sources {
		v, sus, said := rl.sources[i].read(r, s, rl.bool)
		if !said {
			continue
		}
		if !rl.bool || v != 0 {
			return v, sus, true
		}
		ok, suspect = true, suspect || sus
	}
	return 0, suspect, ok
}

func (c *source) read(r *run, s *scope, condition bool) (v float64, suspect, said bool) {
	if c.when != nil && !c.when.ask(s) {
		return 0, false, false
	}
	if c.program != nil {
		if v, said = c.evaluate(r, s); !said {
			return 0, false, false
		}
	} else {
		if !s.has[c.slot] {
			return 0, false, false
		}
		v = s.val[c.slot]
		suspect = c.field != nil && c.field.suspect(v)
		if condition {
			if v, said = c.judge(v); !said {
				return 0, false, false
			}
		} else {
			v = v*c.mul/c.div + c.add
			if c.curve != nil {
				v = c.curve.at(v)
			}
		}
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false, false
	}
	if c.ranged && (v < c.lo || v > c.hi) {
		suspect = true
	}
	return v, suspect, true
}

// judge turns a field's value into a condition; said is false where the value says
// neither yes nor no.
func (c *source) judge(v float64) (verdict float64, said bool) {
	yes := v != 0
	switch {
	case c.is != nil:
		yes = contains(c.is, v)
	case c.not != nil:
		yes = !contains(c.not, v)
	case c.above != nil:
		yes = v > *c.above
	case c.below != nil:
		yes = v < *c.below
	case c.clear != nil:
		yes = yes && !contains(c.clear, v)
	}
	if yes {
		return 1, true
	}
	return 0, c.clear == nil || contains(c.clear, v)
}

func (c *source) evaluate(r *run, s *scope) (float64, bool) {
	for _, n := range c.needs {
		if !s.has[n.slot] {
			return 0, false
		}
		r.env[n.name] = s.val[n.slot]
	}
	out, err := expr.Run(c.program, r.env)
	if err != nil {
		return 0, false
	}
	switch v := out.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func (c *compiler) rules(spec map[string]rulesSpec) ([]rule, error) {
	if len(spec) == 0 {
		return nil, fmt.Errorf("signals: want at least one, for example door.open")
	}
	count := 0
	var rules []rule
	for name, list := range spec {
		signal, err := grid.ParseSignal(name)
		if err != nil {
			return nil, fmt.Errorf("signals: %w", err)
		}
		condition := grid.Signals[signal].Bool
		if count += len(list); count > maxRules {
			return nil, fmt.Errorf("signals: more than %d rules: want fewer", maxRules)
		}
		for i := range list {
			if chemistry := list[i].Curve; chemistry != nil && chemistry.name != "" && signal != grid.BatteryLevel {
				return nil, fmt.Errorf("signals: %s: curve %q makes a battery.level only", name, chemistry.name)
			}
			src, err := c.source(&list[i], condition)
			if err != nil {
				return nil, fmt.Errorf("signals: %s: %w", name, err)
			}
			at := slices.IndexFunc(rules, func(r rule) bool { return r.signal == signal && r.channel == list[i].Channel })
			if at < 0 {
				rules = append(rules, rule{signal: signal, bool: condition, channel: list[i].Channel})
				at = len(rules) - 1
			}
			rules[at].sources = append(rules[at].sources, src)
		}
	}
	slices.SortFunc(rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.signal, b.signal), cmp.Compare(a.channel, b.channel))
	})
	return rules, nil
}

func (c *compiler) source(s *ruleSpec, condition bool) (source, error) {
	out := source{slot: -1, above: s.Above, below: s.Below}
	var err error
	if out.lo, out.hi, out.ranged, err = compileRange(s.Range); err != nil {
		return out, err
	}
	if out.when, err = c.test(s.When); err != nil {
		return out, fmt.Errorf("when: %w", err)
	}
	out.mul, out.div, out.add = scaling(s.Scale, s.Offset)
	if out.curve, err = compileCurve(s.Curve, s.Cells); err != nil {
		return out, err
	}
	tests := 0
	for _, given := range []bool{s.Is != nil, s.Not != nil, s.Above != nil, s.Below != nil} {
		if given {
			tests++
		}
	}
	switch {
	case tests > 1:
		return out, fmt.Errorf("is, not, above, below: want at most one of them")
	case !condition && (tests > 0 || s.Clear != nil):
		return out, fmt.Errorf("is a value, not a condition: want no is, clear, not, above or below")
	case condition && (s.Scale != 0 || s.Offset != 0 || s.Curve != nil):
		return out, fmt.Errorf("is a condition: want no scale, offset or curve")
	}
	if s.Expr != "" {
		if s.Field != "" || tests > 0 || s.Clear != nil || s.Scale != 0 || s.Offset != 0 || s.Curve != nil {
			return out, fmt.Errorf("expr stands alone: want no field, is, clear, not, above, below, scale, offset or curve beside it")
		}
		return out, c.program(&out, s.Expr, condition)
	}
	f, err := c.lookup(s.Field)
	if err != nil {
		return out, err
	}
	out.slot = f.slot
	if f.ranged {
		out.field = f
	}
	if out.is, err = f.values(s.Is); err != nil {
		return out, fmt.Errorf("is: %w", err)
	}
	if out.not, err = f.values(s.Not); err != nil {
		return out, fmt.Errorf("not: %w", err)
	}
	if out.clear, err = f.values(s.Clear); err != nil {
		return out, fmt.Errorf("clear: %w", err)
	}
	return out, nil
}

// program compiles an expression of fields. Only arithmetic, comparison and a few
// functions are let in, so that it always ends and allocates next to nothing.
func (c *compiler) program(out *source, code string, condition bool) error {
	if len(code) > maxExpr {
		return fmt.Errorf("expr %q has %d letters: want at most %d", truncate(code, 20), len(code), maxExpr)
	}
	env := map[string]any{}
	for name := range c.slots {
		env[name] = 0.0
	}
	kind := expr.AsFloat64()
	if condition {
		kind = expr.AsBool()
	}
	guard := &guard{slots: c.slots}
	program, err := expr.Compile(code, expr.Env(env), kind, expr.DisableAllBuiltins(),
		expr.EnableBuiltin("abs"), expr.EnableBuiltin("min"), expr.EnableBuiltin("max"),
		expr.EnableBuiltin("round"), expr.EnableBuiltin("floor"), expr.EnableBuiltin("ceil"), expr.Patch(guard))
	if guard.err == nil && err != nil {
		guard.err = fmt.Errorf("%w", err)
	}
	if guard.err != nil {
		return fmt.Errorf("expr %q: %w", code, guard.err)
	}
	out.program, out.needs = program, guard.needs
	return nil
}

// guard walks an expression, refuses what is not arithmetic, and notes which fields it needs.
type guard struct {
	slots map[string]int
	needs []need
	err   error
}

func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		slot, ok := g.slots[n.Value]
		if !ok {
			return // the compiler says so
		}
		if !slices.ContainsFunc(g.needs, func(have need) bool { return have.name == n.Value }) {
			g.needs = append(g.needs, need{n.Value, slot})
		}
	case *ast.BinaryNode:
		if n.Operator == ".." {
			g.err = fmt.Errorf("a range is not arithmetic")
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.UnaryNode, *ast.ConditionalNode, *ast.BuiltinNode:
	default:
		g.err = fmt.Errorf("%T: want only fields, numbers, operators, ? : and abs, min, max, round, floor, ceil", n)
	}
}
