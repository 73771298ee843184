package fanout

import (
	"syscall"
	"testing"
	"time"

	"oneplusn/segment"
)

// The policy of inline writes, over time: which write of a batch runs on the loop's thread.
func TestWritesStayOnTheLoopOnlyWhereTheyAreFast(t *testing.T) {
	dir := t.TempDir()
	log, err := segment.Open(dir, segment.Options{}, segment.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	p := &partition{log: log}
	inline := inlineWrites{allowed: true}
	takes := func(bytes int, now time.Duration) bool {
		t.Helper()
		w, err := log.BeginWrite()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = log.EndWrite(w) }()
		batch := makeBatch(1, 1, bytes, 0)
		checked, err := log.Check(batch)
		if err == nil {
			_, err = w.Add(batch, checked, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		return inline.takes(p, w, now)
	}
	for i := range inlineAfter {
		if takes(100, 0) {
			t.Fatalf("after %d fast writes one stays on the loop", i)
		}
		p.appends.ran(fastWrite)
	}
	if !takes(100, 0) {
		t.Error("after many fast writes none stays on the loop")
	}
	if takes(inlineBytes, 0) {
		t.Error("a large write stays on the loop")
	}
	p.appends.ran(fastWrite + 1)
	if takes(100, 0) {
		t.Error("after a slow write the next stays on the loop")
	}
	for range inlineAfter {
		p.appends.ran(0)
	}
	// Each time that one waits, none stays for twice as long as before.
	now := time.Duration(0)
	for i, want := 0, firstInlineBackoff; i < 10; i, want = i+1, min(2*want, maxInlineBackoff) {
		inline.stuck(now)
		if takes(100, now+want-1) || !takes(100, now+want) {
			t.Errorf("stuck for the %dth time, the backoff is %v, want %v", i+1, inline.backoff, want)
		}
		now += want
	}
	inline.stuck(now + 3*maxInlineBackoff)
	if inline.backoff != firstInlineBackoff {
		t.Errorf("after a long time the backoff is %v", inline.backoff)
	}
	inline = inlineWrites{}
	if takes(100, 0) {
		t.Error("a write stays on the loop though that is not allowed")
	}
}

// Whether a write runs on the loop or off it, what was acknowledged is there, and a failure is told.
func TestWritesOnTheLoopAndOffItDoTheSame(t *testing.T) {
	for _, fsync := range []Fsync{{}, {Always: true}} {
		disk := &faultyFS{FS: segment.OS}
		s := startWith(t, func(c *Config) { c.fs, c.Fsync = disk, fsync }, func(b *Broker) { b.inline.allowed = true })
		c := s.dial()
		c.create("feed", 1)
		log := &shadow{topic: "feed"}
		isInline := func() (inline bool) {
			s.onLoop(func(b *Broker) { inline = b.topics.byName["feed"].partitions[0].appends.fast >= inlineAfter })
			return inline
		}
		if !eventually(func() bool { c.publish(log, makeBatch(uint64(log.end), 1, 100, 0)); return isInline() }) {
			t.Fatal("no write stays on the loop")
		}
		for i := range 20 {
			c.publish(log, makeBatch(uint64(i), 1, 100, 0))
		}
		disk.fail("feed-0", syscall.ENOSPC, false)
		if r := c.produce("feed", 0, makeBatch(1, 1, 100, 0)); r.ErrorCode != 56 {
			t.Errorf("error %d, want 56", r.ErrorCode)
		}
		disk.fail("", nil, false)
		for i := range 20 {
			c.publish(log, makeBatch(uint64(i), 1, 100+i*10_000, 0)) // the large ones go elsewhere
		}
		if err := s.dial().readAll(11, []*shadow{log}); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyLocalFileSystemsAreWrittenToOnTheLoop(t *testing.T) {
	if onLocalFileSystem("/proc") || onLocalFileSystem("/does/not/exist") {
		t.Error("/proc is taken for a local disk")
	}
	if dir := smallDisk(t, "size=1m"); !onLocalFileSystem(dir) {
		t.Error("a tmpfs is not taken for a local file system")
	}
}
