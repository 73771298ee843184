package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"oneplusn/segment/records"
)

// Report is the result of [Check] for the directory of one partition.
type Report struct {
	Directory string `json:"directory"`
	// State is the worst of the segments' states.
	State          State           `json:"state"`
	LogStartOffset int64           `json:"log_start_offset"`
	LogEndOffset   int64           `json:"log_end_offset"` // behind the last valid batch
	Bytes          int64           `json:"bytes"`
	Segments       []SegmentReport `json:"segments"`
	// Problems are about other files of the directory.
	Problems []string `json:"problems,omitempty"`
}

// SegmentReport is the result of [Check] for one segment.
type SegmentReport struct {
	File       string `json:"file"`
	BaseOffset int64  `json:"base_offset"`
	NextOffset int64  `json:"next_offset"`
	Bytes      int64  `json:"bytes"`
	ValidBytes int64  `json:"valid_bytes"`
	Batches    int64  `json:"batches"`
	// Index is sane, missing or wrong.
	Index string `json:"index"`
	// Case is the row of the recovery table that a start would apply.
	Case   string `json:"case"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// State says what a start of the server would do with a segment or a log.
type State string

// The states, from the best to the worst.
const (
	StateOK      State = "ok"      // serve it as it is
	StateRebuild State = "rebuild" // write its indexes again
	StateTorn    State = "torn"    // cut its end, which was never promised to be durable
	StateDamaged State = "damaged" // refuse it
)

// states are those of the recovery table's actions, from the best to the worst.
var states = [...]State{serve: StateOK, rebuild: StateRebuild, cut: StateTorn, refuse: StateDamaged}

// Worst is the worse of two states.
func (s State) Worst(other State) State {
	if slices.Index(states[:], other) > slices.Index(states[:], s) {
		return other
	}
	return s
}

// Check reads every byte of a log, the data behind sane indexes too, and changes nothing. progress, if not nil, gets the
// number of bytes of each read. An error means that the directory could not be read at all.
func Check(dir string, o Options, found OpenOptions, progress func(bytes int64)) (Report, error) {
	o = o.withDefaults()
	r := Report{Directory: dir, State: StateOK, LogStartOffset: found.LogStartOffset}
	names, err := listNames(o.FS, dir)
	if err != nil {
		return r, fmt.Errorf("segment: listing %s: %w", dir, err)
	}
	v, txns := newSurvey(o.FS, dir, names, found), newTxnScan()
	for i, base := range v.bases {
		s, end, err := checkSegment(o, v, i, r.LogEndOffset, txns, progress)
		if err != nil {
			return r, err
		}
		r.checkTxnIndex(o.FS, s.File, txns.take())
		if i == 0 {
			r.LogStartOffset = max(r.LogStartOffset, base)
		}
		r.Segments = append(r.Segments, s)
		r.LogEndOffset = max(r.LogEndOffset, s.NextOffset)
		r.Bytes += s.Bytes
		r.State = r.State.Worst(s.State)
		if end {
			r.noteDropped(v.bases[i+1:])
			break
		}
	}
	if v.missing(r.LogEndOffset) {
		r.Problems = append(r.Problems, fmt.Sprintf("the log ends at offset %d, below its recovery point %d: records that were durable are gone",
			r.LogEndOffset, found.RecoveryPoint))
	}
	r.checkOthers(o.FS, names)
	return r, nil
}

// noteDropped reports the segments that a start drops because it ends the log before them.
func (r *Report) noteDropped(bases []int64) {
	for _, base := range bases {
		r.Segments = append(r.Segments, SegmentReport{File: segmentPath(r.Directory, base), BaseOffset: base, NextOffset: base,
			Index: indexMissing.String(), Case: "behind-the-cut", State: StateTorn, Reason: "the log ends before it"})
	}
}

// checkSegment finds the case of a segment. ends: a start would cut it, and end the log there.
func checkSegment(o Options, v *survey, i int, end int64, txns *txnScan, progress func(int64)) (r SegmentReport, ends bool, err error) {
	base := v.bases[i]
	path := segmentPath(v.dir, base)
	r = SegmentReport{File: path, BaseOffset: base, NextOffset: base, State: StateDamaged}
	file, size, err := v.open(base)
	if err != nil {
		r.Case, r.Reason = "unreadable", err.Error()
		return r, false, nil
	}
	defer func() { _ = file.Close() }()
	r.Bytes = size
	compare := newIndexCheck(o.FS, path, r.Bytes, base, o.IndexIntervalBytes)
	found := scanFile(progressReader{file, progress}, r.Bytes, base, func(h records.Batch, at int64) {
		compare.batch(h, at)
		txns.batch(file, h, at)
	})
	r.ValidBytes, r.NextOffset, r.Batches = found.validBytes, found.nextOffset, found.batches
	f := v.finding(i)
	f.overlaps = base < end
	if err := v.conclude(&f, i, &found); err != nil {
		return r, false, err
	}
	f.index, err = compare.verdict(r.Bytes == 0)
	if f.overlaps {
		found.reason = fmt.Errorf("it begins at offset %d, the segment before it ends at %d", base, end)
	}
	r.Index = f.index.String()
	c := decide(f)
	r.Case, r.State = c.label, states[c.action]
	if found.reason == nil {
		found.reason = err
	}
	if found.reason != nil && r.State != StateOK {
		r.Reason = found.reason.Error()
	}
	return r, c.action == cut, nil
}

// indexCheck compares index files with the batches that a scan meets.
type indexCheck struct {
	index // the entries for which no batch has come
	base  int64
	from  int64 // start of the last entry's batch
	err   error
}

func newIndexCheck(fsys FS, path string, size, base, interval int64) *indexCheck {
	c := &indexCheck{index: newIndex(interval), base: base}
	s := Segment{fs: fsys, path: path}
	c.err = s.readIndexFiles(&c.index, size)
	return c
}

// batch compares a batch with the next entries, and removes those that describe it.
func (c *indexCheck) batch(h records.Batch, at int64) {
	if len(c.times) > 0 && h.LastOffset()-c.base == int64(c.times[0].offset) {
		if h.MaxTimestamp != c.times[0].timestamp && c.err == nil {
			c.err = fmt.Errorf("%w: offset %d has the time %d, the index says %d", errIndex, h.LastOffset(), h.MaxTimestamp, c.times[0].timestamp)
		}
		c.times = c.times[1:]
	}
	if len(c.entries) == 0 || at < int64(c.entries[0].position) {
		if at-c.from > 2*c.interval && c.err == nil {
			c.err = fmt.Errorf("%w: no entry follows %d, and a batch begins at %d", errIndex, c.from, at)
		}
		return
	}
	if e := c.entries[0]; c.err == nil && (at != int64(e.position) || h.LastOffset()-c.base != int64(e.offset)) {
		c.err = fmt.Errorf("%w: it has offset %d at %d, the batch at %d ends with %d", errIndex, c.base+int64(e.offset), e.position, at, h.LastOffset())
	}
	c.entries, c.from = c.entries[1:], at
}

func (c *indexCheck) verdict(empty bool) (indexState, error) {
	if n := len(c.entries) + len(c.times); n > 0 && c.err == nil {
		c.err = fmt.Errorf("%w: %d of its entries describe no batch", errIndex, n)
	}
	return stateOf(c.err, empty)
}

// checkTxnIndex compares the aborted transactions that end in a segment with its .txnindex. A start trusts the file: readers of
// committed data would see the records of a transaction that it lacks.
func (r *Report) checkTxnIndex(fsys FS, logPath string, want []txnEntry) {
	path := beside(logPath, txnIndexSuffix)
	content, err := ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var got []txnEntry
	if err == nil {
		got, err = parseTxnIndex(content)
	}
	known := make(map[AbortedTransaction]bool)
	for _, a := range got {
		known[a.AbortedTransaction] = true
	}
	missing := 0
	for _, a := range want {
		if !known[a.AbortedTransaction] {
			missing++
		}
	}
	if err == nil && missing > 0 {
		err = fmt.Errorf("%w: %d of %d aborted transactions are not in it", errIndex, missing, len(want))
	}
	if err != nil {
		r.State = StateDamaged
		r.Problems = append(r.Problems, fmt.Sprintf("%s: %v: oneplusn repair --rebuild-indexes writes it again", path, err))
	}
}

// checkOthers parses the files that are not segments.
func (r *Report) checkOthers(fsys FS, names []string) {
	for _, name := range names {
		_, isSnapshot := parseName(name, snapshotSuffix)
		if !isSnapshot && name != epochFile && name != partitionFile {
			continue
		}
		content, err := ReadFile(fsys, filepath.Join(r.Directory, name))
		if err == nil {
			switch name {
			case epochFile:
				_, err = parseEpochs(content)
			case partitionFile:
				_, err = parseMetadata(content)
			default:
				_, err = parseSnapshot(content)
			}
			if err != nil && !isSnapshot { // a start does without a snapshot
				r.State = StateDamaged
			}
		}
		if err != nil {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %v", filepath.Join(r.Directory, name), err))
		}
	}
}

// progressReader reports the bytes of each read.
type progressReader struct {
	r    io.ReaderAt
	read func(int64)
}

func (p progressReader) ReadAt(b []byte, offset int64) (int, error) {
	n, err := p.r.ReadAt(b, offset)
	if p.read != nil {
		p.read(int64(n))
	}
	return n, err
}
