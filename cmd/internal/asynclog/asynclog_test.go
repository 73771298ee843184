package asynclog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 10 * time.Second

// gate is a sink that blocks until it is opened.
type gate struct {
	entered chan struct{} // gets one value at the start of each Write
	open    chan struct{}

	mu      sync.Mutex
	written bytes.Buffer
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.written.Write(p)
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.written.String()
}

// unreported is how many records were dropped since the log last reported it.
func unreported(l *Log) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unreported
}

func TestABlockedSinkNeverBlocksTheCaller(t *testing.T) {
	sink := newGate()
	log := Start(sink, Options{BufferBytes: 1 << 10})
	logger := log.Logger()
	logger.Info("first")
	<-sink.entered // the writer is now stuck in the sink
	const records = 1000
	for i := range records {
		logger.Info("record", "i", i) // would hang here
	}
	if got := unreported(log); got == 0 || got >= records {
		t.Fatalf("%d records of %d dropped with a buffer of 1 KiB, want some and not all", got, records)
	}
	dropped := unreported(log)
	close(sink.open)
	if !log.Close(patience) {
		t.Fatal("Close timed out on an open sink")
	}
	out := sink.String()
	if want := fmt.Sprintf("records=%d ", dropped); !strings.Contains(out, want) {
		t.Errorf("the log does not report %q:\n%s", want, out)
	}
	if kept := strings.Count(out, "msg=record"); kept+int(dropped) != records {
		t.Errorf("%d records written and %d dropped, want %d together", kept, dropped, records)
	}
	for i := range strings.Count(out, "msg=record") {
		if !strings.Contains(out, fmt.Sprintf("msg=record i=%d\n", i)) {
			t.Fatalf("record %d is missing though later ones are there: order is lost", i)
		}
	}
}

func TestFlushWaitsForWhatWasLoggedAndGivesUpInTime(t *testing.T) {
	sink := newGate()
	log := Start(sink, Options{})
	log.Logger().Info("held")
	if log.Flush(time.Millisecond) {
		t.Fatal("Flush returned true, but the sink has not taken the record")
	}
	close(sink.open)
	if !log.Flush(patience) {
		t.Fatal("Flush timed out on an open sink")
	}
	if out := sink.String(); !strings.Contains(out, "msg=held") {
		t.Fatalf("Flush returned before the record was written, the sink has %q", out)
	}
	log.Close(patience)
}

func TestRecordsAfterCloseAreDroppedAndCounted(t *testing.T) {
	var out bytes.Buffer
	log := Start(&out, Options{})
	log.Logger().Info("before")
	if !log.Close(patience) {
		t.Fatal("Close timed out")
	}
	size := out.Len()
	log.Logger().Info("after")
	if !log.Flush(patience) {
		t.Error("Flush of a closed log timed out")
	}
	if unreported(log) != 1 || out.Len() != size {
		t.Errorf("dropped %d and wrote %d bytes after Close, want 1 and 0", unreported(log), out.Len()-size)
	}
}

func TestJSONRecordsAreOneObjectALine(t *testing.T) {
	var out bytes.Buffer
	log := Start(&out, Options{Format: JSON, Level: slog.LevelDebug})
	logger := log.Logger().With("topic", "lines").WithGroup("fetch")
	logger.Debug("served", "bytes", 7)
	logger.Debug("served", "bytes", 8)
	log.Close(patience)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(lines), out.String())
	}
	for i, line := range lines {
		var record struct {
			Level, Msg, Topic string
			Fetch             struct{ Bytes int }
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if record.Level != "DEBUG" || record.Topic != "lines" || record.Fetch.Bytes != 7+i {
			t.Errorf("line %d is %+v", i, record)
		}
	}
}

func TestConcurrentRecordsComeOutWhole(t *testing.T) {
	var out bytes.Buffer
	log := Start(&out, Options{BufferBytes: 1 << 20})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				log.Logger().Info("r", "g", g, "i", i)
			}
		})
	}
	wg.Wait()
	log.Close(patience)
	seen := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		at := strings.Index(line, "msg=r ")
		if at < 0 || !strings.HasPrefix(line, "time=") {
			t.Fatalf("torn record %q", line)
		}
		seen[line[at:]] = true
	}
	if len(seen) != 8*200 || strings.Contains(out.String(), "dropped") {
		t.Errorf("%d records came out, want 1600 and none dropped", len(seen))
	}
}

func TestAppendingARecordAllocatesNothing(t *testing.T) {
	log := Start(io.Discard, Options{})
	defer log.Close(patience)
	record := []byte("level=INFO msg=steady\n")
	if n := testing.AllocsPerRun(1000, func() { _, _ = log.Write(record) }); n != 0 {
		t.Errorf("%v allocations a record, want 0", n)
	}
}

func TestUnknownFormatIsRefusedByName(t *testing.T) {
	if _, err := ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("ParseFormat(xml) = %v, want an error that names it", err)
	}
	for _, f := range []Format{Text, JSON} {
		if got, err := ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("ParseFormat(%s) = %q, %v", f, got, err)
		}
	}
}
