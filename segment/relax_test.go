package segment

import (
	"errors"
	"syscall"
	"testing"
)

// A configuration change from "acknowledge what was synced" to another policy comes after a failed sync, while one is
// under way, or with nothing of the kind. What the failed one was about never becomes readable.
func TestRelaxedPolicyShowsNothingWhoseSyncFailed(t *testing.T) {
	for _, c := range []struct {
		name             string
		failBefore, plan bool
		fails            bool
		end              int64 // the high watermark when all is done
	}{
		{"a sync had failed", true, false, true, 1},
		{"a sync is under way and fails", false, true, true, 1},
		{"a sync is under way and succeeds", false, true, false, 6},
		{"no sync is under way", false, false, false, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := newSimFS(t, 8)
			strict := Options{FS: fs, ManualCommit: true, SegmentBytes: 250}
			relaxed := strict
			relaxed.ManualCommit = false
			l := openLog(t, recoverDir, strict, OpenOptions{})
			mustAppend(t, l, testBatch{value: 30})
			p, _ := l.SyncPlan()
			l.Synced(p)
			for range 4 { // over several segments
				mustAppend(t, l, testBatch{value: 30})
			}
			if c.failBefore || c.plan {
				p, _ = l.SyncPlan()
			}
			if c.failBefore {
				l.SyncFailed(p, syscall.EIO)
			}
			l.Configure(relaxed)
			_, err := l.Append(testBatch{value: 30}.encode(), 1)
			if (err != nil) != c.failBefore || err != nil && !errors.Is(err, ErrPoisoned) {
				t.Fatalf("an append: %v", err)
			}
			if want := map[bool]int64{true: 1, false: c.end}[c.plan || c.failBefore]; l.HighWatermark() != want {
				t.Errorf("after the change the high watermark is %d, want %d", l.HighWatermark(), want)
			}
			if c.plan && c.fails {
				l.SyncFailed(p, syscall.EIO)
			} else if c.plan {
				l.Synced(p)
			}
			l.Configure(strict) // and back again
			l.Configure(relaxed)
			if got := readAll(t, l, 0, 1000); int64(len(got)) != c.end || l.HighWatermark() != c.end {
				t.Errorf("%d records can be read, the high watermark is %d, want %d", len(got), l.HighWatermark(), c.end)
			}
			if r, err := l.Read(c.end, 1000); err != nil || r.Len != 0 {
				t.Errorf("a read at the end gives %d bytes, %v", r.Len, err)
			}
		})
	}
}
