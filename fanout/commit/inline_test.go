package commit

import (
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
	p := &Partition{Log: log}
	inline := inlineWrites{allowed: true}
	takes := func(bytes int, now time.Duration) bool {
		t.Helper()
		w, err := log.BeginWrite()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = log.EndWrite(w) }()
		batch := batchOf(bytes)
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
		p.queue.ran(fastWrite)
	}
	if !takes(100, 0) {
		t.Error("after many fast writes none stays on the loop")
	}
	if takes(inlineBytes, 0) {
		t.Error("a large write stays on the loop")
	}
	p.queue.ran(fastWrite + 1)
	if takes(100, 0) {
		t.Error("after a slow write the next stays on the loop")
	}
	for range inlineAfter {
		p.queue.ran(0)
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
