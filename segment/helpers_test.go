package segment

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"oneplusn/segment/records"
)

// testBatch describes a batch for tests. The zero value is one record of a producer that is not idempotent.
type testBatch struct {
	base      int64
	records   int // 0 means 1
	timestamp int64
	value     int   // bytes of each record's value
	producer  int64 // 0 means none
	epoch     int16
	sequence  int32
	bits      records.Attributes
	payload   []byte // the value of each record, in place of value bytes
}

// encode is the batch as a producer sends it.
func (t testBatch) encode() []byte {
	value := t.payload
	if value == nil {
		value = bytes.Repeat([]byte{'v'}, t.value)
	}
	h := records.NewBatch(max(t.records, 1), t.timestamp)
	h.BaseOffset, h.LeaderEpoch, h.Attributes = t.base, 0, t.bits
	if t.producer != 0 {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = t.producer, t.epoch, t.sequence
	}
	b := make([]byte, records.HeaderSize)
	for i := range int(h.RecordCount) {
		b = records.AppendRecord(b, i, nil, value)
	}
	records.Seal(b, h)
	return b
}

// seal gives a batch the CRC that its bytes have.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], records.UpdateCRC(0, b[records.CRCFrom:]))
	return b
}

// openLog opens a log and closes it with the test.
func openLog(t testing.TB, dir string, o Options, found OpenOptions) *Log {
	t.Helper()
	l, err := Open(dir, o, found)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func mustAppend(t testing.TB, l *Log, b testBatch) Appended {
	t.Helper()
	a, err := l.Append(b.encode(), b.timestamp)
	if err != nil {
		t.Fatalf("append at %d: %v", l.LogEndOffset(), err)
	}
	return a
}

// runWork does all work that the log has, as a broker's background does.
func runWork(l *Log) {
	for work := l.Work(); work != nil; work = l.Work() {
		work()()
	}
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// bytesOf reads the bytes of a range.
func bytesOf(t testing.TB, r Range) []byte {
	t.Helper()
	b := make([]byte, r.Len)
	if n, err := r.Segment.file.ReadAt(b, r.Pos); int64(n) < r.Len {
		t.Fatalf("reading %d bytes at %d of %s: %d, %v", r.Len, r.Pos, r.Segment.path, n, err)
	}
	return b
}

// headersOf parses whole valid batches.
func headersOf(t testing.TB, b []byte) (list []records.Batch) {
	t.Helper()
	for at := 0; at < len(b); {
		h, err := records.CheckBatch(b[at:])
		if err != nil {
			t.Fatalf("at %d of %d: %v", at, len(b), err)
		}
		list = append(list, h)
		at += h.Size()
	}
	return list
}

// mustRead reads at an offset as a broker does: what the log does not know without the disk is looked up.
func mustRead(t testing.TB, l *Log, offset, maxBytes int64) Range {
	t.Helper()
	l.lastRead = lastRead{}
	r, err := l.ReadBlocking(offset, maxBytes)
	if err != nil {
		t.Fatalf("read at %d: %v", offset, err)
	}
	return r
}

// checkRange checks what a read promises, as sarama does, which takes a batch below its offset for the end of the answer:
// the first batch is the one with the offset, or above it, and only if it is alone is the range longer than maxBytes.
func checkRange(t testing.TB, got []records.Batch, offset, size, maxBytes int64) {
	t.Helper()
	if got[0].LastOffset() < offset {
		t.Fatalf("read at %d begins with the batch of %d to %d", offset, got[0].BaseOffset, got[0].LastOffset())
	}
	if size > maxBytes && len(got) > 1 {
		t.Fatalf("read at %d gives %d bytes in %d batches, allowed are %d", offset, size, len(got), maxBytes)
	}
}

// readAll reads a log from an offset to its high watermark as a consumer does, and checks what Read promises.
func readAll(t testing.TB, l *Log, from, maxBytes int64) (list []records.Batch) {
	t.Helper()
	for offset := from; offset < l.HighWatermark(); {
		r := mustRead(t, l, offset, maxBytes)
		if r.Len == 0 {
			break // only offsets that were compacted away are left
		}
		got := headersOf(t, bytesOf(t, r))
		checkRange(t, got, offset, r.Len, maxBytes)
		list = append(list, got...)
		next := got[len(got)-1].NextOffset()
		if next > l.HighWatermark() {
			t.Fatalf("read at %d gives up to %d, the high watermark is %d", offset, next, l.HighWatermark())
		}
		offset = next
	}
	return list
}

// newRand is seeded, and says with what if the test fails.
func newRand(t testing.TB, seed uint64) *rand.Rand {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}
