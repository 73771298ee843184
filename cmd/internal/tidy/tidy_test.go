package tidy

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestTheTreeKeepsTheHouseRules(t *testing.T) {
	found, err := Check("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// An empty tree would keep every rule.
func TestTheWholeTreeIsLookedAt(t *testing.T) {
	tree, err := load("../../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, s := range tree.sources {
		seen[s.path] = true
	}
	for _, path := range []string{"ring/ring.go", "segment/log.go", "fanout/broker.go", "fanout/wire/fetch.go",
		"cmd/oneplusn/main.go", "cmd/internal/tidy/tidy_test.go"} {
		if !seen[path] {
			t.Errorf("%s is not among the %d files that the rules are applied to", path, len(seen))
		}
	}
	if tree.others["Makefile"] == nil {
		t.Error("the Makefile is not looked at")
	}
}

// example is a file that breaks one rule in one place, and one that does not.
type example struct {
	rule, path string
	bad, good  string
	message    string // part of the finding's
}

var examples = []example{
	{"line length", "ring/x.go", "var x = " + strings.Repeat("1 + ", 40) + "1", `var x = "` + strings.Repeat("long ", 40) + `"`, "break it"},
	{"function length", "ring/x_test.go", "func f() {" + strings.Repeat("\n", maxFunctionLines) + "}",
		"func f() {" + strings.Repeat("\n", maxFunctionLines-1) + "}", "f has 71 lines"},
	{"file length", "ring/x.go", strings.Repeat("\n", maxFileLines), strings.Repeat("\n", maxFileLines-2), "split it"},
	{"banned calls", "fanout/x.go", `func f() { fmt.Println() }`, `func f(fmt printer) { fmt.Println() }`, "log it"},
	{"banned calls", "segment/x.go", `func f() { fmt.Printf("") }`, `func f() { _ = fmt.Sprintf("") }`, "log it"},
	{"banned calls", "ring/x.go", `func f() { time.Sleep(1) }`, `func f() { time.Now() }`, "deadline"},
	{"banned calls", "fanout/x.go", `func f() { kgo.DefaultDecompressor() }`, `func f() { kgo.NewClient() }`, "inflates"},
	{"banned calls", "fanout/catalog/x.go", `func f() { os.ReadDir("") }`, `func f() { fsys.ReadDir("") }`, "segment.FS"},
	{"banned calls", "cmd/internal/load/x.go", `func f() { os.Exit(1) }`, `func f() { os.Getpid() }`, "only main"},
	{"banned imports", "cmd/oneplusn/x.go", `import "log"`, `import "log/slog"`, "log/slog"},
	{"banned imports", "fanout/x.go", `import "math/rand"`, `import "math/rand/v2"`, "math/rand/v2"},
	{"banned imports", "fanout/x.go", `import "github.com/pawelgaczynski/giouring"`, `import "oneplusn/ring"`, "ring.Kernel"},
	{"banned imports", "fanout/x_test.go", `import "github.com/stretchr/testify"`, `import "testing"`, "small helper"},
	{"banned imports", "segment/x.go", `import "oneplusn/ring"`, `import "os"`, "no ring"},
	{"banned imports", "segment/x.go", `import "oneplusn/fanout/wire"`, `import "io"`, "from fanout to segment"},
	{"banned imports", "segment/x.go", `import "oneplusn/cmd/internal/load"`, `import "io"`, "from cmd"},
	{"banned imports", "ring/sim/x.go", `import "oneplusn/segment"`, `import "oneplusn/ring"`, "no logs"},
	{"banned imports", "ring/x.go", `import "oneplusn/fanout"`, `import "io"`, "from fanout to ring"},
	{"banned imports", "ring/x.go", `import "oneplusn/cmd/internal/load"`, `import "io"`, "from cmd"},
	{"banned imports", "fanout/x.go", `import "oneplusn/cmd/internal/load"`, `import "oneplusn/segment"`, "from cmd"},
	{"banned imports", "fanout/wire/x.go", `import "net"`, `import "fmt"`, "pure"},
	{"banned imports", "fanout/group/x.go", `import "os"`, `import "time"`, "pure"},
	{"banned imports", "fanout/wire/x.go", `import "oneplusn/ring"`, `import "fmt"`, "pure"},
	{"banned imports", "fanout/group/x.go", `import "oneplusn/segment"`, `import "oneplusn/segment/records"`, "pure"},
	{"behind hooks", "fanout/x.go", `func f() { time.Now() }`, `func f() { time.Unix(0, 0) }`, "time.Now asks the host"},
	{"behind hooks", "fanout/x.go", `var now = time.Now`, `var now time.Time`, "asks the host"},
	{"behind hooks", "segment/x.go", `func f() { unix.Getrlimit(0, nil) }`, `func f() error { return unix.Errno(unix.EIO) }`, "Getrlimit"},
	{"behind hooks", "fanout/catalog/x.go", `func f() { go f() }`, `func f() { f() }`, "goroutine"},
	{"behind hooks", "fanout/catalog/x.go", `func f() { wait.Go(f) }`, `func f() { loop.Go(f, f) }`, "goroutine"},
	{"behind hooks", "fanout/group/x.go", `import "crypto/rand"`, `import "crypto/sha256"`, "crypto/rand"},
	{"behind hooks", "segment/x.go", `import "math/rand/v2"`, `import "math/bits"`, "math/rand/v2"},
	{"behind hooks", "ring/sim/x.go", `func f() { os.Getpid() }`, `func f() { os.IsNotExist(nil) }`, "os.Getpid"},
	{"import order", "fanout/x.go", "import (\n\t\"oneplusn/ring\"\n\n\t\"io\"\n)", "import (\n\t\"io\"\n\n\t\"oneplusn/ring\"\n)", "three groups"},
	{"import order", "fanout/x.go", "import (\n\t\"io\"\n\t\"oneplusn/ring\"\n)", "import \"io\"", "three groups"},
	{"panic text", "ring/x.go", `func f() { panic("broken") }`, `func f() { panic("p: broken") }`, `"p: "`},
	{"panic text", "ring/x.go", `func f(err error) { panic(err) }`, `func f() { panic(fmt.Sprintf("p: %d", 1)) }`, `"p: "`},
	{"doc comments", "ring/x.go", `func F() {}`, "// F is.\nfunc F() {}", "F has no comment"},
	{"doc comments", "ring/x.go", `type T struct{}`, "// T is.\ntype T struct{}", "T has no comment"},
	{"doc comments", "ring/x.go", "func (*T) F() error { return nil }", "func (*T) F() int { return 1 }", "F has no comment"},
	{"doc comments", "ring/x.go", "func (T) F(n int) int { return n }", "func (T) F() int { return 1 }", "F has no comment"},
	{"comments that repeat", "ring/x.go", "// closeFile closes the file.\nfunc closeFile() {}", "// closeFile never waits.\nfunc closeFile() {}", "no more than"},
	{"comments that repeat", "ring/x.go", "// has says whether the set has a name.\nfunc (s *set) has(name string) bool { return true }",
		"// has is true for all names.\nfunc (s *set) has(name string) bool { return true }", "no more than"},
	{"doc comments", "ring/x.go", "func (*t) F() {}\nfunc (*T[K]) G() {}", "func (t) F() {}", "G has no comment"},
	{"doc comments", "ring/x.go", "const (\n\tA = 1\n)", "// All.\nconst (\n\tA = 1\n)\nconst (\n\tB = 1 // B is.\n)", "A has no comment"},
	{"fixed ports", "fanout/x_test.go", `var a = "127.0.0.1:9092"`, `var a = "127.0.0.1:0"`, "port 0"},
	{"fixed ports", "fanout/x_test.go", `var a = ":8080"`, `var a = "example.com:9092"`, "port 0"},
}

func init() {
	for _, call := range []string{"OpenFile", "Create", "ReadFile", "WriteFile", "MkdirAll", "Rename", "RemoveAll", "Stat", "Lstat"} {
		examples = append(examples, example{"banned calls", "segment/x.go", "func f() { os." + call + "() }", "func f() { fsys." + call + "() }", "segment.FS"})
	}
}

func TestEachRuleFires(t *testing.T) {
	fired := make(map[string]bool)
	for i, e := range examples {
		t.Run(fmt.Sprintf("%d/%s", i, e.rule), func(t *testing.T) {
			found := findings(t, e, e.bad)
			if len(found) != 1 || !strings.Contains(found[0].Message, e.message) {
				t.Errorf("%q gave %v, want one finding with %q", e.bad, found, e.message)
			}
			if found := findings(t, e, e.good); len(found) != 0 {
				t.Errorf("%q gave %v, want none", e.good, found)
			}
			fired[e.rule] = true
		})
	}
	for _, r := range rules {
		if !fired[r.name] {
			t.Errorf("the rule %q has no example", r.name)
		}
	}
}

func findings(t *testing.T, e example, body string) []Finding {
	t.Helper()
	s, err := parse(e.path, []byte("package p\n"+body+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.name == e.rule {
			return r.check(s)
		}
	}
	t.Fatalf("there is no rule %q", e.rule)
	return nil
}

func TestEveryBannedCallAndImportHasAnExample(t *testing.T) {
	shown := func(rule string, path string) bool {
		for _, e := range examples {
			if e.rule == rule && strings.Contains(e.bad, path) {
				return true
			}
		}
		return false
	}
	for _, c := range calls {
		if !shown("banned calls", c.pkg+"."+strings.TrimSuffix(c.name, "*")) {
			t.Errorf("%s.%s has no example", c.pkg, c.name)
		}
	}
	for _, i := range imports {
		if !shown("banned imports", i.path) {
			t.Errorf("%s has no example", i.path)
		}
	}
}

func TestUnfinishedPlacesAreFound(t *testing.T) {
	for _, mark := range marks {
		for _, text := range []string{"// " + mark + " later", "x // " + strings.TrimSuffix(mark, ":") + ": later", mark + "(me) later"} {
			if found := leftovers("README.md", []byte("first\n"+text)); len(found) != 1 || found[0].Line != 2 {
				t.Errorf("%q gave %v, want one finding in line 2", text, found)
			}
		}
	}
	if found := leftovers("x.go", []byte("a hack, and a list of todos")); len(found) != 0 {
		t.Errorf("prose gave %v", found)
	}
}

func TestPackagesWithoutACommentAreFound(t *testing.T) {
	bare, _ := parse("fanout/x.go", []byte("package p\n"))
	documented, _ := parse("ring/x.go", []byte("// Package p is.\npackage p\n"))
	beside, _ := parse("ring/y.go", []byte("package p\n"))
	found := (&tree{sources: []*source{bare, documented, beside}}).undocumentedPackages()
	if len(found) != 1 || found[0].Path != "fanout" {
		t.Errorf("found %v, want fanout alone", found)
	}
}

func TestDeadTestdataIsFound(t *testing.T) {
	user, _ := parse("fanout/x_test.go", []byte("package p\nvar a = \"used.txt\"\nvar b = \"../testdata/frames\"\nfunc FuzzX() {}\n"))
	tr := &tree{sources: []*source{user}, others: map[string][]byte{
		"testdata/used.txt": nil, "testdata/dead.txt": nil, "testdata/frames/a.hex": nil,
		"fanout/testdata/fuzz/FuzzX/1": nil, "fanout/testdata/fuzz/FuzzGone/1": nil, "README.md": nil,
	}}
	got := make(map[string]bool)
	for _, f := range tr.deadTestdata() {
		got[f.Path] = true
	}
	if len(got) != 2 || !got["testdata/dead.txt"] || !got["fanout/testdata/fuzz/FuzzGone/1"] {
		t.Errorf("found %v, want dead.txt and FuzzGone/1", got)
	}
}

const drawing = "# x\n\n## The floors\n\n    3  fanout: loop.go    text\n    2  fanout: NN_*.go  text of it\n" +
	"    1  fanout/conn  text\n       segment\n\n## More\n\n    9  nothing  at all\n"

func TestReferencesUpwardAreFound(t *testing.T) {
	good := map[string]string{
		"fanout/loop.go":   "package fanout\nimport \"oneplusn/fanout/conn\"\nvar x = conn.X\nfunc turn() { answer() }\ntype kind int\nfunc (kind) stop() {}\n",
		"fanout/12_x.go":   "package fanout\nimport \"oneplusn/segment\"\nfunc answer() { segment.F() }\n",
		"fanout/conn/x.go": "package conn\nfunc answer() { turn() }\nfunc turn() {}\n",
		"segment/x.go":     "package segment\n",
	}
	for _, c := range []struct{ path, text, message string }{
		{"segment/x.go", good["segment/x.go"], ""},
		{"segment/x.go", "package segment\nimport \"oneplusn/fanout/conn\"\n", "segment is on floor 1 and fanout/conn on 1"},
		{"fanout/conn/x.go", "package conn\nimport \"oneplusn/fanout\"\n", "fanout/conn is on floor 1 and fanout on 2"},
		{"fanout/12_x.go", "package fanout\nfunc answer() { turn() }\n", "turn is declared on floor 3"},
		{"fanout/12_x.go", "package fanout\nfunc answer(k kind) {}\n", "kind is declared on floor 3"},
		{"fanout/12_x.go", "package fanout\nfunc answer(kind int) {}\n", ""},
		{"fanout/12_x.go", "package fanout\nfunc answer(x y) { x.stop() }\n", "stop is declared on floor 3"},
		{"fanout/12_x.go", "package fanout\nfunc answer(x y) { x.stop = z{stop: x.turn} }\n", ""},
		{"fanout/stray/x.go", "package stray\n", "no floor of the drawing"},
		{"segment/x.go", "", "segment  is drawn and does not exist"},
	} {
		files := maps.Clone(good)
		files[c.path] = c.text
		tr := &tree{others: map[string][]byte{floorsFile: []byte(drawing)}}
		for path, text := range files {
			if s, err := parse(path, []byte(text)); err == nil {
				tr.sources = append(tr.sources, s)
			}
		}
		found := tr.floorsKept()
		if c.message == "" && len(found) != 0 || c.message != "" && (len(found) != 1 || !strings.Contains(found[0].Message, c.message)) {
			t.Errorf("%s: %q gave %v, want %q", c.path, c.text, found, c.message)
		}
	}
	tr := &tree{others: map[string][]byte{floorsFile: []byte("# nothing\n")}}
	if found := tr.floorsKept(); len(found) != 1 {
		t.Errorf("a document without the drawing gave %v", found)
	}
}

func TestTypesWithTooManyMethodsAreFound(t *testing.T) {
	methods := func(n int) *tree {
		text := "package p\n"
		for i := range n {
			text += fmt.Sprintf("func (t *T) f%d() {}\n", i)
		}
		s, _ := parse("ring/x.go", []byte(text))
		return &tree{sources: []*source{s}}
	}
	if found := methods(maxMethods).tooManyMethods(); len(found) != 0 {
		t.Errorf("%d methods gave %v", maxMethods, found)
	}
	if found := methods(maxMethods + 1).tooManyMethods(); len(found) != 1 || !strings.Contains(found[0].Message, "ring.T has 65 methods") {
		t.Errorf("%d methods gave %v", maxMethods+1, found)
	}
}
