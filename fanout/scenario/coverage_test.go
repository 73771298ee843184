package scenario

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"oneplusn/segment/mark"
)

var simNightly = flag.Bool("sim.nightly", false, "fail if a mark in the code was never met: the run is long enough to meet all")

// marked is a mark in the code.
type marked struct{ name, at string }

// root is the top of the source tree, seen from here.
const root = "../.."

// marks are all marks, in the order of files and lines.
func marks(t *testing.T) (all []marked) {
	t.Helper()
	set := token.NewFileSet()
	for _, dir := range []string{"fanout", "ring", "segment"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for n := range ast.Preorder(file) {
				if call, ok := n.(*ast.CallExpr); ok && isMark(call) {
					at := set.Position(call.Pos())
					relative, _ := filepath.Rel(root, at.Filename)
					all = append(all, marked{literal(call.Args[len(call.Args)-1]), fmt.Sprintf("%s:%d", filepath.ToSlash(relative), at.Line)})
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func isMark(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && pkg.Name == "mark" && (f.Sel.Name == "Hit" || f.Sel.Name == "HitIf")
}

// literal is the text of a string literal, and empty for all else.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(lit.Value)
	return text
}

// plain is some words, or short forms of the field such as CRC.
var plain = regexp.MustCompile(`^([a-z0-9]+('s|s')?|[a-z]+-[a-z]+|[A-Z]+)(,? ([a-z0-9]+('s|s')?|[a-z]+-[a-z]+|[A-Z]+)){2,}$`)

func TestMarksAreNamedOnceInPlainWords(t *testing.T) {
	first := make(map[string]string)
	for _, m := range marks(t) {
		switch before, known := first[m.name]; {
		case m.name == "":
			t.Errorf("%s: a mark's name is a literal, so that all marks can be listed", m.at)
		case known:
			t.Errorf("%s: %q is the mark at %s, too: give it a name of its own", m.at, m.name, before)
		case !plain.MatchString(m.name) || len(m.name) > 90:
			t.Errorf("%s: %q: a mark's name says in three or more plain words, and at most 90 columns, what was met", m.at, m.name)
		}
		first[m.name] = m.at
	}
	if len(first) == 0 {
		t.Error("there are no marks")
	}
}

// coverage prints how often each mark was met. In a nightly run one that never was is a failure: either nothing can lead there, then it
// goes, or the scenario lacks what does.
func coverage(t *testing.T) {
	t.Helper()
	var met, never strings.Builder
	all, missing, counts := marks(t), 0, mark.Counts()
	for _, m := range all {
		if n := counts[m.name]; n > 0 {
			fmt.Fprintf(&met, "%12d  %s\n", n, m.name)
		} else {
			missing++
			fmt.Fprintf(&never, "              %s  (%s)\n", m.name, m.at)
		}
	}
	t.Logf("%d of %d marks were met:\n%s", len(all)-missing, len(all), met.String())
	if missing == 0 {
		return
	}
	report := t.Logf
	if *simNightly {
		report = t.Errorf
	}
	report("never met:\n%s", never.String())
}
