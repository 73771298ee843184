package report

import (
	"strings"
	"testing"
)

func sum(cells [Columns]float64) (total float64) {
	for _, c := range cells {
		total += c
	}
	return total
}

func TestModelGivesTheDocumentsNumbers(t *testing.T) {
	const n = 10
	for _, row := range []struct {
		mode  string
		cold  float64
		total float64
	}{{"copy", n, 40}, {"copy", 1, 31}, {"send", 1, 21}, {"sendfile", 1, 11}, {"splice", 1, 11}, {"auto", 1, 11}, {"splice", 0, 10}} {
		if got := sum(Predict(row.mode, n, row.cold)); got != row.total {
			t.Errorf("%s with %v cold reads: %v copies, want %v", row.mode, row.cold, got, row.total)
		}
	}
}

// agreeing is a row in which everything was counted as predicted.
func agreeing() *CopyRow {
	p := Predict("splice", 10, 1)
	return &CopyRow{Name: "splice", Transfer: "splice", Predicted: p, Counted: p, ByReference: 10}
}

func TestCellThatDisagreesIsMarkedExplainedAndReported(t *testing.T) {
	for column := range Columns {
		for _, off := range []float64{0.5, -0.5} {
			row := agreeing()
			row.Counted[column] += off
			var table, why strings.Builder
			WriteCopies(&table, []*CopyRow{row}, 10, "1 MiB")
			ok := Explain(&why, []*CopyRow{row})
			if ok || !strings.Contains(table.String(), "!") || !strings.Contains(why.String(), columnNames[column]) {
				t.Errorf("%s off by %v: ok=%v\n%s%s", columnNames[column], off, ok, table.String(), why.String())
			}
		}
	}
}

func TestCellsWithinOnePercentAgree(t *testing.T) {
	row := agreeing()
	row.Counted[DiskToCache] = 0.9922 // some pages stayed in a socket's queue when the cache was dropped
	row.Counted[ToNIC] = 10.09
	var why strings.Builder
	if !Explain(&why, []*CopyRow{row}) {
		t.Error(why.String())
	}
}

func TestUncountedCellIsNeverShownAsItsPrediction(t *testing.T) {
	row := agreeing()
	row.Uncounted[DiskToCache] = "the data directory is in memory"
	row.Counted[DiskToCache] = 0
	var table, why strings.Builder
	WriteCopies(&table, []*CopyRow{row}, 10, "1 MiB")
	if !strings.Contains(table.String(), "1.00/-") || !strings.Contains(table.String(), "11.00/not all counted") {
		t.Errorf("the table hides that a cell was not counted:\n%s", table.String())
	}
	if !Explain(&why, []*CopyRow{row}) || !strings.Contains(why.String(), "was not counted: the data directory is in memory") {
		t.Errorf("the reason is missing: %s", why.String())
	}
	if _, counted, whole := row.Totals(); whole || counted != 10 {
		t.Errorf("the count of what was counted is %v, whole %v", counted, whole)
	}
}
