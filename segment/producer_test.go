package segment

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"oneplusn/segment/records"
)

func TestSequencesAreCheckedAsKafkaDoes(t *testing.T) {
	type step struct {
		batch testBatch
		want  error
		dup   int64 // the offset that a duplicate is answered with, -1 if it is none
	}
	b := func(epoch int16, sequence int32, records int) testBatch {
		return testBatch{producer: 9, epoch: epoch, sequence: sequence, records: records}
	}
	for name, steps := range map[string][]step{
		"in order": {{b(0, 0, 2), nil, -1}, {b(0, 2, 1), nil, -1}, {b(0, 3, 5), nil, -1}},
		"a gap": {
			{b(0, 0, 2), nil, -1}, {b(0, 3, 1), ErrOutOfOrderSequence, -1}, {b(0, 2, 1), nil, -1},
		},
		"the last one again": {{b(0, 0, 2), nil, -1}, {b(0, 0, 2), nil, 0}},
		"any of the last five again": {
			{b(0, 0, 1), nil, -1}, {b(0, 1, 1), nil, -1}, {b(0, 2, 1), nil, -1}, {b(0, 3, 1), nil, -1},
			{b(0, 4, 1), nil, -1}, {b(0, 0, 1), nil, 0}, {b(0, 3, 1), nil, 3},
		},
		"the sixth last again": {
			{b(0, 0, 1), nil, -1}, {b(0, 1, 1), nil, -1}, {b(0, 2, 1), nil, -1}, {b(0, 3, 1), nil, -1},
			{b(0, 4, 1), nil, -1}, {b(0, 5, 1), nil, -1}, {b(0, 0, 1), ErrOutOfOrderSequence, -1},
		},
		"a part of one again": {{b(0, 0, 3), nil, -1}, {b(0, 0, 2), ErrOutOfOrderSequence, -1}},
		"unknown begins at 0": {
			{b(0, 500, 1), ErrOutOfOrderSequence, -1}, {b(3, 1, 1), ErrOutOfOrderSequence, -1}, {b(3, 0, 1), nil, -1},
		},
		"unknown may begin anywhere where somebody was forgotten": {
			{b(0, 500, 1), nil, -1}, {b(0, 501, 1), nil, -1}, {b(0, 503, 1), ErrOutOfOrderSequence, -1},
		},
		"a later epoch begins at 0": {
			{b(0, 0, 1), nil, -1}, {b(1, 1, 1), ErrOutOfOrderSequence, -1}, {b(1, 0, 1), nil, -1},
		},
		"an earlier epoch is fenced": {
			{b(3, 0, 1), nil, -1}, {b(2, 1, 1), ErrInvalidProducerEpoch, -1},
			{b(2, 0, 1), ErrInvalidProducerEpoch, -1},
		},
		"numbers wrap around, somebody was forgotten": {
			{b(0, math.MaxInt32-1, 1), nil, -1}, {b(0, math.MaxInt32, 1), nil, -1}, {b(0, 0, 1), nil, -1},
			{b(0, math.MaxInt32, 1), nil, 1},
		},
		"a batch across the wraparound, somebody was forgotten": {
			{b(0, math.MaxInt32, 3), nil, -1}, {b(0, 2, 1), nil, -1}, {b(0, math.MaxInt32, 3), nil, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, reopen := range []bool{false, true} {
				fs := newSimFS(t, 31)
				l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
				l.producers.forgot = strings.Contains(name, "somebody was forgotten")
				for i, s := range steps {
					if reopen && i == len(steps)-1 {
						mustClose(t, l)
						l = openLog(t, recoverDir, Options{FS: fs}, OpenOptions{Clean: true})
					}
					end := l.LogEndOffset()
					a, err := l.Append(s.batch.encode(), 1)
					if !errors.Is(err, s.want) {
						t.Fatalf("step %d, reopened %v: %v, want %v", i, reopen, err, s.want)
					}
					if a.Duplicate != (s.dup >= 0) || a.Duplicate && (a.BaseOffset != s.dup || l.LogEndOffset() != end) {
						t.Fatalf("step %d, reopened %v: %+v, want the duplicate of %d", i, reopen, a, s.dup)
					}
				}
			}
		})
	}
}

func TestProducersSurviveACrashAndAnyNumberOfRolls(t *testing.T) {
	for _, work := range []bool{true, false} {
		fs := newSimFS(t, 32)
		o := Options{FS: fs, SegmentBytes: 1000, MaxBatchBytes: 500}
		l := openLog(t, recoverDir, o, OpenOptions{})
		for i := range 60 {
			mustAppend(t, l, testBatch{producer: 5, sequence: int32(i), value: 20, timestamp: 9})
			if i < 3 {
				mustAppend(t, l, testBatch{producer: 6, sequence: int32(i), timestamp: 9})
			}
			if work {
				runWork(l)
			}
		}
		l = openLog(t, recoverDir, Options{FS: fs.restart(), SegmentBytes: 1000}, OpenOptions{})
		for back := 1; back <= 5; back++ {
			a, err := l.Append(testBatch{producer: 5, sequence: int32(60 - back), value: 20}.encode(), 9)
			if err != nil || !a.Duplicate || a.BaseOffset != int64(63-back) {
				t.Errorf("work %v: batch %d from the end again: %+v, %v", work, back, a, err)
			}
		}
		if _, err := l.Append(testBatch{producer: 5, sequence: 61}.encode(), 9); !errors.Is(err, ErrOutOfOrderSequence) {
			t.Errorf("work %v: a gap is answered with %v", work, err)
		}
		// The first producer's batches are segments back: a snapshot has to know it.
		if _, err := l.Append(testBatch{producer: 6, sequence: 7}.encode(), 9); !errors.Is(err, ErrOutOfOrderSequence) {
			t.Errorf("work %v: a gap of the silent producer is answered with %v", work, err)
		}
	}
}

// What a producer had in flight at a stop may lie in several segments.
func TestRetriesAfterARestartAreKnownWhereverSegmentsEnd(t *testing.T) {
	for n := rememberedBatches; n < 40; n++ {
		fs := newSimFS(t, uint64(n))
		o := Options{FS: fs, SegmentBytes: 400}
		l := openLog(t, recoverDir, o, OpenOptions{})
		for i := range n {
			mustAppend(t, l, testBatch{producer: 5, sequence: int32(i), value: 20, timestamp: 9})
			runWork(l)
		}
		mustClose(t, l)
		l = openLog(t, recoverDir, o, OpenOptions{Clean: true})
		for back := 1; back <= rememberedBatches; back++ {
			a, err := l.Append(testBatch{producer: 5, sequence: int32(n - back), value: 20}.encode(), 9)
			if err != nil || !a.Duplicate || a.BaseOffset != int64(n-back) {
				t.Errorf("%d batches: number %d from the end again: %+v, %v", n, back, a, err)
			}
		}
	}
}

// A start after a clean stop does not look for damage. Where it meets some, it is the readers' to be told.
func TestDamageAmongOldBatchesDoesNotKeepALogFromStarting(t *testing.T) {
	fs := newSimFS(t, 34)
	l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
	for i := range 200 {
		mustAppend(t, l, testBatch{producer: 5, sequence: int32(i), value: 50, timestamp: 9})
	}
	mustClose(t, l)
	data := fs.content(segmentPath(recoverDir, 0))
	at := 0
	for range 100 {
		h, err := records.ParseBatch(data[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += h.Size()
	}
	data[at+16] = 7
	l = openLog(t, recoverDir, Options{FS: fs}, OpenOptions{Clean: true})
	var damage *DamagedError
	if _, err := l.Read(101, 1); !errors.As(err, &damage) {
		t.Errorf("reading behind the damage: %v", err)
	}
	if r, err := l.Read(0, 1); err != nil || r.Len == 0 {
		t.Errorf("reading before the damage: %+v, %v", r, err)
	}
	if a, err := l.Append(testBatch{producer: 5, sequence: 199, value: 50}.encode(), 9); err != nil || !a.Duplicate {
		t.Errorf("the last batch again: %+v, %v", a, err)
	}
}

func TestProducersAreBoundedAndForgottenInTime(t *testing.T) {
	fs := newSimFS(t, 33)
	l := openLog(t, recoverDir, Options{FS: fs, MaxProducers: 3, RetentionAge: -1}, OpenOptions{})
	for id := range 5 {
		mustAppend(t, l, testBatch{producer: int64(id + 1), timestamp: int64(id)})
	}
	if n := len(l.producers.byID); n != 3 || l.producers.byID[1] != nil || l.producers.byID[5] == nil {
		t.Errorf("%d producers are known", n)
	}
	l.Expire(l.options.ProducerExpiry.Milliseconds() + 4)
	if n := len(l.producers.byID); n != 1 || l.producers.byID[5] == nil {
		t.Errorf("after a day %d producers are known", n)
	}
}

func TestSnapshotsAreReadBackAndDamageIsSeen(t *testing.T) {
	ps := newProducers(10)
	for i := range 3 {
		ps.add(sequence{id: int64(i), epoch: 2, first: 5, last: 7, offsetDelta: 2, lastOffset: 100, timestamp: 55}, 55)
	}
	raw := ps.encode()
	list, err := parseSnapshot(raw)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d producers, %v", len(list), err)
	}
	want := sequence{id: 2, epoch: 2, first: 5, last: 7, offsetDelta: 2, lastOffset: 100, timestamp: 55}
	if p := list[2]; p.n != 1 || p.batches[0] != want || p.coordinatorEpoch != -1 || p.txnFirstOffset != -1 {
		t.Errorf("read back %+v", p)
	}
	for i := range len(raw) * 8 {
		raw[i/8] ^= 1 << (i % 8)
		if _, err := parseSnapshot(raw); err == nil {
			t.Errorf("bit %d is flipped, and there is no error", i)
		}
		raw[i/8] ^= 1 << (i % 8)
	}
	for n := range raw {
		if _, err := parseSnapshot(raw[:n]); err == nil {
			t.Errorf("cut at %d, and there is no error", n)
		}
	}
}

// A first batch that is not the first is a sign of one that was lost, unless the producer may have been forgotten.
func TestUnknownProducerBeginsAnywhereOnlyWhereItMayHaveBeenForgotten(t *testing.T) {
	now := time.Now().UnixMilli()
	for name, c := range map[string]struct {
		happens func(l *Log) *Log
		want    error
	}{
		"nothing": {func(l *Log) *Log { return l }, ErrOutOfOrderSequence},
		"a restart": {func(l *Log) *Log {
			mustClose(t, l)
			return openLog(t, recoverDir, l.options, OpenOptions{Clean: true})
		}, ErrOutOfOrderSequence},
		"a crash": {func(l *Log) *Log {
			return openLog(t, recoverDir, l.options, OpenOptions{}) // which may have lost what producer 9 wrote
		}, nil},
		"another topic was deleted before it was made": {func(l *Log) *Log {
			return openLog(t, recoverDir+"-again", Options{FS: l.options.FS, LeaderEpoch: 1}, OpenOptions{})
		}, nil},
		"a restart long after it was made": {func(l *Log) *Log {
			mustClose(t, l)
			l.options.FS.(*simFS).disk.SetModified(recoverDir+"/"+partitionFile, time.UnixMilli(now-2*day.Milliseconds()))
			return openLog(t, recoverDir, l.options, OpenOptions{Clean: true})
		}, nil},
		"a restart without its snapshot and head": {func(l *Log) *Log {
			for range 50 {
				mustAppend(t, l, testBatch{value: 100, timestamp: now})
				runWork(l)
			}
			mustClose(t, l)
			fs := l.options.FS.(*simFS)
			for _, name := range fs.disk.Names() {
				if strings.HasSuffix(name, snapshotSuffix) {
					fs.disk.Remove(name)
				}
			}
			return openLog(t, recoverDir, l.options, OpenOptions{Clean: true})
		}, nil},
		"too many others": {func(l *Log) *Log {
			for id := range 5 {
				mustAppend(t, l, testBatch{producer: int64(100 + id), timestamp: now})
			}
			return l
		}, nil},
		"a silence": {func(l *Log) *Log {
			l.Expire(now + 2*day.Milliseconds())
			return l
		}, nil},
		"records were deleted": {func(l *Log) *Log {
			if err := l.DeleteRecords(1); err != nil {
				t.Fatal(err)
			}
			return l
		}, nil},
	} {
		fs := newSimFSAt(t, 35, now)
		l := openLog(t, recoverDir, Options{FS: fs, MaxProducers: 4, SegmentBytes: 1000, RetentionAge: -1, TopicID: [16]byte{1}}, OpenOptions{})
		mustAppend(t, l, testBatch{producer: 5, timestamp: now})
		mustAppend(t, l, testBatch{producer: 6, timestamp: now})
		l = c.happens(l)
		if _, err := l.Append(testBatch{producer: 9, sequence: 17}.encode(), now); !errors.Is(err, c.want) {
			t.Errorf("after %s: %v, want %v", name, err, c.want)
		}
	}
}

// A producer's state expires by the time of its last append, not by the timestamps of its records: else the
// retry of an acknowledged batch is stored twice after a restart.
func TestRetryIsKnownAfterARestartWhateverItsTimestamp(t *testing.T) {
	now := time.Now().UnixMilli()
	for name, timestamp := range map[string]int64{
		"a week ago": now - 7*day.Milliseconds(), "none": -1, "1970": 0, "now": now, "microseconds": now * 1000,
	} {
		for _, crash := range []bool{false, true} {
			fs := newSimFSAt(t, 36, now)
			l := openLog(t, recoverDir, Options{FS: fs, RetentionAge: -1, SegmentBytes: 1000}, OpenOptions{})
			batches := []testBatch{{producer: 5, records: 3, timestamp: timestamp}, {producer: 6, timestamp: timestamp},
				{producer: 5, sequence: 3, timestamp: timestamp}}
			for _, b := range batches {
				if _, err := l.Append(b.encode(), now); err != nil {
					t.Fatal(err)
				}
			}
			for range 20 { // the segment ends
				mustAppend(t, l, testBatch{value: 100, timestamp: now})
				runWork(l)
			}
			if crash {
				l = openLog(t, recoverDir, Options{FS: fs.revive(), RetentionAge: -1, SegmentBytes: 1000}, OpenOptions{})
			} else {
				mustClose(t, l)
				l = openLog(t, recoverDir, Options{FS: fs, RetentionAge: -1, SegmentBytes: 1000}, OpenOptions{Clean: true})
			}
			l.Expire(now + time.Hour.Milliseconds())
			for i, b := range batches {
				if a, err := l.Append(b.encode(), now); err != nil || !a.Duplicate {
					t.Errorf("%s, crash %v: batch %d again: %+v, %v", name, crash, i, a, err)
				}
			}
			l.Expire(now + 25*time.Hour.Milliseconds())
			if n := len(l.producers.byID); n != 0 {
				t.Errorf("%s, crash %v: %d producers are remembered a day later", name, crash, n)
			}
		}
	}
}

// A start that is cut short may have finished segments. The next one knows the producers of their batches all the same.
func TestProducersAreKnownHoweverAStartBeforeWasCutShort(t *testing.T) {
	o := Options{SegmentBytes: 400}
	fs := newSimFS(t, 37)
	o.FS = fs
	l := openLog(t, recoverDir, o, OpenOptions{})
	for i := range 12 {
		mustAppend(t, l, testBatch{producer: 1 + int64(i/6), sequence: int32(i % 6), value: 30})
	}
	if len(l.segments) < 3 {
		t.Fatalf("%d segments", len(l.segments))
	}
	for n := 0; ; n++ {
		after := fs.restart()
		after.disk.FailAt(n, errPowerLost)
		o.FS = after
		_, err := Open(recoverDir, o, OpenOptions{})
		after = after.revive()
		o.FS = after
		again := openLog(t, recoverDir, o, OpenOptions{})
		for producer := range int64(2) {
			if a, err := again.Append(testBatch{producer: 1 + producer, sequence: 5, value: 30}.encode(), 1); err != nil || !a.Duplicate {
				t.Fatalf("after a start that ended at operation %d, the last batch of producer %d again: %+v, %v", n, producer, a, err)
			}
		}
		mustClose(t, again)
		after.close()
		if err == nil {
			break
		}
	}
}
