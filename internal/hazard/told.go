package hazard

import "gridgate/internal/grid"

// Told are all kinds with their check-lists, as people are shown them.
func (ks *Kinds) Told() (out []grid.HazardKind) {
	for _, name := range ks.Names() {
		k := ks.kinds[name]
		one := grid.HazardKind{Kind: k.Name, TitleZH: k.TitleZH, TitleEN: k.TitleEN, Level: k.Level, Priority: k.Priority, Questions: []grid.HazardQuestion{}}
		for _, q := range k.Questions {
			one.Questions = append(one.Questions, grid.HazardQuestion(q))
		}
		out = append(out, one)
	}
	return out
}

// Steps is the table of moves as people are shown it.
func Steps() (out []grid.HazardStep) {
	for i := range table {
		e := &table[i]
		out = append(out, grid.HazardStep{Verb: e.verb, Who: e.who, From: e.from, To: e.to})
	}
	return out
}
