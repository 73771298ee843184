package segment

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"oneplusn/segment/records"
)

// callsOnClosed are calls of every method of a log. None may do anything on one that was closed or deleted; those that
// can say so do. A method that is not here fails the test below.
var callsOnClosed = map[string]func(l *Log) error{
	"LogStartOffset":   func(l *Log) error { l.LogStartOffset(); return nil },
	"LogEndOffset":     func(l *Log) error { l.LogEndOffset(); return nil },
	"HighWatermark":    func(l *Log) error { l.HighWatermark(); return nil },
	"LastStableOffset": func(l *Log) error { l.LastStableOffset(); return nil },
	"DurableOffset":    func(l *Log) error { l.DurableOffset(); return nil },
	"SizeBytes":        func(l *Log) error { l.SizeBytes(); return nil },
	"LeaderEpoch":      func(l *Log) error { l.LeaderEpoch(); return nil },
	"TopicID":          func(l *Log) error { l.TopicID(); return nil },
	"Poisoned":         func(l *Log) error { _ = l.Poisoned(); return nil },
	"EpochOf":          func(l *Log) error { l.EpochOf(0); return nil },
	"EpochEnd":         func(l *Log) error { l.EpochEnd(0); return nil },
	"Stable":           func(l *Log) error { l.Stable(Range{}); return nil },
	"Aborted":          func(l *Log) error { l.Aborted(nil, 0, 10); return nil },
	"Check":            func(l *Log) error { _, err := l.Check(testBatch{value: 10}.encode()); return err },
	"Append":           func(l *Log) error { _, err := l.Append(testBatch{value: 10}.encode(), 1); return refused(err) },
	"Rules":            func(l *Log) error { l.Rules(); return nil },
	"AppendChecked": func(l *Log) error {
		raw := testBatch{value: 10}.encode()
		in, err := produced(raw)
		if err == nil {
			_, err = l.AppendChecked(raw, in, 1)
		}
		return refused(err)
	},
	"BeginWrite":    func(l *Log) error { _, err := l.BeginWrite(); return refused(err) },
	"Read":          func(l *Log) error { _, err := l.Read(0, 100); return refused(err) },
	"DeleteRecords": func(l *Log) error { return refused(l.DeleteRecords(1)) },
	"SearchTime":    func(l *Log) error { return none(l.SearchTime(0, 0) != nil) },
	"EachRecord": func(l *Log) error {
		return refused(l.EachRecord(1<<20, func(int64, *records.Record) {}, func(error) {}))
	},
	"ReadBlocking": func(l *Log) error { _, err := l.ReadBlocking(0, 100); return refused(err) },
	"Looked":       func(l *Log) error { _, err := l.Looked(&Lookup{}, 0, 100); return refused(err) },
	"Before":       func(l *Log) error { _, _, err := l.Before(1, Range{Segment: l.active()}, nil); return refused(err) },
	"Behind":       func(l *Log) error { l.Behind(Range{Segment: l.active()}); return nil },
	"Expire":       func(l *Log) error { return none(l.Expire(1<<50) != nil) },
	"Work":         func(l *Log) error { return none(l.Work() != nil) },
	"SyncPlan":     func(l *Log) error { _, ok := l.SyncPlan(); return none(ok) },
	"Configure":    func(l *Log) error { l.Configure(Options{RetentionBytes: 1}); return nil },
	"Abandon":      func(l *Log) error { l.Abandon(); return nil },
	"Checkpointed": func(l *Log) error { l.Checkpointed(1 << 40); return nil },
	"Close":        func(l *Log) error { return l.Close() },
	"Delete":       func(l *Log) error { l.Delete(); return nil },
	// Those that take back what was handed out before: see the test.
	"Synced": nil, "SyncFailed": nil, "EndWrite": nil,
	// A read said before that the answer is cold, which it never says of a closed log.
	"Lookup": nil,
}

func refused(err error) error {
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return errors.Join(errors.New("it does not say that the log is closed"), err)
}

func none(something bool) error {
	if something {
		return errors.New("it hands something out")
	}
	return nil
}

// filesBelow is every file below a directory.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestEveryMethodOfALogIsAskedWhatItDoesWhenClosed(t *testing.T) {
	methods := reflect.TypeFor[*Log]()
	for i := range methods.NumMethod() {
		if _, ok := callsOnClosed[methods.Method(i).Name]; !ok {
			t.Errorf("Log.%s is not in callsOnClosed: say what it does on a closed log", methods.Method(i).Name)
		}
	}
}

// underWay is all that a log can have handed out.
type underWay struct {
	work   func() func()
	remove func() error
	plan   *SyncPlan
	write  *Write
}

// logWithAllUnderWay is a log with many segments, of which everything that there is has been handed out.
func logWithAllUnderWay(t *testing.T, dir string) (*Log, underWay) {
	t.Helper()
	manual := Options{SegmentBytes: 500, ManualCommit: true, RetentionBytes: 600}
	l := openLog(t, dir, manual, OpenOptions{})
	next := func() testBatch { return testBatch{value: 100, producer: 5, sequence: int32(l.LogEndOffset())} }
	for len(l.segments) < 4 {
		mustAppend(t, l, next())
	}
	l.Configure(Options{SegmentBytes: 500, RetentionBytes: 600}) // all can be read, so some of it expires
	u := underWay{work: l.Work(), remove: l.Expire(1 << 50)}
	l.Configure(manual)
	mustAppend(t, l, next())
	var planned bool
	u.plan, planned = l.SyncPlan()
	u.write = mustBegin(t, l)
	if _, err := offer(t, u.write, testBatch{value: 450}); err != nil || !u.write.begins {
		t.Fatalf("the write: %+v, %v", u.write, err)
	}
	if u.work == nil || !planned || u.plan.SyncDir == nil {
		t.Fatalf("nothing is under way: work %v, plan %v", u.work != nil, planned)
	}
	return l, u
}

// comeBack lets all of it end after the log did. Close ends a write itself.
func (u underWay) comeBack(t *testing.T, l *Log, deleted, syncFails bool) {
	t.Helper()
	if err := doSync(u.plan); deleted && err != nil {
		t.Errorf("the rest of the sync: %v", err)
	}
	u.write.Run()
	done := u.work()
	if u.remove != nil {
		if err := u.remove(); err != nil {
			t.Errorf("the removal of expired segments: %v", err)
		}
	}
	done()
	if syncFails {
		l.SyncFailed(u.plan, errors.New("no such file"))
	} else {
		l.Synced(u.plan)
	}
	if deleted {
		if err := refused(l.EndWrite(u.write)); err != nil {
			t.Errorf("the end of the write: %v", err)
		}
	}
}

// Work that ends after its log was closed or deleted, in any order, does nothing to it, to its files,
// or to those of the next log of its name; and no descriptor is left.
func TestClosedLogDoesNothingWhateverIsCalled(t *testing.T) {
	for i := range 4 {
		deleted, syncFails := i&1 > 0, i&2 > 0
		before := openDescriptors(t)
		parent := t.TempDir()
		dir := filepath.Join(parent, "t-0")
		l, u := logWithAllUnderWay(t, dir)
		if deleted {
			if err := l.Delete().MoveAside(); err != nil {
				t.Fatal(err)
			}
		} else {
			u.write.Run()
			if err := l.Close(); !errors.Is(err, ErrPoisoned) { // a plan is under way
				t.Fatal(err)
			}
		}
		next := openLog(t, dir, Options{}, OpenOptions{Clean: true})
		mustAppend(t, next, testBatch{value: 10})
		files := filesBelow(t, parent)

		u.comeBack(t, l, deleted, syncFails)
		offsets := [...]int64{l.LogStartOffset(), l.LogEndOffset(), l.HighWatermark(), l.SizeBytes()}
		for _, name := range slices.Sorted(maps.Keys(callsOnClosed)) {
			for range 2 {
				if call := callsOnClosed[name]; call != nil {
					if err := call(l); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
		if now := [...]int64{l.LogStartOffset(), l.LogEndOffset(), l.HighWatermark(), l.SizeBytes()}; now != offsets {
			t.Errorf("start, end, high watermark and size went from %v to %v", offsets, now)
		}
		if now := filesBelow(t, parent); !maps.Equal(now, files) {
			t.Errorf("the files were %v and are %v", slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(now)))
		}
		mustClose(t, next)
		if n := openDescriptors(t); n != before {
			t.Errorf("deleted %v: %d descriptors were open and %d are", deleted, before, n)
		}
	}
}

// The directory of a deleted log is moved only after every job that uses it by name has ended.
func TestDeletedLogsDirectoryIsMovedAfterItsWork(t *testing.T) {
	parent := t.TempDir()
	l := openLog(t, filepath.Join(parent, "t-0"), Options{SegmentBytes: 500, RetentionBytes: 1}, OpenOptions{})
	l.worker.naming.RLock()
	gone := l.Delete()
	moved := make(chan error, 1)
	go func() { moved <- gone.MoveAside() }()
	for range 100 {
		select {
		case err := <-moved:
			t.Fatalf("it was moved under the hands of somebody, %v", err)
		default:
			if _, err := os.Stat(l.dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.worker.naming.RUnlock()
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	if err := gone.MoveAside(); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := gone.Remove(); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(parent); err != nil || len(names) != 0 {
		t.Errorf("%v are left, %v", names, err)
	}
}

// A start removes only directories that a deletion renamed, whatever the suffixes of other names.
func TestOnlyTheNamesThatDeletionsMakeAreThoseOfDeletedDirectories(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef"
	long := make([]byte, 249)
	for i := range long {
		long[i] = 'x'
	}
	for _, name := range []string{"t-0." + hex + "-delete", "a.b-c-12." + hex + "-delete", filepath.Base(asideName("/d/t-0", randomBytes)),
		filepath.Base(asideName("/d/"+string(long)+"-0", randomBytes))} {
		if !IsDeleted(name) || len(name) > 255 {
			t.Errorf("%s is not known", name)
		}
	}
	for _, name := range []string{"t-0", "do-not-delete", "-delete", "t-0.1234-delete", "t-0." + hex + "-deleted", "t." + hex + "-delete",
		"t-x." + hex + "-delete", "t-0." + hex[1:] + "G-delete", "t-0." + hex[1:] + "A-delete", "-0." + hex + "-delete",
		"t-0." + hex + "0-delete", "t-0" + hex + "-delete", hex + "-delete", "." + hex + "-delete"} {
		if IsDeleted(name) {
			t.Errorf("%s would be removed", name)
		}
	}
}
