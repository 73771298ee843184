package segment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oneplusn/segment/records"
)

// TestWorkRunsBesideTheLog is for the race detector: work, narrowing and lookups run in goroutines while the log goes on, as in a
// broker.
func TestWorkRunsBesideTheLog(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentBytes: 20_000, IndexIntervalBytes: 200, RetentionBytes: 300_000}
	l := openLog(t, dir, o, OpenOptions{})
	finished := make(chan func(), 100)
	under := 0
	background := func(work func() func()) {
		under++
		go func() { finished <- work() }()
	}
	for i := range 4000 {
		mustAppend(t, l, testBatch{value: 100, timestamp: int64(i), producer: 9, sequence: int32(i)})
		if work := l.Work(); work != nil {
			background(work)
		}
		if i%100 == 0 {
			if remove := l.Expire(int64(i)); remove != nil {
				background(func() func() {
					if err := remove(); err != nil {
						t.Error(err)
					}
					return func() {}
				})
			}
			r := l.atTime(int64(i/2), 0)
			if r.Segment != nil {
				r.Segment.Retain()
				background(func() func() {
					narrow := r.narrow(int64(i / 2))
					if narrow.Pos < r.Pos || narrow.Pos+narrow.Len != r.Pos+r.Len {
						t.Errorf("%+v was narrowed to %+v", r, narrow)
					}
					return r.Segment.Release
				})
			}
			offset := l.LogStartOffset() + int64(i/100)%(l.HighWatermark()-l.LogStartOffset())
			k := l.Lookup(offset, 3000, records.None)
			background(func() func() {
				k.Run()
				return func() {
					r, err := l.Looked(k, offset, 3000)
					if err == nil {
						checkRange(t, headersOf(t, bytesOf(t, r)), offset, r.Len, 3000)
					} else if !errors.Is(err, ErrOffsetOutOfRange) {
						t.Error(err)
					}
					k.Release()
				}
			})
			if got := readAll(t, l, l.LogStartOffset(), 5000); int64(len(got)) != l.HighWatermark()-l.LogStartOffset() {
				t.Fatalf("%d batches from %d to %d", len(got), l.LogStartOffset(), l.HighWatermark())
			}
		}
		for len(finished) > 0 {
			(<-finished)()
			under--
		}
	}
	for ; under > 0; under-- {
		(<-finished)()
	}
	end := l.LogEndOffset()
	mustClose(t, l)
	l = openLog(t, dir, o, OpenOptions{Clean: true})
	if l.LogEndOffset() != end || len(l.segments) < 10 {
		t.Errorf("the log ends at %d with %d segments, it ended at %d", l.LogEndOffset(), len(l.segments), end)
	}
}

func TestNextSegmentsFileIsPreparedAndNothingIsLeftOfIt(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentBytes: 1000}, OpenOptions{})
	prepareNext(t, l)
	if len(l.segments) != 1 {
		t.Fatalf("there are %d segments", len(l.segments))
	}
	if _, err := os.Stat(preparedPath(l.dir)); err != nil {
		t.Error(err)
	}
	fd := l.prepared.Fd()
	for len(l.segments) == 1 {
		mustAppend(t, l, testBatch{value: 100})
	}
	if l.active().Fd() != fd || l.prepared != nil {
		t.Error("the prepared file was not used")
	}
	prepareNext(t, l)
	mustClose(t, l)
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name.Name(), temporarySuffix) {
			t.Errorf("%s is left", name.Name())
		}
	}
}

// prepareNext appends until the next segment's file is there.
func prepareNext(t *testing.T, l *Log) {
	t.Helper()
	for l.prepared == nil {
		mustAppend(t, l, testBatch{value: 100})
		runWork(l)
	}
}

func TestDeletedLogLetsGoOfTheFileOfItsNextSegment(t *testing.T) {
	l := openLog(t, filepath.Join(t.TempDir(), "t-0"), Options{SegmentBytes: 1000}, OpenOptions{})
	prepareNext(t, l)
	prepared := l.prepared
	l.Delete()
	if _, err := prepared.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is still open: %v", err)
	}
}

func TestOptionsThatChangeAtRunTimeCountFromThenOn(t *testing.T) {
	fs := newSimFS(t, 71)
	l := openLog(t, recoverDir, Options{FS: fs, ManualCommit: true}, OpenOptions{})
	mustAppend(t, l, testBatch{value: 100})
	if l.HighWatermark() != 0 {
		t.Fatalf("the high watermark is %d", l.HighWatermark())
	}
	l.Configure(Options{SegmentBytes: 200, MaxBatchBytes: 150, AppendTime: true})
	if l.HighWatermark() != 1 || len(readAll(t, l, 0, 100)) != 1 {
		t.Errorf("without a wait for fsync the high watermark is %d", l.HighWatermark())
	}
	if _, err := l.Append(testBatch{value: 100}.encode(), 77); err == nil {
		t.Error("a batch above the limit was taken")
	}
	if a, err := l.Append(testBatch{}.encode(), 77); err != nil || a.AppendTimeMillis != 77 {
		t.Errorf("append: %+v, %v", a, err)
	}
}
