package segment

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// doSync runs a plan.
func doSync(p *SyncPlan) error {
	var errs []error
	for _, s := range p.Files {
		errs = append(errs, s.file.Sync())
	}
	if p.SyncDir != nil {
		errs = append(errs, p.SyncDir())
	}
	return errors.Join(errs...)
}

func TestHighWatermarkMovesOnlyPastWhatIsSynced(t *testing.T) {
	fs := newSimFS(t, 41)
	l := openLog(t, recoverDir, Options{FS: fs, SegmentBytes: 300, ManualCommit: true}, OpenOptions{})
	for range 10 {
		mustAppend(t, l, testBatch{value: 20})
	}
	if l.HighWatermark() != 0 || l.LogEndOffset() != 10 {
		t.Fatalf("before a sync the high watermark is %d", l.HighWatermark())
	}
	if _, err := l.Read(1, 100); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("what is not committed is answered with %v", err)
	}
	p, ok := l.SyncPlan()
	if !ok || p.Offset != 10 || len(p.Files) != len(l.segments) || p.SyncDir == nil {
		t.Fatalf("the plan is %+v, %v", p, ok)
	}
	if _, again := l.SyncPlan(); again {
		t.Error("a second plan is made while the first is under way")
	}
	mustAppend(t, l, testBatch{value: 20})
	if err := doSync(p); err != nil {
		t.Fatal(err)
	}
	l.Synced(p)
	if l.HighWatermark() != 10 || l.DurableOffset() != 10 {
		t.Errorf("after the sync the high watermark is %d", l.HighWatermark())
	}
	if got := readAll(t, l, 0, 1<<20); len(got) != 10 {
		t.Errorf("%d batches can be read, want 10", len(got))
	}
	p, ok = l.SyncPlan()
	if !ok || len(p.Files) > 2 || p.Offset != 11 {
		t.Fatalf("the second plan is %+v, %v", p, ok)
	}
	_ = doSync(p)
	l.Synced(p)
	if _, ok := l.SyncPlan(); ok || l.HighWatermark() != 11 {
		t.Errorf("with all durable there is a plan: %v; high watermark %d", ok, l.HighWatermark())
	}
}

func TestFailedSyncIsNeverTriedAgain(t *testing.T) {
	l := openLog(t, recoverDir, Options{FS: newSimFS(t, 42), ManualCommit: true}, OpenOptions{})
	mustAppend(t, l, testBatch{})
	p, _ := l.SyncPlan()
	_ = doSync(p)
	l.Synced(p)
	mustAppend(t, l, testBatch{})
	p, _ = l.SyncPlan()
	l.SyncFailed(p, syscall.EIO)
	if _, err := l.Append(testBatch{}.encode(), 1); !errors.Is(err, ErrPoisoned) || !errors.Is(err, syscall.EIO) {
		t.Errorf("append after a failed sync says %v", err)
	}
	if _, ok := l.SyncPlan(); ok {
		t.Error("the sync is planned again")
	}
	if l.HighWatermark() != 1 || len(readAll(t, l, 0, 100)) != 1 {
		t.Errorf("the high watermark is %d", l.HighWatermark())
	}
	if err := l.Close(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("close says %v: the directory must not count as clean", err)
	}
}

func TestSegmentsRollBySizeAndByAge(t *testing.T) {
	hour := time.Hour.Milliseconds()
	l := openLog(t, recoverDir, Options{FS: newSimFS(t, 43), SegmentAge: time.Hour, SegmentBytes: 1000}, OpenOptions{})
	for i, c := range []struct {
		timestamp int64
		value     int
		segments  int
	}{
		{1000, 10, 1}, {1000 + hour, 10, 1}, {1001 + hour, 10, 2}, {0, 10, 2}, {1001 + 2*hour, 10, 2}, {1002 + 2*hour, 10, 3},
		{1002 + 2*hour, 800, 3}, {1002 + 2*hour, 800, 4}, {1002 + 2*hour, 3000, 5}, {1002 + 2*hour, 10, 6},
	} {
		mustAppend(t, l, testBatch{timestamp: c.timestamp, value: c.value})
		if len(l.segments) != c.segments {
			t.Errorf("step %d: there are %d segments, want %d", i, len(l.segments), c.segments)
		}
	}
}

func TestRetentionTakesWholeSegmentsTheOldestFirst(t *testing.T) {
	for _, c := range []struct {
		name      string
		bytes     int64
		age       time.Duration
		now       int64
		wantStart int64
	}{
		{"no limit", -1, -1, 1 << 40, 0},
		{"by size", 1000, -1, 0, 12},
		{"by size, none too many", 100_000, -1, 0, 0},
		{"by age", -1, time.Second, 1000 + 10 + 1000, 10},
		{"by age, not yet", -1, time.Second, 1001, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := newSimFS(t, 44)
			l := openLog(t, recoverDir, Options{FS: fs, SegmentBytes: 200, RetentionBytes: c.bytes, RetentionAge: c.age}, OpenOptions{})
			for i := range 24 {
				mustAppend(t, l, testBatch{timestamp: 1000 + int64(i), value: 20})
				runWork(l)
			}
			files := len(fs.disk.Names())
			remove := l.Expire(c.now)
			if (remove != nil) != (c.wantStart > 0) {
				t.Fatalf("something is to be removed: %v", remove != nil)
			}
			if remove != nil {
				if err := remove(); err != nil {
					t.Fatal(err)
				}
				if len(fs.disk.Names()) >= files {
					t.Errorf("%d files are left of %d", len(fs.disk.Names()), files)
				}
			}
			if l.LogStartOffset() != c.wantStart {
				t.Errorf("the log begins at %d, want %d (%d bytes)", l.LogStartOffset(), c.wantStart, l.SizeBytes())
			}
			if got := readAll(t, l, l.LogStartOffset(), 100); len(got) != 24-int(c.wantStart) {
				t.Errorf("%d batches are left", len(got))
			}
		})
	}
}

// What is deleted is at least as old as it says, and at least as long in the log, wherever the timestamps are wrong: too
// early in a header of an older server, missing, or in microseconds.
func TestRetentionIsNotFooledByTimestamps(t *testing.T) {
	now := time.Now().UnixMilli()
	const age = 60_000
	for name, c := range map[string]struct {
		timestamp int64
		restart   bool
		modified  int64 // when the file was changed last, before now
		kept      int64 // for how long after now the segment is kept
	}{
		"as it should be":               {timestamp: now, kept: age},
		"a replay":                      {timestamp: now - 10*age, kept: -1},
		"none":                          {timestamp: -1, kept: age},
		"microseconds":                  {timestamp: now * 1000, kept: age},
		"a bit ahead":                   {timestamp: now + age, kept: age},
		"restart":                       {timestamp: now, restart: true, kept: age},
		"restart, early header":         {timestamp: 1000, restart: true, kept: age},
		"restart, none":                 {timestamp: -1, restart: true, kept: age},
		"restart, microseconds":         {timestamp: now * 1000, restart: true, kept: age},
		"restart, copied with time 0":   {timestamp: now, restart: true, modified: now, kept: age},
		"restart, both are an hour old": {timestamp: now - 60*age, restart: true, modified: 60 * age, kept: -1},
	} {
		fs := newSimFSAt(t, 46, now-c.modified)
		o := Options{FS: fs, RetentionAge: age * time.Millisecond, SegmentBytes: 1000}
		l := openLog(t, recoverDir, o, OpenOptions{})
		for range 15 {
			if _, err := l.Append(testBatch{timestamp: c.timestamp, value: 100}.encode(), now); err != nil {
				t.Fatal(err)
			}
			runWork(l)
		}
		if c.restart {
			mustClose(t, l)
			l = openLog(t, recoverDir, o, OpenOptions{Clean: true})
		}
		expires := func(at int64) bool { return l.Expire(at) != nil }
		switch {
		case c.kept >= 0 && expires(now+c.kept):
			t.Errorf("%s: it is deleted within %d ms", name, c.kept)
		case !expires(now + c.kept + 1):
			t.Errorf("%s: it is not deleted after %d ms", name, c.kept+1)
		}
	}
}

// Old and new timestamps in turn, or one of the future, neither end a segment early nor keep it from ending.
func TestSegmentsEndByTheServersClock(t *testing.T) {
	now := time.Now().UnixMilli()
	l := openLog(t, recoverDir, Options{FS: newSimFS(t, 47), SegmentAge: time.Hour}, OpenOptions{})
	for i := range 20 {
		timestamp := []int64{1000, now, -1, now * 1000}[i%4]
		if _, err := l.Append(testBatch{timestamp: timestamp}.encode(), now+int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.segments); n != 1 {
		t.Errorf("%d segments within a second", n)
	}
	if _, err := l.Append(testBatch{timestamp: now}.encode(), now+time.Hour.Milliseconds()+1); err != nil || len(l.segments) != 2 {
		t.Errorf("%d segments after an hour, %v", len(l.segments), err)
	}
}

func TestRetentionEndsTheActiveSegmentFirst(t *testing.T) {
	fs := newSimFS(t, 45)
	l := openLog(t, recoverDir, Options{FS: fs, RetentionAge: time.Second}, OpenOptions{})
	mustAppend(t, l, testBatch{timestamp: 1000})
	for range 2 {
		if remove := l.Expire(5000); remove != nil {
			if err := remove(); err != nil {
				t.Fatal(err)
			}
		}
		runWork(l)
	}
	if l.LogStartOffset() != 1 || l.LogEndOffset() != 1 || l.SizeBytes() != 0 {
		t.Errorf("the log has %d to %d, %d bytes", l.LogStartOffset(), l.LogEndOffset(), l.SizeBytes())
	}
	mustAppend(t, l, testBatch{timestamp: 6000})
	mustClose(t, l)
	l = openLog(t, recoverDir, Options{FS: fs}, OpenOptions{Clean: true})
	if l.LogStartOffset() != 1 || l.LogEndOffset() != 2 {
		t.Errorf("opened again it has %d to %d", l.LogStartOffset(), l.LogEndOffset())
	}
}

func TestSegmentThatIsBeingSentStaysReadable(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentBytes: 200, RetentionBytes: 100}, OpenOptions{})
	for range 10 {
		mustAppend(t, l, testBatch{value: 50})
	}
	runWork(l)
	r, err := l.Read(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	r.Segment.Retain()
	mapped, err := r.Segment.Map()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Expire(0)(); err != nil {
		t.Fatal(err)
	}
	if list := headersOf(t, bytesOf(t, r)); list[0].BaseOffset != 0 {
		t.Errorf("the range begins at %d", list[0].BaseOffset)
	}
	if list := headersOf(t, mapped[r.Pos:r.Pos+r.Len]); list[0].BaseOffset != 0 {
		t.Errorf("the mapping begins at %d", list[0].BaseOffset)
	}
	r.Segment.Release()
	if _, err := r.Segment.file.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("the file is open after the last release")
	}
}

func TestDeletedRecordsStayDeleted(t *testing.T) {
	fs := newSimFS(t, 46)
	o := Options{FS: fs, SegmentBytes: 200}
	l := openLog(t, recoverDir, o, OpenOptions{})
	for range 10 {
		mustAppend(t, l, testBatch{value: 20})
	}
	if err := l.DeleteRecords(11); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("deleting behind the high watermark says %v", err)
	}
	if err := l.DeleteRecords(5); err != nil || l.LogStartOffset() != 5 {
		t.Fatalf("the log begins at %d, %v", l.LogStartOffset(), err)
	}
	if err := l.DeleteRecords(3); err != nil || l.LogStartOffset() != 5 {
		t.Errorf("the log begins at %d, %v", l.LogStartOffset(), err)
	}
	if _, err := l.Read(4, 100); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("a deleted offset is answered with %v", err)
	}
	if err := l.Expire(0)(); err != nil {
		t.Fatal(err)
	}
	if l.segments[0].base != 4 || l.LogStartOffset() != 5 {
		t.Errorf("the first segment begins at %d, the log at %d", l.segments[0].base, l.LogStartOffset())
	}
	path := filepath.Join("/data", LogStartFile)
	if err := WriteCheckpoint(fs, path, map[string]int64{"t-0": l.LogStartOffset(), "a-b-12": 7}); err != nil {
		t.Fatal(err)
	}
	if got := string(fs.content(path)); got != "0\n2\na-b 12 7\nt 0 5\n" {
		t.Errorf("the checkpoint is %q", got)
	}
	offsets, err := ReadCheckpoint(fs, path)
	if err != nil || len(offsets) != 2 || offsets["a-b-12"] != 7 {
		t.Fatalf("read back %v, %v", offsets, err)
	}
	mustClose(t, l)
	l = openLog(t, recoverDir, o, OpenOptions{Clean: true, LogStartOffset: offsets["t-0"]})
	if l.LogStartOffset() != 5 || l.LogEndOffset() != 10 {
		t.Errorf("opened again it has %d to %d", l.LogStartOffset(), l.LogEndOffset())
	}
}

func TestLogThatLostWhatWasDeletedGoesOnAtItsStart(t *testing.T) {
	fs := newSimFS(t, 47)
	l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{LogStartOffset: 100})
	if l.LogStartOffset() != 100 || l.LogEndOffset() != 100 {
		t.Errorf("the log has %d to %d", l.LogStartOffset(), l.LogEndOffset())
	}
	if a := mustAppend(t, l, testBatch{}); a.BaseOffset != 100 {
		t.Errorf("the first record has offset %d", a.BaseOffset)
	}
}

func TestFullDiskLosesNothingAndGoesOnWhenThereIsSpace(t *testing.T) {
	fs := newSimFS(t, 48)
	o := Options{FS: fs, SegmentBytes: 500}
	l := openLog(t, recoverDir, o, OpenOptions{})
	sent := 0
	for i := range 200 {
		if i%3 == 0 {
			fs.disk.FailOnce(fs.rng.IntN(3), syscall.ENOSPC)
		}
		_, err := l.Append(testBatch{value: 30}.encode(), 1)
		switch {
		case err == nil:
			sent++
		case !errors.Is(err, ErrStorage) || !errors.Is(err, syscall.ENOSPC):
			t.Fatalf("append says %v", err)
		}
		runWork(l)
	}
	fs.disk.FailOnce(-1, nil)
	if got := readAll(t, l, 0, 400); len(got) != sent || sent == 200 {
		t.Errorf("%d batches of %d", len(got), sent)
	}
	l = openLog(t, recoverDir, Options{FS: fs.restart()}, OpenOptions{})
	if got := readAll(t, l, 0, 400); len(got) != sent {
		t.Errorf("after a crash there are %d batches of %d", len(got), sent)
	}
}

func TestSegmentFileThatWasRemovedUnderTheLogIsWrittenAgain(t *testing.T) {
	for name, c := range map[string]struct{ segmentsBefore, segments int }{
		"and then closed with the log": {1, 1}, "and then closed": {1, 3}, "after it was closed": {3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newSimFS(t, 49)
			o := Options{FS: fs, SegmentBytes: 400}
			l := openLog(t, recoverDir, o, OpenOptions{})
			n := 0
			write := func(segments int) {
				for ; n == 0 || len(l.segments) < segments; n++ {
					mustAppend(t, l, testBatch{value: 30})
					runWork(l)
				}
			}
			write(c.segmentsBefore)
			fs.disk.Remove(segmentPath(recoverDir, 0))
			write(c.segments)
			mustClose(t, l)
			l = openLog(t, recoverDir, o, OpenOptions{Clean: true})
			if got := readAll(t, l, 0, 400); len(got) != n {
				t.Errorf("%d batches of %d are left", len(got), n)
			}
		})
	}
}

func TestExpiredSegmentThatWasRemovedAlreadyLeavesNothing(t *testing.T) {
	fs := newSimFS(t, 52)
	l := openLog(t, recoverDir, Options{FS: fs, SegmentBytes: 400, RetentionBytes: 1000}, OpenOptions{})
	for len(l.segments) < 6 {
		mustAppend(t, l, testBatch{value: 30})
		runWork(l)
	}
	path := segmentPath(recoverDir, 0)
	fs.disk.Remove(path)
	if err := l.Expire(1)(); err != nil {
		t.Error(err)
	}
	for _, name := range fs.disk.Names() {
		if strings.HasPrefix(name, strings.TrimSuffix(path, logSuffix)) {
			t.Errorf("%s is left", name)
		}
	}
}

func TestEpochsAndTopicIDAreKeptAsKafkaDoes(t *testing.T) {
	fs := newSimFS(t, 50)
	id := [16]byte{1, 2, 3, 250}
	o := Options{FS: fs, TopicID: id}
	l := openLog(t, recoverDir, o, OpenOptions{})
	mustAppend(t, l, testBatch{})
	mustAppend(t, l, testBatch{})
	mustClose(t, l)
	if got := string(fs.content(filepath.Join(recoverDir, epochFile))); got != "0\n1\n0 0\n" {
		t.Errorf("%s is %q", epochFile, got)
	}
	if got := string(fs.content(filepath.Join(recoverDir, partitionFile))); got != "version: 0\ntopic_id: AQID-gAAAAAAAAAAAAAAAA" {
		t.Errorf("%s is %q", partitionFile, got)
	}
	l = openLog(t, recoverDir, Options{FS: fs, LeaderEpoch: 4}, OpenOptions{Clean: true})
	mustAppend(t, l, testBatch{})
	if l.TopicID() != id || l.LeaderEpoch() != 4 {
		t.Errorf("topic id %v, epoch %d", l.TopicID(), l.LeaderEpoch())
	}
	mustClose(t, l)
	// A directory that was written under a higher epoch keeps it.
	l = openLog(t, recoverDir, Options{FS: fs}, OpenOptions{Clean: true})
	mustAppend(t, l, testBatch{})
	var epochs []int32
	for _, h := range readAll(t, l, 0, 1000) {
		epochs = append(epochs, h.LeaderEpoch)
	}
	if fmt.Sprint(epochs) != "[0 0 4 4]" {
		t.Errorf("the batches have the epochs %v", epochs)
	}
	for epoch, want := range map[int32][2]int64{-1: {-1, -1}, 0: {0, 2}, 3: {0, 2}, 4: {4, 4}, 9: {-1, -1}} {
		if e, end := l.EpochEnd(epoch); int64(e) != want[0] || end != want[1] {
			t.Errorf("epoch %d ends as epoch %d at %d, want %v", epoch, e, end, want)
		}
	}
}

func TestCleanMarkIsTakenOnce(t *testing.T) {
	fs := newSimFS(t, 51)
	if err := fs.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	if clean, err := TakeCleanMark(fs, "/data"); clean || err != nil {
		t.Errorf("without a mark: %v, %v", clean, err)
	}
	if err := WriteCleanMark(fs, "/data"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		fs = fs.powerLoss()
		if clean, err := TakeCleanMark(fs, "/data"); clean != want || err != nil {
			t.Errorf("with a mark: %v, %v, want %v", clean, err, want)
		}
	}
}
