package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publishRuns are three runs on a disk whose speed varies: rates differ, and so do their ratios.
func publishRuns() (runs []*PublishRun) {
	run := func(turn int, fsync string, producers int, batches, syncs int64) {
		r := &PublishRun{Run: turn, Fsync: fsync, Producers: producers, Batches: batches, Bytes: 1000 * batches, Seconds: 1,
			Latencies: Latencies{P50Millis: 2}}
		if syncs >= 0 {
			r.Syncs = &syncs
		}
		runs = append(runs, r)
	}
	for i, plain := range []int64{1000, 4000, 2000} {
		run(i+1, PlainWrites, 1, plain, -1)
		run(i+1, "never", 1, 8000, 0)
		run(i+1, "always", 1, plain/2, plain/2)
		run(i+1, "always", 32, plain*int64(3+i), plain)
	}
	return runs
}

// row has the cells of the table's line for a policy and a number of producers. Extremes stay with their median.
func row(t *testing.T, table, fsync, producers string) []string {
	t.Helper()
	for line := range strings.Lines(table) {
		if fields := strings.Fields(strings.ReplaceAll(line, " (", "(")); len(fields) > 1 && fields[0] == fsync && fields[1] == producers {
			return fields
		}
	}
	t.Fatalf("the table has no line for %s with %s producers:\n%s", fsync, producers, table)
	return nil
}

func TestPublishTableComparesRatesOfTheSameTurn(t *testing.T) {
	var out strings.Builder
	WritePublish(&out, publishRuns())
	for _, want := range []struct {
		fsync, producers, rate, perSync, toPlain, toOne string
	}{
		{"plain", "1", "2000(1000-4000)", "-", "1.00(1.00-1.00)", "1.00(1.00-1.00)"},
		{"never", "1", "8000(8000-8000)", "-", "4.00(2.00-8.00)", "1.00(1.00-1.00)"},
		{"always", "1", "1000(500-2000)", "1.0(1.0-1.0)", "0.50(0.50-0.50)", "1.00(1.00-1.00)"},
		// The median of the ratios: the medians' ratio would be 10000/2000.
		{"always", "32", "10000(3000-16000)", "4.0(3.0-5.0)", "4.00(3.00-5.00)", "8.00(6.00-10.00)"},
	} {
		got := row(t, out.String(), want.fsync, want.producers)
		if !slices.Equal([]string{got[2], got[7], got[8], got[9]}, []string{want.rate, want.perSync, want.toPlain, want.toOne}) {
			t.Errorf("want %v:\n%s", want, out.String())
		}
	}
}

func TestPublishTableHasNoRatioToWhatWasNotMeasured(t *testing.T) {
	var out strings.Builder
	WritePublish(&out, slices.DeleteFunc(publishRuns(), func(r *PublishRun) bool {
		return r.Run > 1 || r.Fsync != PlainWrites && r.Producers == 1
	}))
	if got := row(t, out.String(), "always", "32"); got[2] != "3000" || got[8] != "3.00" || got[9] != "-" {
		t.Errorf("one run without one of 1 producer gave\n%s", out.String())
	}
}

func TestPublishPlotAndJSONHaveEveryRow(t *testing.T) {
	dir := t.TempDir()
	if err := PlotPublish(filepath.Join(dir, "p.svg"), publishRuns()); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "p.svg"))
	for _, name := range []string{"plain", "always", "32"} {
		if err != nil || !strings.Contains(string(svg), ">"+name+"</text>") {
			t.Errorf("the plot names no bar %s: %v", name, err)
		}
	}
	if err := PlotPublish(filepath.Join(dir, "q.svg"), nil); err == nil {
		t.Error("a plot of nothing was drawn")
	}
	if err := WriteJSON(filepath.Join(dir, "p.json"), publishRuns()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "p.json"))
	var read []*PublishRun
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil || len(read) != 12 || read[11].Run != 3 || read[11].Syncs == nil || read[8].Syncs != nil {
		t.Errorf("the file does not have all runs: %v\n%s", err, text)
	}
}
