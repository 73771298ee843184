// Package tidy is the house linter: rules beyond gofmt and go vet. A test of this package, which `make check` runs, checks
// them over the whole tree.
//
// # Invariants
//
//   - A rule's message says what to do instead.
//   - Every rule has an example in its own test that shows it firing, and one that it lets through.
package tidy

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Finding is one place that breaks a rule.
type Finding struct {
	// Path is relative to the root of the tree, Line counts from 1.
	Path    string
	Line    int
	Message string
}

// String is the form that editors understand.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Message) }

// source is one Go file.
type source struct {
	path   string // relative, with slashes
	text   []byte
	set    *token.FileSet
	file   *ast.File
	isTest bool
}

// within tells whether the file is in one of the directories or below it.
func (s *source) within(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(s.path, dir+"/") })
}

func (s *source) line(pos token.Pos) int { return s.set.Position(pos).Line }

func (s *source) finding(pos token.Pos, format string, args ...any) Finding {
	return Finding{s.path, s.line(pos), fmt.Sprintf(format, args...)}
}

// functions are the declared functions and methods.
func (s *source) functions() iter.Seq[*ast.FuncDecl] {
	return nodes[*ast.FuncDecl](s.file)
}

// nodes are the nodes of one type below a node, in the order of the text.
func nodes[N ast.Node](below ast.Node) iter.Seq[N] {
	return func(yield func(N) bool) {
		for n := range ast.Preorder(below) {
			if n, ok := n.(N); ok && !yield(n) {
				return
			}
		}
	}
}

func parse(path string, text []byte) (*source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("tidy: %w", err)
	}
	return &source{path, text, set, file, strings.HasSuffix(path, "_test.go")}, nil
}

// tree is everything that the rules look at.
type tree struct {
	sources []*source
	// others are text files that are not Go, by relative path: documents, make files, scripts, test data.
	others map[string][]byte
}

// load reads the tree below root.
func load(root string) (*tree, error) {
	t := &tree{others: make(map[string][]byte)}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || relative == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		return t.add(path, filepath.ToSlash(relative))
	})
	return t, err
}

// textSuffixes are the names of files besides Go's that people write.
var textSuffixes = []string{".md", ".sh", "Makefile", ".ci/run"}

func (t *tree) add(path, relative string) error {
	isGo := strings.HasSuffix(relative, ".go")
	isText := slices.ContainsFunc(textSuffixes, func(suffix string) bool { return strings.HasSuffix(relative, suffix) })
	if !isGo && !isText && !inTestdata(relative) {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !isGo || inTestdata(relative) {
		t.others[relative] = text
		return nil
	}
	s, err := parse(relative, text)
	if err != nil {
		return err
	}
	t.sources = append(t.sources, s)
	return nil
}

func inTestdata(path string) bool {
	return strings.HasPrefix(path, "testdata/") || strings.Contains(path, "/testdata/")
}

// Check applies all rules to the tree below root.
func Check(root string) ([]Finding, error) {
	t, err := load(root)
	if err != nil {
		return nil, err
	}
	found := slices.Concat(t.undocumentedPackages(), t.deadTestdata(), t.floorsKept(), t.tooManyMethods())
	for _, s := range t.sources {
		for _, r := range rules {
			found = append(found, r.check(s)...)
		}
		found = append(found, leftovers(s.path, s.text)...)
	}
	for path, text := range t.others {
		if !inTestdata(path) {
			found = append(found, leftovers(path, text)...)
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Path, b.Path), a.Line-b.Line) })
	return found, nil
}

// undocumentedPackages wants a package comment in one file of each package.
func (t *tree) undocumentedPackages() (found []Finding) {
	documented := make(map[string]bool)
	for _, s := range t.sources {
		if !s.isTest {
			dir := filepath.Dir(s.path)
			documented[dir] = documented[dir] || s.file.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			found = append(found, Finding{dir, 1, "the package has no comment: state its contract and list its invariants in doc.go"})
		}
	}
	return found
}

// deadTestdata wants each file of test data, or the directory it lies in, named by a test of the tree. Those of Go's
// fuzzing belong to the target that their directory is named after.
func (t *tree) deadTestdata() (found []Finding) {
	named := func(what string) bool {
		return slices.ContainsFunc(t.sources, func(s *source) bool {
			return s.isTest && !s.within("cmd/internal/tidy") && bytes.Contains(s.text, []byte(what))
		})
	}
	for path := range t.others {
		if !inTestdata(path) {
			continue
		}
		dir, base := filepath.Dir(path), filepath.Base(path)
		if named(base) || filepath.Base(dir) != "testdata" && named(filepath.Base(dir)) {
			continue
		}
		found = append(found, Finding{path, 1, "no test names this file or its directory: remove it"})
	}
	return found
}
