package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"oneplusn/segment/records"
)

// logForReading has many segments, closed ones with their index in files and the last in memory.
func logForReading(t *testing.T, fs *simFS) (*Log, []records.Batch) {
	t.Helper()
	rng := fs.rng
	l := openLog(t, "/data/t-0", Options{FS: fs, SegmentBytes: 30_000, IndexIntervalBytes: 256, MaxBatchBytes: 10_000}, OpenOptions{})
	for i := range 600 {
		value := rng.IntN(150)
		if rng.IntN(20) == 0 {
			value = 2000
		}
		mustAppend(t, l, testBatch{records: 1 + rng.IntN(3), timestamp: int64(1000 + i), value: value})
		runWork(l)
	}
	all := readAll(t, l, 0, 1<<30)
	if len(all) != 600 || len(l.segments) < 4 {
		t.Fatalf("%d batches in %d segments", len(all), len(l.segments))
	}
	return l, all
}

func TestReadFindsEveryOffsetWhateverIsResident(t *testing.T) {
	for _, cold := range []int{0, 30, 100} {
		t.Run(fmt.Sprintf("%d%% cold", cold), func(t *testing.T) {
			fs := newSimFS(t, 7)
			l, all := logForReading(t, fs)
			fs.setCold(cold)
			for _, maxBytes := range []int64{0, 1, 100, 1000, 5000, 100_000} {
				for _, h := range all {
					for offset := h.BaseOffset; offset <= h.LastOffset(); offset++ {
						checkRead(t, l, h, offset, maxBytes)
					}
				}
			}
		})
	}
}

// TestReadFindsEveryOffsetInAnIndexOfManyPages has closed segments whose index is many times what one entry in memory
// stands for.
func TestReadFindsEveryOffsetInAnIndexOfManyPages(t *testing.T) {
	fs := newSimFS(t, 12)
	l := openLog(t, "/data/t-0", Options{FS: fs, SegmentBytes: 250_000, IndexIntervalBytes: 1}, OpenOptions{})
	for len(l.segments) < 3 {
		mustAppend(t, l, testBatch{records: 1 + fs.rng.IntN(3), value: fs.rng.IntN(30)})
		runWork(l)
	}
	all := readAll(t, l, 0, 1<<30)
	if x := &l.segments[0].index; len(x.entries) < 4 || x.count < 3*indexStride {
		t.Fatalf("the index has %d entries, %d in memory", x.count, len(x.entries))
	}
	for _, cold := range []int{0, 40, 100} {
		fs.setCold(cold)
		for _, h := range all {
			maxBytes := int64(fs.rng.IntN(100_000))
			checkRead(t, l, h, h.BaseOffset+int64(fs.rng.IntN(int(h.LastOffsetDelta)+1)), maxBytes)
		}
	}
	mustClose(t, l)
	fs.setCold(0)
	l = openLog(t, "/data/t-0", Options{FS: fs, IndexIntervalBytes: 1}, OpenOptions{Clean: true})
	for _, h := range all {
		checkRead(t, l, h, h.BaseOffset, 5000)
	}
}

// checkRead checks one range: whole batches, the first of which contains the offset.
func checkRead(t *testing.T, l *Log, h records.Batch, offset, maxBytes int64) {
	t.Helper()
	r := mustRead(t, l, offset, maxBytes)
	list := headersOf(t, bytesOf(t, r))
	if list[0].BaseOffset != h.BaseOffset {
		t.Fatalf("read at %d begins at %d, the batch at %d", offset, list[0].BaseOffset, h.BaseOffset)
	}
	checkRange(t, list, offset, r.Len, maxBytes)
}

func TestSequentialReaderGetsEverythingOnce(t *testing.T) {
	for _, cold := range []int{0, 50, 100} {
		fs := newSimFS(t, 8)
		l, all := logForReading(t, fs)
		fs.setCold(cold)
		for _, maxBytes := range []int64{1, 777, 4096, 1 << 20} {
			if got := readAll(t, l, 0, maxBytes); len(got) != len(all) {
				t.Errorf("%d%% cold, %d bytes at a time: %d batches of %d", cold, maxBytes, len(got), len(all))
			}
		}
	}
}

func TestReadOutsideTheLogIsOutOfRange(t *testing.T) {
	l, all := logForReading(t, newSimFS(t, 9))
	end := all[len(all)-1].NextOffset()
	for _, offset := range []int64{-1, end + 1} {
		if _, err := l.Read(offset, 100); !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("read at %d says %v", offset, err)
		}
	}
	if r, err := l.Read(end, 100); err != nil || r.Len != 0 {
		t.Errorf("read at the end gives %+v, %v", r, err)
	}
}

func TestReadAcrossOffsetsThatWereCompactedAway(t *testing.T) {
	fs := newSimFS(t, 10)
	put := func(base int64, batches ...testBatch) {
		var raw []byte
		for _, b := range batches {
			raw = append(raw, b.encode()...)
		}
		fs.disk.Put(segmentPath("/data/t-0", base), raw)
	}
	put(0, testBatch{base: 2, timestamp: 10}, testBatch{base: 7, records: 2, timestamp: 20})
	put(20, testBatch{base: 25, timestamp: 30})
	put(40)
	l := openLog(t, "/data/t-0", Options{FS: fs}, OpenOptions{RecoveryPoint: AllDurable})
	for offset, want := range map[int64]int64{0: 2, 2: 2, 3: 7, 8: 7, 9: 25, 20: 25, 25: 25} {
		r, err := l.Read(offset, 1)
		if err != nil || r.Len == 0 {
			t.Fatalf("read at %d: %+v, %v", offset, r, err)
		}
		if got := headersOf(t, bytesOf(t, r))[0].BaseOffset; got != want {
			t.Errorf("read at %d gives the batch at %d, want %d", offset, got, want)
		}
	}
	if r, err := l.Read(26, 1); err != nil || r.Len != 0 || l.HighWatermark() != 40 {
		t.Errorf("read at 26 gives %+v, %v, the high watermark is %d", r, err, l.HighWatermark())
	}
}

func TestAtTimeFindsTheFirstBatchOfThatTimeOrLater(t *testing.T) {
	fs := newSimFS(t, 11)
	l, all := logForReading(t, fs)
	for i, h := range all {
		r := l.atTime(h.MaxTimestamp, 0).narrow(h.MaxTimestamp)
		if r.Segment == nil {
			t.Fatalf("no range for the time of batch %d", i)
		}
		list := headersOf(t, bytesOf(t, r))
		first := -1
		for j, c := range list {
			if c.MaxTimestamp >= h.MaxTimestamp {
				first = j
				break
			}
		}
		if first < 0 || list[first].BaseOffset != h.BaseOffset {
			t.Fatalf("the range for time %d leads to batch %d of %d, not to offset %d", h.MaxTimestamp, first, len(list), h.BaseOffset)
		}
		if first > 30 {
			t.Errorf("%d batches have to be read for time %d", first, h.MaxTimestamp)
		}
	}
	if r := l.atTime(all[len(all)-1].MaxTimestamp+1, 0); r.Segment != nil {
		t.Errorf("a time behind the end gives %+v", r)
	}
}

func TestReadAndAppendAllocateNothing(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentBytes: 1 << 20, RetentionAge: -1}, OpenOptions{})
	sequence := int32(0)
	raw := testBatch{value: 900, producer: 5}.encode()
	append1 := func() {
		binary.BigEndian.PutUint32(raw[53:], uint32(sequence))
		if _, err := l.Append(seal(raw), 1); err != nil {
			t.Fatal(err)
		}
		sequence++
	}
	for range 3000 {
		append1()
		runWork(l)
	}
	if len(l.segments) < 2 || !l.segments[0].finished() {
		t.Fatal("no segment was closed")
	}
	if n := testing.AllocsPerRun(200, append1); n > 0 {
		t.Errorf("an append allocates %v times", n)
	}
	offset := int64(0)
	n := testing.AllocsPerRun(500, func() {
		offset = (offset + 7) % l.HighWatermark()
		if _, err := l.Read(offset, 5000); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("a read allocates %v times", n)
	}
}
