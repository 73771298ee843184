//go:build interop

package interop

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the table of clients into docs/clients.md")

const (
	tablePage  = "../../../docs/clients.md"
	tableBegin = "<!-- The table of `make interop`; `make clients-table` writes it. -->\n"
	tableEnd   = "<!-- End of the table. -->\n"
)

// outcomes are the cells of the table client x promise.
type outcomes struct {
	mu       sync.Mutex
	versions map[string]string
	cells    map[[2]string]string
}

func newOutcomes() *outcomes {
	return &outcomes{versions: map[string]string{}, cells: map[[2]string]string{}}
}

func (o *outcomes) version(client, version string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[client] = version
}

func (o *outcomes) set(client, promise, outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cells[[2]string{client, promise}] = outcome
}

func (o *outcomes) table() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out strings.Builder
	out.WriteString("| client | version |")
	for _, p := range promises {
		fmt.Fprintf(&out, " %s |", p.name)
	}
	out.WriteString("\n|" + strings.Repeat(" --- |", len(promises)+2) + "\n")
	for _, c := range clients {
		fmt.Fprintf(&out, "| %s | %s |", c.name, o.versions[c.name])
		for _, p := range promises {
			fmt.Fprintf(&out, " %s |", o.cells[[2]string{c.name, p.name}])
		}
		out.WriteString("\n")
	}
	return out.String()
}

// report leaves the table for `make interop` to print. The documentation must match it.
func (o *outcomes) report(t *testing.T) {
	t.Helper()
	table := o.table()
	if err := os.WriteFile("../../../bin/interop/table.md", []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(tablePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), tableBegin)
	documented, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table: it is between %q and %q", tablePage, tableBegin, tableEnd)
	}
	switch {
	case t.Failed() || len(o.versions) < len(clients): // something went wrong, or -run chose some clients
		return
	case *rewrite:
		if err := os.WriteFile(tablePage, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case documented != table:
		t.Errorf("%s has another table: `make clients-table` writes this one:\n%s", tablePage, table)
	}
}
