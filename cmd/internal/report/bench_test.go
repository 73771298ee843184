package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func benchRuns() []*BenchRun {
	run := func(server string, cpu float64) *BenchRun {
		return &BenchRun{Server: server, RingSize: 64, Subscribers: 10, DeliveredBytes: 1e9, Seconds: 1, ServerCPUSeconds: cpu,
			CopiesCounted: server != "nginx", PipesLentMax: 3, PipesLimit: 8}
	}
	return []*BenchRun{run("copy", 0.4), run("splice", 0.1), run("nginx", 0.2), run("copy", 0.6), run("splice", 0.3), run("nginx", 0.2)}
}

func TestTableHasMediansSpreadAndTheRatioToTheYardstick(t *testing.T) {
	var out strings.Builder
	WriteBench(&out, benchRuns(), "copy")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("want a header and three configurations:\n%s", out.String())
	}
	for line, want := range map[int][]string{
		1: {"copy", "0.500 (0.400-0.600)", "1.00"},
		2: {"splice", "0.200 (0.100-0.300)", "0.40", "3/8"},
		3: {"nginx", "0.200 (0.200-0.200)", "0.40", "not counted"},
	} {
		for _, text := range want {
			if !strings.Contains(lines[line], text) {
				t.Errorf("line %d has no %q: %s", line, text, lines[line])
			}
		}
	}
}

func TestPlotAndJSONAreWritten(t *testing.T) {
	dir := t.TempDir()
	if err := Plot(filepath.Join(dir, "p.svg"), benchRuns()); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "p.svg"))
	if err != nil || !strings.Contains(string(svg), "splice") {
		t.Errorf("the plot does not name its bars: %v", err)
	}
	if err := WriteJSON(filepath.Join(dir, "p.json"), benchRuns()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "p.json"))
	if err != nil || strings.Count(string(text), `"server"`) != 6 {
		t.Errorf("the file does not have all runs: %v", err)
	}
	if err := Plot(filepath.Join(dir, "q.svg"), nil); err == nil {
		t.Error("a plot of nothing was drawn")
	}
}
