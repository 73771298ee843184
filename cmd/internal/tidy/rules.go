package tidy

import (
	"bytes"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxColumns counts no text of string literals: a message is easier to search for in one piece.
	maxColumns = 140
	// maxFunctionLines fits on a screen.
	maxFunctionLines = 70
	// maxFileLines is far above what one idea needs.
	maxFileLines = 600
)

// rule is one rule about a Go file.
type rule struct {
	name  string
	check func(s *source) []Finding
}

var rules = []rule{
	{"line length", longLines},
	{"function length", longFunctions},
	{"file length", longFiles},
	{"banned calls", bannedCalls},
	{"banned imports", bannedImports},
	{"panic text", panicText},
	{"doc comments", undocumented},
	{"comments that repeat", repeatsSignature},
	{"fixed ports", fixedPorts},
}

func longLines(s *source) (found []Finding) {
	literal := literalBytes(s)
	for i, line := range bytes.Split(s.text, []byte("\n")) {
		if n := len([]rune(string(line))) - literal[i+1]; n > maxColumns {
			found = append(found, Finding{s.path, i + 1,
				"the line has " + strconv.Itoa(n) + " columns beside its string literals, the limit is " + strconv.Itoa(maxColumns) + ": break it"})
		}
	}
	return found
}

// literalBytes is how much of each line is the text of string literals.
func literalBytes(s *source) map[int]int {
	n := make(map[int]int)
	ast.Inspect(s.file, func(node ast.Node) bool {
		lit, ok := node.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		first := s.line(lit.Pos())
		for i, piece := range strings.Split(lit.Value, "\n") {
			n[first+i] += len([]rune(piece))
		}
		return true
	})
	return n
}

func longFunctions(s *source) (found []Finding) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFunctionLines {
			found = append(found, s.finding(f.Pos(), "%s has %d lines, the limit is %d: split it", f.Name.Name, n, maxFunctionLines))
		}
	}
	return found
}

func longFiles(s *source) []Finding {
	if n := bytes.Count(s.text, []byte("\n")); n > maxFileLines {
		return []Finding{{s.path, n, "the file has " + strconv.Itoa(n) + " lines, the limit is " + strconv.Itoa(maxFileLines) +
			": a file is one idea, split it"}}
	}
	return nil
}

func anywhere(*source) bool        { return true }
func outsideRing(s *source) bool   { return !s.within("ring") }
func library(s *source) bool       { return !s.isTest && s.within("ring", "segment", "fanout") }
func notACommand(s *source) bool   { return s.file.Name.Name != "main" }
func inSegment(s *source) bool     { return s.within("segment") }
func inRing(s *source) bool        { return s.within("ring") }
func inFanout(s *source) bool      { return s.within("fanout") }
func pureOfSockets(s *source) bool { return !s.isTest && s.within("fanout/wire", "fanout/group") }

// banned calls, by package and name. A name that ends with "*" stands for all that begin like it.
var calls = []struct {
	pkg, name string
	where     func(*source) bool
	instead   string
}{
	{"fmt", "Print*", library, "return it, or log it through the slog.Logger of the configuration"},
	{"time", "Sleep", library, "the loop never blocks: set a deadline and let the next Wait end there"},
	{"kgo", "DefaultDecompressor", library, "it inflates a batch whole, whatever its size: use segment/records, which has a limit and a window"},
	{"os", "Exit", notACommand, "return an error: only main ends the process"},
}

func bannedCalls(s *source) (found []Finding) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if !ok || pkg.Obj != nil { // a variable of that name
			return true
		}
		for _, c := range calls {
			prefix, open := strings.CutSuffix(c.name, "*")
			if pkg.Name == c.pkg && (sel.Sel.Name == prefix || open && strings.HasPrefix(sel.Sel.Name, prefix)) && c.where(s) {
				found = append(found, s.finding(n.Pos(), "%s.%s is not used here: %s", c.pkg, sel.Sel.Name, c.instead))
			}
		}
		return true
	})
	return found
}

// banned imports, with everything below them.
var imports = []struct {
	path    string
	where   func(*source) bool
	instead string
	but     []string // of what lies below path
}{
	{"log", anywhere, "use log/slog", nil},
	{"math/rand", anywhere, "use math/rand/v2, seeded by the test that needs it", nil},
	{"github.com/stretchr/testify", anywhere, "use package testing and a small helper", nil},
	{"github.com/pawelgaczynski/giouring", outsideRing, "go through ring.Kernel: only ring/ knows giouring", nil},
	{"oneplusn/ring", inSegment, "segment knows files and no ring: move it to fanout", nil},
	{"oneplusn/fanout", inSegment, "imports point from fanout to segment", nil},
	{"oneplusn/cmd", inSegment, "imports point from cmd to segment", nil},
	{"oneplusn/segment", inRing, "ring knows descriptors and no logs: move it to fanout", nil},
	{"oneplusn/fanout", inRing, "imports point from fanout to ring", nil},
	{"oneplusn/cmd", inRing, "imports point from cmd to ring", nil},
	{"oneplusn/cmd", inFanout, "imports point from cmd to fanout", nil},
	{"net", pureOfSockets, "this package is pure: bytes and time in, bytes out", nil},
	{"os", pureOfSockets, "this package is pure: bytes and time in, bytes out", nil},
	{"oneplusn/ring", pureOfSockets, "this package is pure: bytes and time in, bytes out", nil},
	{"oneplusn/segment", pureOfSockets, "this package is pure: bytes and time in, bytes out",
		[]string{"oneplusn/segment/records", "oneplusn/segment/list", "oneplusn/segment/invariants"}},
}

func bannedImports(s *source) (found []Finding) {
	for _, spec := range s.file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		for _, i := range imports {
			// log/slog and math/rand/v2 are packages of their own, not parts of those above them.
			below := strings.Contains(i.path, "oneplusn/") && strings.HasPrefix(path, i.path+"/")
			if (path == i.path || below && !slices.Contains(i.but, path)) && i.where(s) {
				found = append(found, s.finding(spec.Pos(), "%s is not imported here: %s", path, i.instead))
			}
		}
	}
	return found
}

// panicText wants panics to say which package they come from.
func panicText(s *source) (found []Finding) {
	if s.isTest {
		return nil
	}
	prefix := s.file.Name.Name + ": "
	if s.file.Name.Name == "main" {
		prefix = "oneplusn: "
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "panic" && f.Obj == nil && !strings.HasPrefix(firstText(call), prefix) {
			found = append(found, s.finding(n.Pos(), "a panic's text begins with %q, so that its reader knows where to look", prefix))
		}
		return true
	})
	return found
}

// firstText is the first string literal in an expression.
func firstText(n ast.Node) (text string) {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && !found {
			text, _ = strconv.Unquote(lit.Value)
			found = true
		}
		return !found
	})
	return text
}

// undocumented wants a comment on everything that other packages see, but for functions of one line that cannot fail: a comment
// on these mostly says their name again. One comment may stand over a group.
func undocumented(s *source) (found []Finding) {
	if s.isTest {
		return nil
	}
	missing := func(name *ast.Ident) {
		if name.IsExported() {
			found = append(found, s.finding(name.Pos(), "%s has no comment: say what it is, its units, bounds and errors", name.Name))
		}
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && receiverExported(d) && !trivial(d) {
				missing(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range undocumentedNames(d, spec) {
					missing(name)
				}
			}
		}
	}
	return found
}

func receiverExported(f *ast.FuncDecl) bool { return f.Recv == nil || ast.IsExported(receiverName(f)) }

// receiverName is the name of a method's type.
func receiverName(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// trivial says that a function returns one expression, takes nothing and cannot fail.
func trivial(f *ast.FuncDecl) bool {
	if f.Recv == nil || f.Body == nil || len(f.Body.List) != 1 || f.Type.Params.NumFields() > 0 || f.Type.Results.NumFields() != 1 {
		return false
	}
	_, isReturn := f.Body.List[0].(*ast.ReturnStmt)
	result, named := f.Type.Results.List[0].Type.(*ast.Ident)
	return isReturn && (!named || result.Name != "error")
}

// repeatsSignature wants comments on functions to say more than their signature does.
func repeatsSignature(s *source) (found []Finding) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Doc == nil || s.isTest || len(f.Doc.List) > 1 {
			continue
		}
		known := make(map[string]bool)
		ast.Inspect(&ast.FuncDecl{Recv: f.Recv, Name: f.Name, Type: f.Type}, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				for _, word := range identifierWords.FindAllString(id.Name, -1) {
					known[stem(word)] = true
				}
			}
			return true
		})
		text := strings.TrimPrefix(f.Doc.Text(), f.Name.Name)
		if !slices.ContainsFunc(proseWords.FindAllString(text, -1), func(word string) bool { return !known[stem(word)] && !filler[stem(word)] }) {
			found = append(found, s.finding(f.Doc.Pos(), "the comment of %s says no more than its signature: say why, or leave it out", f.Name.Name))
		}
	}
	return found
}

var (
	identifierWords = regexp.MustCompile(`[A-Z]?[a-z0-9]+|[A-Z]+`)
	proseWords      = regexp.MustCompile(`[A-Za-z]+`)
	filler          = func() map[string]bool {
		words := make(map[string]bool)
		for _, word := range strings.Fields("a an and are as at be by for from has have in into is it its of on or returns says that the this to was whether which with") {
			words[stem(word)] = true
		}
		return words
	}()
)

// stem makes forms of one word alike.
func stem(word string) string {
	word = strings.ToLower(word)
	for _, ending := range []string{"ing", "ed", "es", "s", "e"} {
		if cut, ok := strings.CutSuffix(word, ending); ok && len(cut) > 2 {
			return cut
		}
	}
	return word
}

func undocumentedNames(d *ast.GenDecl, spec ast.Spec) []*ast.Ident {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			return []*ast.Ident{spec.Name}
		}
	case *ast.ValueSpec:
		if d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			return spec.Names
		}
	}
	return nil
}

// fixedPort is an address on this host with a port that may be another program's.
var fixedPort = regexp.MustCompile(`^"(127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\])?:[1-9][0-9]{0,4}"$`)

func fixedPorts(s *source) (found []Finding) {
	if !s.isTest || s.within("cmd/internal/tidy") {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && fixedPort.MatchString(lit.Value) {
			found = append(found, s.finding(n.Pos(), "%s may be in use: listen on port 0 and ask for the address", lit.Value))
		}
		return true
	})
	return found
}

// marks are what is written into files that are not finished. They are put together here so that this file has none.
var marks = []string{"FIX" + "ME", "TO" + "DO", "XX" + "X", "HA" + "CK:"}

func leftovers(path string, text []byte) (found []Finding) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		words := bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '(' || r == ')' || r == '/' })
		for _, mark := range marks {
			begins := func(word []byte) bool { return strings.TrimSuffix(string(word), ":") == strings.TrimSuffix(mark, ":") }
			if slices.ContainsFunc(words, begins) {
				found = append(found, Finding{path, i + 1, "unfinished: do it, or say in prose what the limit is"})
			}
		}
	}
	return found
}
