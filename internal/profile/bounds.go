package profile

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a profile file: people may hand one in over the API. None of them is near to
// what a device needs.
const (
	maxFile  = 1 << 20 // bytes
	maxWords = 100_000 // and signs, as the parser counts
	maxDepth = 24      // lists and tables in one another
	maxItems = 2_000   // fields, flags, ifs and repeats
	maxRules = 500     // of all signals together
	maxExpr  = 2_000   // letters
)

// boundYAML refuses YAML that could cost more than its size: what refers to other parts
// of the file, and what nests without end. The parser follows both until the stack or the
// memory is gone.
func boundYAML(raw []byte) error {
	flow, line, entries, indent := 0, 0, 0, []int{}
	words := lexer.Tokenize(string(raw))
	if len(words) > maxWords {
		return fmt.Errorf("has %d words and signs: want at most %d", len(words), maxWords)
	}
	for _, t := range words {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return fmt.Errorf("line %d: anchors and aliases (& * <<) are not read: want it written out, or extends", line)
		case token.TagType, token.DirectiveType:
			return fmt.Errorf("line %d: tags and directives (! %%) are not read: want plain YAML", line)
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			entries++
		case token.MappingValueType:
			if flow == 0 {
				indent = deeper(indent, t.Prev)
			}
		}
		if flow > maxDepth || entries > maxDepth || len(indent) > maxDepth {
			return fmt.Errorf("line %d: lists and tables lie more than %d deep: want fewer", line, maxDepth)
		}
	}
	return nil
}

// deeper keeps the columns of the keys that a key lies under.
func deeper(columns []int, key *token.Token) []int {
	if key == nil {
		return columns
	}
	column := key.Position.Column
	for len(columns) > 0 && columns[len(columns)-1] >= column {
		columns = columns[:len(columns)-1]
	}
	return append(columns, column)
}
