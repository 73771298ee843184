package loop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestRecorderKeepsTheLastEventsInOrder(t *testing.T) {
	l := New(nil, ThisMachine())
	kind := NewEventKind("step", "n", "twice").As(1, func(n int64) string { return fmt.Sprintf("<%d>", n) })
	const kept, n = 7, 17
	l.KeepEvents(kept)
	for i := range n {
		l.Record(kind, int64(i), 2*int64(i))
	}
	var b bytes.Buffer
	l.WriteEvents(&b)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != kept || l.Recorded() != n {
		t.Fatalf("%d events are kept of %d, want %d of %d", len(lines), l.Recorded(), kept, n)
	}
	for i, line := range lines {
		if want := fmt.Sprintf("step n=%d twice=<%d>", i+10, 2*(i+10)); !strings.HasSuffix(line, want) {
			t.Fatalf("line %d is %q, want %q", i, line, want)
		}
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	l := New(nil, ThisMachine())
	kind := NewEventKind("step", "a", "b", "c")
	if n := testing.AllocsPerRun(100, func() { l.Record(kind, 1, 2, 3) }); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}
