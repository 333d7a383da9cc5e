package engine

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// placeInWords is where units are sent: address, building, floor, room and name of a point,
// each said once.
func (e *Engine) placeInWords(p *grid.Point) string {
	building, address := e.buildingInWords(p.Building)
	if p.Address != "" {
		address = p.Address
	}
	if words := saidOnce(p.Name, address, building, p.Floor, p.Room); words != "" {
		return words
	}
	return p.ID
}

// buildingInWords gives a building's name and address. One that is not registered is called
// what its points call it.
func (e *Engine) buildingInWords(id string) (name, address string) {
	if id == "" {
		return "", ""
	}
	h, err := e.store.Building(context.Background(), id)
	if err != nil || h.Name == "" {
		return id, h.Address
	}
	return h.Name, h.Address
}

// saidOnce joins the parts of a place, from the large to the small. What the name says itself
// is left out, and the name stands where the first of it stood, else at the end; where it is not
// sure a thing is said twice, which harms nobody.
func saidOnce(name string, parts ...string) string {
	name = strings.TrimSpace(name)
	var words []string
	named := name == ""
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
		p = parts[i]
		switch {
		case p == "", slices.ContainsFunc(parts[:i], func(o string) bool { return o == p || ends(o, p) }):
		case !says(name, p):
			words = append(words, p)
		case !named:
			words, named = append(words, name), true
		}
	}
	if !named {
		words = append(words, name)
	}
	between := ", "
	if strings.ContainsFunc(strings.Join(words, ""), func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		between = " "
	}
	return strings.Join(words, between)
}

// ends: an address that names the building ends with it; one that has its name elsewhere may
// be a street of that name.
func ends(whole, part string) bool {
	head, found := strings.CutSuffix(whole, part)
	return found && !bare(part) && apart(head, part)
}

// says: part stands in whole, and not as a piece of a longer number or word: 3号楼 is not said by 13号楼.
func says(whole, part string) bool {
	if bare(part) {
		return false
	}
	for from := 0; ; {
		at := strings.Index(whole[from:], part)
		if at < 0 {
			return false
		}
		at += from
		if apart(whole[:at], part) && apart(part, whole[at+len(part):]) {
			return true
		}
		_, n := utf8.DecodeRuneInString(whole[at:])
		from = at + n
	}
}

// bare is a number alone: the 3 of a floor is not the 3 of "detector 3".
func bare(part string) bool {
	return strings.IndexFunc(part, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
}

// apart: no letter or digit of a is continued by one of z. Chinese characters need no space.
func apart(a, z string) bool {
	last, _ := utf8.DecodeLastRuneInString(a)
	first, _ := utf8.DecodeRuneInString(z)
	return !latin(last) || !latin(first)
}

func latin(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
