package report

import (
	"slices"
	"strings"
	"testing"
)

func coldRuns() []*ColdRun {
	run := func(turn int, policy string, cache, hotMin int64, p99 float64) *ColdRun {
		return &ColdRun{Run: turn, Policy: policy, ColdCacheBytes: cache, HotPartBytes: 1000, ColdBytes: 3e9, HotBytes: 1e9, Seconds: 2,
			CacheCounted: true, HotCachedMin: hotMin, HotCachedAtEnd: 1000, ColdCachedMax: 80 << 20, ColdCachedAtEnd: 64 << 20,
			DiskCounted: true, DiskBytes: 3 << 30,
			Hot:   &FetchTimes{Fetches: 50, Latencies: Latencies{P50Millis: 1, P99Millis: p99, MaxMillis: 2 * p99}},
			Alone: &FetchTimes{Fetches: 20, Latencies: Latencies{P50Millis: 0.5, P99Millis: 2}}, ServerCPUSeconds: 2}
	}
	return []*ColdRun{run(1, "kernel", 0, 200, 100), run(1, "bounded", 64<<20, 990, 4),
		run(2, "kernel", 0, 400, 300), run(2, "bounded", 64<<20, 1000, 6)}
}

// cells are the cells of the table's lines. Extremes stay with their median.
func cells(table string) (lines [][]string) {
	for line := range strings.Lines(table) {
		lines = append(lines, strings.Fields(strings.NewReplacer(" (", "(", ", ", ",", " MiB", "MiB").Replace(line)))
	}
	return lines
}

func TestColdTableHasALineForEachPolicy(t *testing.T) {
	var out strings.Builder
	WriteCold(&out, coldRuns())
	lines := cells(out.String())
	for i, want := range []string{
		"kernel 1500(1500-1500) 30.0(20.0-40.0) 100.0(100.0-100.0) 80(80-80) 64(64-64) 3072(3072-3072) 50 1.00(1.00-1.00) 200.00(100.00-300.00) 400.00(200.00-600.00) 0.50(0.50-0.50) 2.00(2.00-2.00) 0.500(0.500-0.500)",
		"bounded,64MiB 1500(1500-1500) 99.5(99.0-100.0) 100.0(100.0-100.0) 80(80-80) 64(64-64) 3072(3072-3072) 50 1.00(1.00-1.00) 5.00(4.00-6.00) 10.00(8.00-12.00) 0.50(0.50-0.50) 2.00(2.00-2.00) 0.500(0.500-0.500)",
	} {
		if len(lines) != 3 || !slices.Equal(lines[i+1], strings.Fields(want)) {
			t.Errorf("want %s:\n%s", want, out.String())
		}
	}
}

func TestColdTableSaysWhatWasNotCounted(t *testing.T) {
	runs := coldRuns()[:1]
	runs[0].CacheCounted, runs[0].DiskCounted, runs[0].Alone = false, false, nil
	var out strings.Builder
	WriteCold(&out, runs)
	if got := strings.Count(out.String(), "not counted"); got != 5 {
		t.Errorf("%d figures are not counted, want 5:\n%s", got, out.String())
	}
	line := cells(strings.ReplaceAll(out.String(), "not counted", "?"))[1]
	if want := strings.Fields("kernel 1500 ? ? ? ? ? 50 1.00 100.00 200.00 - - 0.500"); !slices.Equal(line, want) {
		t.Errorf("the line is %v, want %v", line, want)
	}
}
