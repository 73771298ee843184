package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The drawing of the floors in ARCHITECTURE.md is the rule: a part refers to parts on lower floors only. A line of it is a floor's
// number and a part; a line without a number stands on the floor of the one above:
//
//	3  fanout/conn      text
//	   fanout/commit    text
//	9  fanout: a.go b.go            files of one package may be parts of it; NN_*.go stands for all with numbers
const (
	floorsFile    = "ARCHITECTURE.md"
	floorsHeading = "## The floors"
)

var floorLine = regexp.MustCompile(`^    +(\d+)? +([a-z][a-z/]*)(:)?(?: ([a-zA-Z0-9_*. ]+?))?(?:  .*)?$`)

// floor is where a part stands.
type floor struct {
	level int
	pkg   string
	files []string // patterns of the package's files; none for all of them
	line  int
}

func (f *floor) has(s *source) bool {
	if path.Dir(s.path) != f.pkg {
		return false
	}
	matches := func(pattern string) bool { ok, _ := path.Match(pattern, path.Base(s.path)); return ok }
	return len(f.files) == 0 || slices.ContainsFunc(f.files, matches)
}

// readFloors reads the drawing.
func readFloors(text []byte) (floors []floor, found []Finding) {
	level, inside := 0, false
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "## ") {
			inside = line == floorsHeading
		}
		m := floorLine.FindStringSubmatch(line)
		if !inside || m == nil {
			continue
		}
		if m[1] != "" {
			level, _ = strconv.Atoi(m[1])
		}
		f := floor{level: level, pkg: m[2], line: i + 1}
		if m[3] != "" {
			f.files = strings.Fields(strings.ReplaceAll(m[4], "NN_", "[0-9][0-9]_"))
		}
		floors = append(floors, f)
	}
	if len(floors) == 0 {
		found = append(found, Finding{floorsFile, 1, "the drawing under " + floorsHeading + " is missing: it says which part may refer to which"})
	}
	return floors, found
}

// floorsKept wants every package of ring, segment and fanout on a floor, and no reference to the same or a higher one.
func (t *tree) floorsKept() (found []Finding) {
	text, ok := t.others[floorsFile]
	if !ok {
		return nil // not the whole tree
	}
	floors, found := readFloors(text)
	of := func(s *source) *floor {
		if i := slices.IndexFunc(floors, func(f floor) bool { return f.has(s) }); i >= 0 {
			return &floors[i]
		}
		return nil
	}
	standing := make(map[int]bool)
	parts := make(map[*source]*floor)
	for _, s := range t.sources {
		if s.isTest || !s.within("ring", "segment", "fanout") {
			continue
		}
		f := of(s)
		if f == nil {
			found = append(found, Finding{s.path, 1, "no floor of the drawing in " + floorsFile + " has this file: add its part"})
			continue
		}
		parts[s] = f
		standing[f.line] = true
		found = append(found, upwardImports(s, f, floors)...)
	}
	for _, f := range floors {
		if !standing[f.line] {
			found = append(found, Finding{floorsFile, f.line, fmt.Sprintf("%s %s is drawn and does not exist", f.pkg, strings.Join(f.files, " "))})
		}
	}
	return append(found, upwardReferences(parts)...)
}

func upwardImports(s *source, from *floor, floors []floor) (found []Finding) {
	for _, spec := range s.file.Imports {
		pkg, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "oneplusn/")
		if !ours || pkg == from.pkg {
			continue
		}
		lowest := -1
		for _, f := range floors {
			if f.pkg == pkg && (lowest < 0 || f.level < lowest) {
				lowest = f.level
			}
		}
		if lowest >= from.level {
			found = append(found, s.finding(spec.Pos(), "%s is on floor %d and %s on %d: refer downward, and let the upper part hand in what is needed (%s)",
				from.pkg, from.level, pkg, lowest, floorsFile))
		}
	}
	return found
}

// upwardReferences wants no file to name what a file of the same package declares on a higher floor. A method counts where
// it is called.
func upwardReferences(parts map[*source]*floor) (found []Finding) {
	names, methods := make(map[string]*floor), make(map[string]*floor) // by package and name
	for s, f := range parts {
		if len(f.files) > 0 {
			declare(s, f, names, methods)
		}
	}
	for s, f := range parts {
		selected, called := make(map[*ast.Ident]bool), make(map[*ast.Ident]bool)
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr: // comes before what it calls
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
					called[sel.Sel] = true
				}
			case *ast.SelectorExpr: // a field, a method, or another package's
				selected[n.Sel] = true
			case *ast.KeyValueExpr:
				if field, ok := n.Key.(*ast.Ident); ok {
					selected[field] = true
				}
			case *ast.Ident:
				declared := names
				if called[n] {
					declared = methods
				} else if selected[n] || n.Obj != nil && n.Obj.Kind != ast.Fun {
					return true
				}
				if to := declared[f.pkg+"."+n.Name]; to != nil && to.level > f.level {
					found = append(found, s.finding(n.Pos(), "%s is declared on floor %d and named on floor %d: refer downward (%s)",
						n.Name, to.level, f.level, floorsFile))
				}
			}
			return true
		})
	}
	return found
}

// declare adds what a file declares: functions, types, variables and constants to names, unexported methods to methods.
func declare(s *source, f *floor, names, methods map[string]*floor) {
	lower := func(to map[string]*floor, name string) {
		if key := f.pkg + "." + name; to[key] == nil || to[key].level > f.level {
			to[key] = f
		}
	}
	for name := range s.file.Scope.Objects {
		lower(names, name)
	}
	for method := range s.functions() {
		if method.Recv != nil && !method.Name.IsExported() {
			lower(methods, method.Name.Name)
		}
	}
}

// maxMethods is how many methods a type may have. A type with more has state that wants a type of its own.
const maxMethods = 64

// methodLimits are those of types with more, which may not grow, and of the one that is to stay small.
var methodLimits = map[string]int{
	"fanout.Broker":            39,
	"segment.Log":              106,
	"fanout/group.Coordinator": 111,
}

// tooManyMethods counts the methods of each type.
func (t *tree) tooManyMethods() (found []Finding) {
	methods := make(map[string][]Finding)
	for _, s := range t.sources {
		if s.isTest {
			continue
		}
		for f := range s.functions() {
			if f.Recv != nil {
				name := path.Dir(s.path) + "." + receiverName(f)
				methods[name] = append(methods[name], s.finding(f.Pos(), ""))
			}
		}
	}
	for name, all := range methods {
		limit := cmp.Or(methodLimits[name], maxMethods)
		if len(all) > limit {
			f := all[len(all)-1]
			f.Message = fmt.Sprintf("%s has %d methods, the limit is %d: give a part of its state a type of its own", name, len(all), limit)
			found = append(found, f)
		}
	}
	return found
}
