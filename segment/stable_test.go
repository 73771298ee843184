package segment

import (
	"fmt"
	"testing"

	"oneplusn/segment/records"
)

// openTransactionAt is a log that a Kafka broker left: batches of one record in segments of 40, and from an offset on a
// transaction that nobody ended, among batches of others.
func openTransactionAt(t *testing.T, offset int64) *simFS {
	t.Helper()
	const count, each = 120, 40
	fs := newSimFS(t, 21)
	for base := int64(0); base < count; base += each {
		var raw []byte
		for i := base; i < base+each; i++ {
			b := testBatch{base: i, timestamp: 1000 + i, value: 10 + fs.rng.IntN(100)}
			if i >= offset && (i-offset)%5 == 0 {
				b.producer, b.sequence, b.bits = 9, int32(i-offset)/5, records.Transactional
			}
			raw = append(raw, b.encode()...)
		}
		fs.disk.Put(segmentPath(recoverDir, base), raw)
	}
	// A clean stop leaves the indexes and the snapshots that a start goes by.
	o := stableOptions(fs)
	mustClose(t, openLog(t, recoverDir, o, OpenOptions{}))
	return fs
}

func stableOptions(fs *simFS) Options {
	return Options{FS: fs, SegmentBytes: 1 << 20, IndexIntervalBytes: 300}
}

func TestReadersOfCommittedDataGetAllBeforeTheOpenTransaction(t *testing.T) {
	// In the middle of a segment and of an interval of its index; the first and the last batch of a segment; the very
	// first and the very last batch of all.
	for _, stable := range []int64{50, 51, 52, 53, 40, 79, 0, 119} {
		for _, cold := range []int{0, 50, 100} {
			t.Run(fmt.Sprintf("from %d, %d%% cold", stable, cold), func(t *testing.T) {
				fs := openTransactionAt(t, stable)
				fs.setCold(cold)
				l := openLog(t, recoverDir, stableOptions(fs), OpenOptions{Clean: true})
				if l.LastStableOffset() != stable || l.HighWatermark() != 120 {
					t.Fatalf("stable up to %d of %d, want %d", l.LastStableOffset(), l.HighWatermark(), stable)
				}
				checkStable(t, l)
				// The end moves on, the last stable offset does not.
				mustAppend(t, l, testBatch{value: 50})
				checkStable(t, l)
			})
		}
	}
}

// checkStable checks what readers of committed data get at every offset.
func checkStable(t *testing.T, l *Log) {
	t.Helper()
	stable := l.LastStableOffset()
	for offset := range l.HighWatermark() {
		for _, maxBytes := range []int64{1, 500, 1 << 20} {
			r := l.Stable(mustRead(t, l, offset, maxBytes))
			next := int64(0)
			if r.Len > 0 {
				list := headersOf(t, bytesOf(t, r))
				next = list[len(list)-1].NextOffset()
			}
			switch {
			case next > stable:
				t.Fatalf("read at %d, %d bytes, goes on to %d, stable is up to %d", offset, maxBytes, next, stable)
			case offset < stable && next <= offset:
				t.Fatalf("read at %d, %d bytes, ends at %d, stable is up to %d", offset, maxBytes, next, stable)
			case offset >= stable && r.Len > 0:
				t.Fatalf("read at %d, %d bytes, gives up to %d, stable is up to %d", offset, maxBytes, next, stable)
			}
		}
	}
}

// What was deleted is not stable, and a reader that asks where it may read up to is not sent there.
func TestLastStableOffsetIsNotBeforeTheStartOfTheLog(t *testing.T) {
	l := openLog(t, recoverDir, stableOptions(openTransactionAt(t, 50)), OpenOptions{Clean: true})
	if err := l.DeleteRecords(60); err != nil {
		t.Fatal(err)
	}
	if l.LastStableOffset() != 60 {
		t.Errorf("the log begins at 60 and is stable up to %d", l.LastStableOffset())
	}
}

func TestTransactionThatNoBatchExplainsIsNone(t *testing.T) {
	fs := openTransactionAt(t, 50)
	ps := newProducers(10)
	ps.load([]producer{{id: 9, txnFirstOffset: 1 << 40}, {id: 10, txnFirstOffset: -7}}, nil)
	fs.disk.Put(filePath(recoverDir, 120, snapshotSuffix), ps.encode())
	l := openLog(t, recoverDir, stableOptions(fs), OpenOptions{Clean: true})
	mustAppend(t, l, testBatch{})
	if l.LastStableOffset() != l.HighWatermark() {
		t.Errorf("stable up to %d of %d", l.LastStableOffset(), l.HighWatermark())
	}
}

// Damage before the open transaction is found by the first read of it. The start neither looks for it nor for the
// transaction behind it.
func TestDamageBeforeTheOpenTransactionEndsWhatIsStable(t *testing.T) {
	fs := openTransactionAt(t, 53)
	at := 0
	data := fs.content(segmentPath(recoverDir, 40))
	for range 9 { // the batch with offset 49
		h, err := records.ParseBatch(data[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += h.Size()
	}
	data[at+16] = 7
	fs.setCold(100)
	l := openLog(t, recoverDir, stableOptions(fs), OpenOptions{Clean: true})
	r := l.Stable(Range{l.segments[1], 0, int64(len(data))})
	if r.Len == 0 || r.Len > int64(at) {
		t.Errorf("%d bytes are stable, the damage is at %d", r.Len, at)
	}
}

// Forgetting the producer of an open transaction would show its records to readers of committed data after the next start.
func TestProducerOfAnOpenTransactionIsNeverForgotten(t *testing.T) {
	const stable = 50
	for name, change := range map[string]func(t *testing.T, l *Log){
		"by its age": func(_ *testing.T, l *Log) { l.Expire(1 << 50) },
		"by others that come": func(t *testing.T, l *Log) {
			for i := range 20 {
				mustAppend(t, l, testBatch{producer: int64(100 + i)})
			}
		},
		"by others that were there": func(t *testing.T, l *Log) {
			l.producers.limit = 1000
			for i := range 20 {
				mustAppend(t, l, testBatch{producer: int64(100 + i)})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := openTransactionAt(t, stable)
			o := stableOptions(fs)
			o.MaxProducers, o.RetentionAge = 5, -1
			l := openLog(t, recoverDir, o, OpenOptions{Clean: true})
			change(t, l)
			mustClose(t, l)
			for range 2 {
				l = openLog(t, recoverDir, o, OpenOptions{Clean: true})
				if got := l.LastStableOffset(); got != stable {
					t.Fatalf("the last stable offset is %d after a restart, it was %d", got, stable)
				}
				if n := len(l.producers.byID); n > o.MaxProducers {
					t.Errorf("%d producers are remembered, at most %d should be", n, o.MaxProducers)
				}
				mustClose(t, l)
			}
		})
	}
}
