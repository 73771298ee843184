package segment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"oneplusn/segment/records"
)

// holedLog is a log as compaction leaves it: offsets are missing, batches have 70 bytes to 9 KB, and the segments are closed
// but for the last, to which some are appended.
func holedLog(t *testing.T, seed uint64) (*simFS, *Log, []records.Batch) {
	t.Helper()
	fs := newSimFS(t, seed)
	rng := fs.rng
	o := Options{FS: fs, SegmentBytes: 20_000, IndexIntervalBytes: []int64{1, 300, 4096}[rng.IntN(3)], MaxBatchBytes: 10_000}
	next := int64(rng.IntN(3))
	for range 1 + rng.IntN(5) {
		base, size := next, 0
		var raw []byte
		for size < 15_000 {
			next += int64(rng.IntN(4) * rng.IntN(30))
			b := testBatch{base: next, records: 1 + rng.IntN(4), timestamp: 1000 + next, value: rng.IntN(60)}
			if rng.IntN(8) == 0 {
				b.value = rng.IntN(2200)
			}
			raw = append(raw, b.encode()...)
			size, next = len(raw), next+int64(b.records)
		}
		fs.disk.Put(segmentPath(recoverDir, base), raw)
		next += int64(rng.IntN(20))
	}
	l := openLog(t, recoverDir, o, OpenOptions{})
	if rng.IntN(2) == 0 { // a clean stop, after which no batch is looked at
		mustClose(t, l)
		l = openLog(t, recoverDir, o, OpenOptions{Clean: true})
	}
	for range rng.IntN(400) {
		mustAppend(t, l, testBatch{records: 1 + rng.IntN(3), value: rng.IntN(80)})
		runWork(l)
	}
	var all []records.Batch
	for _, s := range l.segments {
		all = append(all, headersOf(t, bytesOf(t, Range{s, 0, s.size}))...)
	}
	return fs, l, all
}

// Where a read begins and ends does not depend on the page cache, and satisfies KIP-74 and sarama.
func TestReadIsTheSameWarmAndCold(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			fs, l, all := holedLog(t, seed)
			colds := 0
			for range 60 {
				offset := l.LogStartOffset() + fs.rng.Int64N(l.HighWatermark()-l.LogStartOffset())
				maxBytes := []int64{0, 1, fs.rng.Int64N(300), fs.rng.Int64N(20_000), 1 << 40}[fs.rng.IntN(5)]
				fs.setCold(0)
				warm := mustRead(t, l, offset, maxBytes)
				for _, percent := range []int{100, 50, 20} {
					fs.setCold(percent)
					if l.lastRead = (lastRead{}); percent == 100 {
						if _, err := l.Read(offset, maxBytes); errors.Is(err, ErrCold) {
							colds++
						}
					}
					if cold := mustRead(t, l, offset, maxBytes); cold != warm {
						t.Fatalf("read at %d, %d bytes: %+v cold and %+v warm", offset, maxBytes, cold, warm)
					}
				}
				i := slices.IndexFunc(all, func(h records.Batch) bool { return h.LastOffset() >= offset })
				if i < 0 {
					if warm.Len != 0 {
						t.Fatalf("read at %d behind the last batch gives %+v", offset, warm)
					}
					continue
				}
				got := headersOf(t, bytesOf(t, warm))
				if got[0].BaseOffset != all[i].BaseOffset {
					t.Fatalf("read at %d begins at %d, the batch there at %d", offset, got[0].BaseOffset, all[i].BaseOffset)
				}
				checkRange(t, got, offset, warm.Len, maxBytes)
			}
			if colds == 0 {
				t.Error("nothing was ever cold: the test tests nothing")
			}
		})
	}
}

// A log goes on while a search of it waits for the disk: it is appended to, its segments are finished and go.
func TestLookupIsRightWhateverHappensMeanwhile(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			fs, l, _ := holedLog(t, seed)
			type search struct {
				k                *Lookup
				offset, maxBytes int64
				want             Range
			}
			var searches []search
			for range 20 {
				offset, maxBytes := l.LogStartOffset()+fs.rng.Int64N(l.HighWatermark()-l.LogStartOffset()), fs.rng.Int64N(5000)
				searches = append(searches, search{l.Lookup(offset, maxBytes, records.None), offset, maxBytes, mustRead(t, l, offset, maxBytes)})
			}
			for range fs.rng.IntN(300) {
				mustAppend(t, l, testBatch{value: fs.rng.IntN(500)})
				runWork(l)
			}
			if fs.rng.IntN(3) == 0 {
				if err := l.DeleteRecords(l.HighWatermark() / 2); err != nil {
					t.Fatal(err)
				}
				l.Expire(0)
			}
			for _, s := range searches {
				s.k.Run()
				got, err := l.Looked(s.k, s.offset, s.maxBytes)
				held := s.k.Segment().holds
				s.k.Release()
				switch {
				case s.offset < l.LogStartOffset():
					if !errors.Is(err, ErrOffsetOutOfRange) {
						t.Errorf("read at %d, below the start %d: %+v, %v", s.offset, l.LogStartOffset(), got, err)
					}
				case err != nil || got.Segment != s.want.Segment && s.want.Len > 0:
					t.Errorf("read at %d: %+v, %v, want %+v", s.offset, got, err, s.want)
				case got.Len > 0:
					checkRange(t, headersOf(t, bytesOf(t, got)), s.offset, got.Len, s.maxBytes)
				}
				if held < 1 {
					t.Errorf("the segment was not held")
				}
			}
		})
	}
}

// A disk that cannot be read, or a file that became shorter, gives the reader an error, and never a wrong range.
func TestLookupOfAnUnreadableFileIsAnError(t *testing.T) {
	fs, l, all := holedLog(t, 3)
	fs.setCold(100)
	last := all[len(all)/2]
	offset := last.LastOffset()
	if _, err := l.Read(offset, 100); !errors.Is(err, ErrCold) {
		t.Fatalf("read at %d: %v", offset, err)
	}
	look := func() error {
		k := l.Lookup(offset, 100, records.None)
		defer k.Release()
		k.Run()
		_, err := l.Looked(k, offset, 100)
		return err
	}
	failed := 0
	for ; ; failed++ { // every read of the search fails once
		fs.disk.FailOnce(failed, os.ErrInvalid)
		err := look()
		if fs.disk.Met() == "" {
			break
		}
		if err != nil && !(errors.Is(err, ErrStorage) && errors.Is(err, os.ErrInvalid)) {
			t.Fatalf("%s failed: %v", fs.disk.Met(), err)
		}
	}
	if failed == 0 {
		t.Error("no read failed")
	}
	fs.disk.FailOnce(-1, nil)
	if err := look(); err != nil {
		t.Fatal(err)
	}
	k := l.Lookup(offset, 100, records.None)
	defer k.Release()
	fs.disk.Put(k.Segment().path, bytes.Clone(fs.content(k.Segment().path)[:10]))
	if k.Run(); !errors.Is(k.err, ErrStorage) {
		t.Errorf("of a file that was cut there comes %v", k.err)
	}
}

// Old clients get no batch of a codec that they do not know, cold or not, and the search for one is bounded.
func TestRangeIsCutBeforeABatchOfACodec(t *testing.T) {
	fs := newSimFS(t, 5)
	o := Options{FS: fs, SegmentBytes: 1 << 20}
	l := openLog(t, recoverDir, o, OpenOptions{})
	const zstd, batches = 4, 2 * maxLooked
	for i := range batches {
		if i == 40 && l.segments[0].codecs&(1<<zstd) != 0 {
			t.Fatal("a codec is noted that no batch uses")
		}
		b := testBatch{}
		if i == 50 {
			b.bits = zstd
		}
		if _, err := l.Append(b.encode(), 0); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(offset int64) (Range, bool) {
		r := mustRead(t, l, offset, 1<<20)
		before, found, err := l.Before(zstd, r, nil)
		if errors.Is(err, ErrCold) {
			k := l.Lookup(offset, 1<<20, zstd)
			k.Run()
			before, found, err = l.Before(zstd, r, k)
			k.Release()
		}
		if err != nil {
			t.Fatal(err)
		}
		return before, found
	}
	for range 2 {
		for _, percent := range []int{0, 100, 50} {
			fs.setCold(percent)
			for offset, want := range map[int64]struct {
				batches int
				found   bool
			}{0: {50, true}, 49: {1, true}, 50: {0, true}, 51: {batches - 51, false}, batches - 3: {3, false}} {
				r, found := ask(offset)
				if got := len(headersOf(t, bytesOf(t, r))); got != want.batches || found != want.found {
					t.Errorf("%d%% cold, from %d: %d batches, found %v, want %+v", percent, offset, got, found, want)
				}
			}
		}
		fs.setCold(0)
		mustClose(t, l)
		l = openLog(t, recoverDir, o, OpenOptions{Clean: true})
	}
}

// sentFile is a file of which only what was sent is resident.
type sentFile struct {
	File
	path string
	sent map[string]int64
}

func (f sentFile) ReadResident(b []byte, offset int64) int {
	return f.File.ReadResident(b[:max(min(f.sent[f.path]-offset, int64(len(b))), 0)], offset)
}

// What a subscriber was sent last tells where its next read begins, so one that reads on needs no second look at the disk.
func TestSequentialReaderLooksNothingUp(t *testing.T) {
	for seed := range uint64(20) {
		_, l, all := holedLog(t, seed)
		sent := make(map[string]int64)
		for _, s := range l.segments {
			file := s.file
			s.file = sentFile{file, s.path, sent}
			defer func() { s.file = file }()
		}
		batches := 0
		for offset := l.LogStartOffset(); offset < l.HighWatermark(); {
			r, err := l.Read(offset, 20_000)
			if err != nil {
				t.Fatalf("seed %d: after %d of %d batches, read at %d: %v", seed, batches, len(all), offset, err)
			}
			if r.Len == 0 {
				break
			}
			sent[r.Segment.path] = r.Pos + r.Len
			list := headersOf(t, bytesOf(t, r))
			batches += len(list)
			offset = list[len(list)-1].NextOffset()
		}
		if batches != len(all) {
			t.Errorf("seed %d: %d of %d batches", seed, batches, len(all))
		}
	}
}
