package segment

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"oneplusn/segment/records"
)

// Misuse by a caller panics at once with the expectation, not later somewhere else.
func TestMisuseFailsAnAssertion(t *testing.T) {
	for says, misuse := range map[string]func(l *Log){
		"used after the last hold": func(l *Log) { r, _ := l.Read(0, 100); l.Delete(); r.Segment.Retain() },
		"is not in flight": func(l *Log) {
			p, _ := l.SyncPlan()
			l.Synced(p)
			l.SyncFailed(p, errors.New("late"))
		},
		"a write ends that": func(l *Log) { w, _ := l.BeginWrite(); _, _ = l.EndWrite(w), l.EndWrite(w) },
		"are added to a write": func(l *Log) {
			w, _ := l.BeginWrite()
			_, _ = w.Add(nil, Checked{}, 1)
		},
		"used before it ran": func(l *Log) { _, _ = l.Looked(l.Lookup(0, 100, records.None), 0, 100) },
		"runs again":         func(l *Log) { k := l.Lookup(0, 100, records.None); k.Run(); k.Run() },
		"is released twice":  func(l *Log) { k := l.Lookup(0, 100, records.None); k.Release(); k.Release() },
		"by time of /data/t-0/00000000000000000000.log runs again": func(l *Log) {
			s := l.SearchTime(0, 0)
			s.Run(1 << 20)
			s.Run(1 << 20)
		},
		"search by time is released twice": func(l *Log) { s := l.SearchTime(0, 0); s.Release(); s.Release() },
		"while a plan syncs it":            func(l *Log) { l.SyncPlan(); l.finishWork(l.segments[0]) },
		"and 1000000 can be read": func(l *Log) {
			w, _ := l.BeginWrite()
			w.visible = 1_000_000
			w.Run()
		},
		"a background job ends": func(l *Log) {
			done := l.Work()()
			done()
			done()
		},
		"a range from":       func(l *Log) { l.active().span(0, l.active().size+1) },
		"31 bits":            func(*Log) { relative(1<<31+5, 5) },
		"does not follow":    func(l *Log) { l.active().index.add(0, 0, l.active().size, 1) },
		"at most the next":   func(l *Log) { l.logStart = l.LogEndOffset() + 1; l.checkOffsets() },
		"the recovery point": func(l *Log) { l.Checkpointed(l.LogEndOffset() + 1) },
	} {
		t.Run(says, func(t *testing.T) {
			l := openLog(t, "/data/t-0", Options{FS: newSimFS(t, 1), SegmentBytes: 400}, OpenOptions{})
			for range 5 {
				mustAppend(t, l, testBatch{value: 100})
			}
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, says) {
					t.Errorf("the assertion says %q, want %q in it", got, says)
				}
				l.logStart = 0
			}()
			misuse(l)
		})
	}
}
