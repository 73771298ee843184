package report

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// The columns of the copy model, in the order of a byte's way.
const (
	DiskToCache   = iota // DMA
	CacheToUser          // CPU
	UserToSocket         // CPU
	CacheToSocket        // CPU
	ToNIC                // DMA; on loopback the receiver's own copy
	Columns
)

var columnNames = [Columns]string{
	"disk>cache", "cache>user", "user>socket", "cache>socket", ">NIC",
}

// tolerance is how far a count may be from the model, as a share of the model's figure or of one unit, whichever is larger.
const tolerance = 0.01

// CopyRow is one way to move the data set to all subscribers. One unit is the whole data set moved once.
type CopyRow struct {
	// Name describes the way, Transfer is the server's mode.
	Name, Transfer string
	Predicted      [Columns]float64
	Counted        [Columns]float64
	// Uncounted has the reason why a column was not counted; empty where it was.
	Uncounted [Columns]string
	// ByReference is the server's count of bytes passed to sockets without a copy. It is no column of the model, but an
	// independent witness that these bytes left without one.
	ByReference float64
	// CPUPerGB is the server's CPU time in seconds for each GB delivered, 0 if it is not known.
	CPUPerGB float64
	// StillCached is the share of the data set that could not be evicted beforehand; the prediction takes it into account.
	StillCached float64
}

// Mismatches lists the columns whose count disagrees with the model.
func (r *CopyRow) Mismatches() (columns []int) {
	for c := range Columns {
		if r.Uncounted[c] == "" && math.Abs(r.Counted[c]-r.Predicted[c]) > tolerance*max(r.Predicted[c], 1) {
			columns = append(columns, c)
		}
	}
	return columns
}

// Totals are the sums over all columns. The count leaves out columns that were not counted; whole is false then.
func (r *CopyRow) Totals() (predicted, counted float64, whole bool) {
	whole = true
	for c := range Columns {
		predicted += r.Predicted[c]
		if r.Uncounted[c] != "" {
			whole = false
			continue
		}
		counted += r.Counted[c]
	}
	return predicted, counted, whole
}

// Predict is the model's row: the units that each column moves for n subscribers. cold is the share of the data set that is
// read from disk, summed over all evictions: 1 if all subscribers share the page cache, n if they share nothing.
func Predict(transfer string, n int, cold float64) (p [Columns]float64) {
	all := float64(n)
	p[DiskToCache], p[ToNIC] = cold, all
	switch transfer {
	case "copy":
		p[CacheToUser], p[UserToSocket] = all, all
	case "send":
		p[CacheToSocket] = all
	}
	return p
}

// WriteCopies prints the table, predicted beside counted.
func WriteCopies(out io.Writer, rows []*CopyRow, subscribers int, dataSet string) {
	_, _ = fmt.Fprintf(out, "\nCopies of %s to %d subscribers; 1.00 is the whole data set moved once. Each cell: predicted/counted.\n\n",
		dataSet, subscribers)
	columns := []column[*CopyRow]{last("", (*CopyRow).name)}
	for c, name := range columnNames {
		columns = append(columns, last(name, func(r *CopyRow) string { return r.cell(c) }))
	}
	writeTable(out, groupBy(rows, (*CopyRow).name), append(columns,
		last("total", (*CopyRow).total),
		figure("CPU copies", "%.2f", func(r *CopyRow) float64 {
			return r.Counted[CacheToUser] + r.Counted[UserToSocket] + r.Counted[CacheToSocket]
		}),
		figure("by reference", "%.2f", func(r *CopyRow) float64 { return r.ByReference }),
		figure("s CPU/GB", "%.3f", func(r *CopyRow) float64 { return r.CPUPerGB }).onlyIf(func(r *CopyRow) bool { return r.CPUPerGB > 0 }, "-"),
	))
}

func (r *CopyRow) name() string { return r.Name }

func (r *CopyRow) total() string {
	predicted, counted, whole := r.Totals()
	if !whole {
		return fmt.Sprintf("%.2f/not all counted", predicted)
	}
	return fmt.Sprintf("%.2f/%.2f", predicted, counted)
}

func (r *CopyRow) cell(c int) string {
	if r.Uncounted[c] != "" {
		return fmt.Sprintf("%.2f/-", r.Predicted[c])
	}
	mark := ""
	if slices.Contains(r.Mismatches(), c) {
		mark = "!"
	}
	return fmt.Sprintf("%.2f/%.2f%s", r.Predicted[c], r.Counted[c], mark)
}

// Explain writes a line for each count that disagrees with the model, and one for each reason why a column was not counted.
// ok is true if all counts agree.
func Explain(out io.Writer, rows []*CopyRow) (ok bool) {
	ok = true
	said := map[string]bool{}
	for _, r := range rows {
		for _, c := range r.Mismatches() {
			ok = false
			_, _ = fmt.Fprintf(out, "! %s: %s was counted %.3f times, the model says %.3f: %s\n",
				r.Name, columnNames[c], r.Counted[c], r.Predicted[c], suspicion(c, r.Counted[c] > r.Predicted[c]))
		}
		for c := range Columns {
			if why := r.Uncounted[c]; why != "" && !said[columnNames[c]+why] {
				said[columnNames[c]+why] = true
				_, _ = fmt.Fprintf(out, "- %s was not counted: %s\n", columnNames[c], why)
			}
		}
		if r.StillCached > 0 {
			_, _ = fmt.Fprintf(out, "- %s: %.2f %% of the data set stayed in the page cache although it was dropped; the prediction leaves it out\n",
				r.Name, 100*r.StillCached)
		}
	}
	return ok
}

func suspicion(column int, more bool) string {
	switch {
	case column == DiskToCache && more:
		return "the page cache did not hold the data set: is memory short?"
	case column == DiskToCache:
		return "part of the data set was in the page cache before"
	case column == ToNIC:
		return "subscribers received more or less than was published"
	case more:
		return "the server made a copy that this mode should not make"
	}
	return "the server made fewer copies than this mode should: is another mode in use?"
}

// WriteMeaning explains the numbers of the copy model.
func WriteMeaning(out io.Writer, n int) {
	_, _ = fmt.Fprintf(out, `
What the numbers mean for N = %d:
  4 x N   = %d  the traditional way as usually described: every consumer's read goes to the disk
  1 + 3N  = %d  the same read and write with the shared page cache that every kernel has
  1 + 2N  = %d  one copy by the CPU for each consumer, from the mapped page cache
  1 + N   = %d  zero copy: once into the page cache, once out for each consumer (sendfile, splice)
On loopback there is no NIC: the last column is then what the receivers copied themselves.
`, n, 4*n, 1+3*n, 1+2*n, 1+n)
}
