package tidy

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
	{"behind hooks", behindHooks},
	{"import order", importOrder},
	{"panic text", panicText},
	{"doc comments", undocumented},
	{"comments that repeat", repeatsSignature},
	{"fixed ports", fixedPorts},
}

func longLines(s *source) (found []Finding) {
	literal := literalBytes(s)
	for i, line := range bytes.Split(s.text, []byte("\n")) {
		if n := utf8.RuneCount(line) - literal[i+1]; n > maxColumns {
			found = append(found, Finding{s.path, i + 1,
				fmt.Sprintf("the line has %d columns without its string literals, the limit is %d: break it", n, maxColumns)})
		}
	}
	return found
}

// literalBytes is how much of each line is the text of string literals.
func literalBytes(s *source) map[int]int {
	n := make(map[int]int)
	for lit := range nodes[*ast.BasicLit](s.file) {
		if lit.Kind == token.STRING {
			for i, piece := range strings.Split(lit.Value, "\n") {
				n[s.line(lit.Pos())+i] += utf8.RuneCountInString(piece)
			}
		}
	}
	return n
}

func longFunctions(s *source) (found []Finding) {
	for f := range s.functions() {
		if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFunctionLines {
			found = append(found, s.finding(f.Pos(), "%s has %d lines, the limit is %d: split it", f.Name.Name, n, maxFunctionLines))
		}
	}
	return found
}

func longFiles(s *source) []Finding {
	if n := bytes.Count(s.text, []byte("\n")); n > maxFileLines {
		return []Finding{{s.path, n, fmt.Sprintf("the file has %d lines, the limit is %d: a file is one idea, split it", n, maxFileLines)}}
	}
	return nil
}

func anywhere(*source) bool      { return true }
func outsideRing(s *source) bool { return !s.within("ring") }
func outsideCmd(s *source) bool  { return !s.within("cmd") }
func library(s *source) bool     { return !s.isTest && s.within("ring", "segment", "fanout") }
func notACommand(s *source) bool { return s.file.Name.Name != "main" }
func inSegment(s *source) bool   { return s.within("segment") }
func inRing(s *source) bool      { return s.within("ring") }
func onDisk(s *source) bool {
	return !s.isTest && s.within("segment", "fanout/catalog", "fanout/offsets", "fanout/commit") && s.path != "segment/fs.go" && s.path != "segment/lock.go"
}
func pureOfSockets(s *source) bool { return !s.isTest && s.within("fanout/wire", "fanout/group") }

const throughFS = "go through segment.FS: tests let each operation of it fail"

// calls are banned by package and name. A name that ends with "*" stands for all names with that prefix.
var calls = []struct {
	pkg, name string
	where     func(*source) bool
	instead   string
}{
	{"fmt", "Print*", library, "return it, or log it through the slog.Logger of the configuration"},
	{"time", "Sleep", library, "the loop never blocks: set a deadline and let the next Wait end there"},
	{"kgo", "DefaultDecompressor", library, "it inflates a batch whole, whatever its size: use segment/records, which has a limit and a window"},
	{"os", "Open*", onDisk, throughFS},
	{"os", "Create*", onDisk, throughFS},
	{"os", "Read*", onDisk, throughFS},
	{"os", "WriteFile", onDisk, throughFS},
	{"os", "Mkdir*", onDisk, throughFS},
	{"os", "Rename", onDisk, throughFS},
	{"os", "Remove*", onDisk, throughFS},
	{"os", "Stat", onDisk, throughFS},
	{"os", "Lstat", onDisk, throughFS},
	{"os", "Exit", notACommand, "return an error: only main ends the process"},
}

func bannedCalls(s *source) (found []Finding) {
	for sel := range nodes[*ast.SelectorExpr](s.file) {
		pkg, ok := sel.X.(*ast.Ident)
		if !ok || pkg.Obj != nil { // a variable of that name
			continue
		}
		for _, c := range calls {
			prefix, open := strings.CutSuffix(c.name, "*")
			if pkg.Name == c.pkg && (sel.Sel.Name == prefix || open && strings.HasPrefix(sel.Sel.Name, prefix)) && c.where(s) {
				found = append(found, s.finding(sel.Pos(), "%s.%s is not used here: %s", c.pkg, sel.Sel.Name, c.instead))
			}
		}
	}
	return found
}

// imports are banned with all packages below them.
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
	{"oneplusn/ring", inSegment, "segment knows files and no ring: move it to fanout", []string{"oneplusn/ring/sim"}}, // for tests: see the floors
	{"oneplusn/fanout", inSegment, "imports point from fanout to segment", nil},
	{"oneplusn/segment", inRing, "ring knows descriptors and no logs: move it to fanout", []string{"oneplusn/segment/cachestat", "oneplusn/segment/disk", "oneplusn/segment/mark"}},
	{"oneplusn/fanout", inRing, "imports point from fanout to ring", nil},
	{"oneplusn/cmd", outsideCmd, "imports point from cmd to ring, segment and fanout", nil},
	{"net", pureOfSockets, "this package is pure: bytes and time in, bytes out", nil},
	{"os", pureOfSockets, "this package is pure: bytes and time in, bytes out", nil},
	{"oneplusn/ring", pureOfSockets, "this package is pure: bytes and time in, bytes out", nil},
	{"oneplusn/segment", pureOfSockets, "this package is pure: bytes and time in, bytes out",
		[]string{"oneplusn/segment/records", "oneplusn/segment/list", "oneplusn/segment/invariants", "oneplusn/segment/mark"}},
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
// importOrder wants the standard library first, this module last.
func importOrder(s *source) (found []Finding) {
	kind := func(spec *ast.ImportSpec) int {
		first, _, _ := strings.Cut(strings.Trim(spec.Path.Value, `"`), "/")
		switch {
		case first == "oneplusn":
			return 2
		case strings.Contains(first, "."):
			return 1
		}
		return 0
	}
	for i, spec := range s.file.Imports[min(1, len(s.file.Imports)):] {
		before := s.file.Imports[i]
		if kind(before) > kind(spec) || kind(before) < kind(spec) && s.line(spec.Pos()) == s.line(before.Pos())+1 {
			found = append(found, s.finding(spec.Pos(), "import in three groups: the standard library, other modules, oneplusn"))
		}
	}
	return found
}

func panicText(s *source) (found []Finding) {
	if s.isTest {
		return nil
	}
	prefix := s.file.Name.Name + ": "
	if s.file.Name.Name == "main" {
		prefix = "oneplusn: "
	}
	for call := range nodes[*ast.CallExpr](s.file) {
		if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "panic" && f.Obj == nil && !strings.HasPrefix(firstText(call), prefix) {
			found = append(found, s.finding(call.Pos(), "a panic's text begins with %q, so that its reader knows where to look", prefix))
		}
	}
	return found
}

// firstText is the first string literal in an expression.
func firstText(n ast.Node) string {
	for lit := range nodes[*ast.BasicLit](n) {
		if lit.Kind == token.STRING {
			text, _ := strconv.Unquote(lit.Value)
			return text
		}
	}
	return ""
}

// undocumented wants a comment on everything that other packages see. Functions of one line that cannot fail need none: it
// would only repeat their name. One comment may stand over a group.
func undocumented(s *source) (found []Finding) {
	if s.isTest {
		return nil
	}
	want := func(name *ast.Ident, comments ...*ast.CommentGroup) {
		documented := slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c != nil })
		if name.IsExported() && !documented {
			found = append(found, s.finding(name.Pos(), "%s has no comment: say what it is, its units, bounds and errors", name.Name))
		}
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if receiverExported(d) && !trivial(d) {
				want(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					want(spec.Name, d.Doc, spec.Doc, spec.Comment)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						want(name, d.Doc, spec.Doc, spec.Comment)
					}
				}
			}
		}
	}
	return found
}

func receiverExported(f *ast.FuncDecl) bool { return f.Recv == nil || ast.IsExported(receiverName(f)) }

// receiverName is the name of a method's type.
func receiverName(f *ast.FuncDecl) string {
	for name := range nodes[*ast.Ident](f.Recv.List[0].Type) {
		return name.Name // type parameters come behind it
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
	for f := range s.functions() {
		if f.Doc == nil || s.isTest || len(f.Doc.List) > 1 {
			continue
		}
		known := make(map[string]bool)
		for id := range nodes[*ast.Ident](&ast.FuncDecl{Recv: f.Recv, Name: f.Name, Type: f.Type}) {
			for _, word := range identifierWords.FindAllString(id.Name, -1) {
				known[stem(word)] = true
			}
		}
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

// fixedPort is an address on this host with a port that another program may use.
var fixedPort = regexp.MustCompile(`^"(127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\])?:[1-9][0-9]{0,4}"$`)

func fixedPorts(s *source) (found []Finding) {
	if !s.isTest || s.within("cmd/internal/tidy") {
		return nil
	}
	for lit := range nodes[*ast.BasicLit](s.file) {
		if fixedPort.MatchString(lit.Value) {
			found = append(found, s.finding(lit.Pos(), "%s may be in use: listen on port 0 and ask for the address", lit.Value))
		}
	}
	return found
}

// marks are the words of unfinished places. They are concatenated here so that this file has none.
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
