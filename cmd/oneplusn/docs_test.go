package main

import (
	"cmp"
	stderrors "errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"oneplusn/fanout"
	"oneplusn/fanout/flags"
	"oneplusn/fanout/metrics"
	"oneplusn/fanout/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the generated parts of docs/ again")

// checkGenerated compares the text between two markers of a page of docs/ with the code.
func checkGenerated(t *testing.T, page, name, want string) {
	t.Helper()
	path := "../../docs/" + page
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- generated: %s (go test ./cmd/oneplusn -run Documented -rewrite) -->\n", name), "<!-- end -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no part that begins with %q and ends with %q", path, begin, end)
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("%s does not say what the code says of %s: run this test with -rewrite", path, name)
	}
}

// cells is a line of a Markdown table.
func cells(texts ...string) string {
	for i := range texts {
		texts[i] = strings.ReplaceAll(texts[i], "|", `\|`)
	}
	return "| " + strings.Join(texts, " | ") + " |\n"
}

func TestFlagsAreDocumented(t *testing.T) {
	var out strings.Builder
	heading := ""
	for _, f := range new(server).flags() {
		if f.Heading != heading {
			heading = f.Heading
			fmt.Fprintf(&out, "\n### %s\n\n%s|---|---|---|---|\n", heading[:1]+strings.ToLower(heading[1:]), cells("flag, variable", "default", "allowed", "what it does"))
		}
		note, _, _ := strings.Cut(f.Note, ", here ")
		out.WriteString(cells("`--"+f.Name+"` `"+flags.Variable(f.Name)+"`", shortDuration(cmp.Or(note, f.Default)),
			strings.NewReplacer("h0m0s", "h", "0s ", "0 ").Replace(f.Allowed), strings.ReplaceAll(f.Help, "`", "")))
	}
	checkGenerated(t, "operations.md", "flags", out.String()+"\n")
}

func TestMetricsAreDocumented(t *testing.T) {
	var out strings.Builder
	out.WriteString("\n" + cells("metric", "label", "in /stats", "meaning") + "|---|---|---|---|\n")
	help := make(map[string]string)
	for _, m := range metrics.Of(reflect.TypeFor[fanout.Stats]()) {
		if m.Help == "" {
			m.Help = help[m.Name]
		}
		if m.Help == "" || strings.Contains(m.Path, ",") {
			t.Errorf("%s (%s) has no help, or no name in /stats", m.Name, m.Path)
		}
		help[m.Name] = m.Help
		out.WriteString(cells("`"+m.Name+"`", strings.TrimSuffix(m.Label+"="+m.Value, "="), "`"+m.Path+"`", m.Help))
	}
	checkGenerated(t, "operations.md", "metrics", out.String()+"\n")
}

func TestRequestsAreDocumented(t *testing.T) {
	var out strings.Builder
	out.WriteString("\n" + cells("request", "key", "versions", "what it does", "versions differ", "errors") + "|---|---|---|---|---|---|\n")
	for _, r := range fanout.Requests() {
		var errors []string
		for _, code := range r.Errors {
			var e *kerr.Error
			if !stderrors.As(kerr.ErrorForCode(code), &e) || code == 0 {
				t.Fatalf("request %d has no error %d", r.Key, code)
			}
			errors = append(errors, "`"+e.Message+"`")
		}
		versions := fmt.Sprintf("%d to %d", r.AcceptMin, r.Max)
		if r.AcceptMin == r.Max {
			versions = fmt.Sprint(r.Max)
		}
		out.WriteString(cells(wire.Describe(r.Key), fmt.Sprint(r.Key), versions, r.Does, r.Versions, strings.Join(errors, ", ")))
	}
	checkGenerated(t, "protocol.md", "requests", out.String()+"\n")
}
