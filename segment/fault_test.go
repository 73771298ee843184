package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
)

// faultModel has the records that were acknowledged: the log must still hold them whatever failed.
type faultModel struct {
	acked    map[int64]uint32 // by base offset, the CRC of the batch
	next     int64            // the offset behind the last acknowledged
	start    int64            // records below may have been deleted
	sent     int
	seq      int32 // the next sequence number
	producer int64
	resend   []byte
	// unacked are the batches that were sent and not acknowledged, in their order.
	unacked [][]byte
	lazy    bool // work waits
}

// faultWorkload opens a log, appends, syncs, rolls, expires and closes, as a broker does, and goes on after every
// error. An append counts as acknowledged when the high watermark is behind it.
// It says whether the log was closed cleanly.
func faultWorkload(t *testing.T, fs *simFS, o Options, m *faultModel, found OpenOptions) (clean bool) {
	l, err := Open(recoverDir, o, found)
	if err != nil {
		return false
	}
	m.adopt(t, l)
	pending := map[int64][]byte{}
	acknowledge := func() {
		for base, raw := range pending {
			if base < l.HighWatermark() {
				m.ack(base, raw)
				delete(pending, base)
			}
		}
	}
	defer func() {
		m.unacked = nil
		for _, base := range slices.Sorted(maps.Keys(pending)) {
			m.unacked = append(m.unacked, pending[base])
		}
		if m.resend != nil {
			m.unacked = append(m.unacked, m.resend)
		}
	}()
	for i := range 30 {
		raw := m.resend
		if raw == nil {
			raw = testBatch{value: fs.rng.IntN(60), timestamp: int64(1000 + m.sent), producer: 3 + m.producer, sequence: m.seq}.encode()
		}
		m.sent++
		a, err := l.Append(raw, 1)
		m.resend = raw // until it was answered without an error
		if err == nil {
			pending[a.BaseOffset] = raw
			m.resend, m.seq = nil, m.seq+1
		}
		if m.lazy && fs.rng.IntN(4) > 0 {
			// A broker's background may be late.
		} else if work := l.Work(); work != nil {
			work()()
		}
		if i%3 == 0 {
			if p, ok := l.SyncPlan(); ok {
				if err := doSync(p); err != nil {
					l.SyncFailed(p, err)
				} else {
					l.Synced(p)
				}
			}
		}
		acknowledge()
		if i == 20 {
			if remove := l.Expire(1); remove != nil {
				_ = remove()
			}
			m.start = l.LogStartOffset()
		}
	}
	if err := l.Close(); err != nil {
		return false
	}
	l.highWatermark = l.LogEndOffset()
	acknowledge() // close has synced everything
	return true
}

// ack notes that a batch of one record was acknowledged.
func (m *faultModel) ack(base int64, raw []byte) {
	m.acked[base] = binary.BigEndian.Uint32(raw[17:])
	m.next = max(m.next, base+1)
}

// adopt notes the records that a start serves: a record that was read counts as acknowledged.
func (m *faultModel) adopt(t *testing.T, l *Log) {
	t.Helper()
	fs := l.options.FS.(*simFS)
	defer fs.disk.Aside()() // to look is no part of the workload
	for _, h := range readAll(t, l, l.LogStartOffset(), 200) {
		m.acked[h.BaseOffset] = h.CRC
		m.next = max(m.next, h.NextOffset())
	}
}

// retry sends unacknowledged batches again, as an idempotent producer does, and syncs.
func (m *faultModel) retry(t *testing.T, l *Log, what string) {
	t.Helper()
	sent := map[int64][]byte{}
	for _, raw := range m.unacked {
		a, err := l.Append(raw, 1)
		if err != nil {
			t.Errorf("%s: a retry: %v", what, err)
			return
		}
		sent[a.BaseOffset] = raw
	}
	if p, ok := l.SyncPlan(); ok {
		if err := doSync(p); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		l.Synced(p)
	}
	for base, raw := range sent {
		if base >= l.HighWatermark() {
			t.Errorf("%s: offset %d is not acknowledged after a sync", what, base)
		}
		m.ack(base, raw)
	}
}

// check compares what a log holds.
func (m *faultModel) check(t *testing.T, l *Log, what string) {
	t.Helper()
	if l.LogEndOffset() < m.next {
		t.Fatalf("%s: the log ends at %d, up to %d was acknowledged", what, l.LogEndOffset(), m.next)
	}
	if l.LogStartOffset() > m.start {
		t.Fatalf("%s: the log begins at %d, it was %d", what, l.LogStartOffset(), m.start)
	}
	got := map[int64]uint32{}
	type batchID struct {
		producer int64
		sequence int32
	}
	seen := map[batchID]int64{}
	for _, h := range readAll(t, l, l.LogStartOffset(), 200) {
		got[h.BaseOffset] = h.CRC
		id := batchID{h.ProducerID, h.BaseSequence}
		if other, twice := seen[id]; twice {
			t.Errorf("%s: the batch with sequence %d is there twice, at %d and %d", what, h.BaseSequence, other, h.BaseOffset)
		}
		seen[id] = h.BaseOffset
	}
	for base, crc := range m.acked {
		if base >= l.LogStartOffset() && got[base] != crc {
			t.Errorf("%s: offset %d was acknowledged and is lost", what, base)
		}
	}
}

func faultOptions(fs *simFS) Options {
	return Options{FS: fs, SegmentBytes: 600, IndexIntervalBytes: 100, MaxBatchBytes: 400, ManualCommit: true, RetentionBytes: 1500}
}

func TestFailureOfAnyFileOperationLosesNothing(t *testing.T) {
	lost := 0
	for _, errno := range []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		for i := 0; ; i++ {
			fs := smallSimFS(uint64(i))
			fs.disk.FailOnce(i, errno)
			m := &faultModel{acked: map[int64]uint32{}, lazy: i%2 == 1}
			clean := faultWorkload(t, fs, faultOptions(fs), m, OpenOptions{})
			what := fmt.Sprintf("%v at operation %d (%s)", errno, i, fs.disk.Met())
			if fs.open() > 0 {
				t.Errorf("%s: %d files are open", what, fs.open())
			}
			done, lostNow := fs.disk.Met() == "", fs.disk.LostPages()
			after := fs.restart()
			fs.close()
			l := m.open(t, after, what, OpenOptions{Clean: clean})
			m.check(t, l, what)
			m.adopt(t, l)
			m.retry(t, l, what)
			// What it served and took stands a loss of power.
			what += ", then a loss of power"
			l = m.open(t, after.powerLoss(), what, OpenOptions{})
			m.check(t, l, what)
			mustClose(t, l)
			after.close()
			lost += lostNow
			if done {
				if len(m.acked) < 25 {
					t.Errorf("without a fault only %d batches were acknowledged", len(m.acked))
				}
				t.Logf("%v: %d operations failed one by one", errno, i)
				break
			}
		}
	}
	if lost == 0 {
		t.Error("no sync lost a page: the test tests less than it means to")
	}
}

func TestPowerLossLosesNothingThatWasAcknowledgedAfterAnFsync(t *testing.T) {
	const rounds = 3000
	torn, met, losses, lostPages := 0, 0, 0, 0
	for seed := range rounds {
		fs := smallSimFS(uint64(seed))
		m := &faultModel{acked: map[int64]uint32{}}
		m.lazy = seed%2 == 1
		// Recovery has to stand it too, and what a process left that died before the power was lost.
		for range 3 {
			fs.disk.FailAt(fs.rng.IntN(350), errPowerLost)
			fs.disk.Options().FailSyncOneIn = []int{0, 50, 25}[seed%3]
			clean := faultWorkload(t, fs, faultOptions(fs), m, OpenOptions{})
			fs.disk.Options().FailSyncOneIn = 0
			if !clean && fs.rng.IntN(2) == 0 {
				fs = fs.revive()
			} else {
				fs = fs.powerLoss()
				losses++
			}
			m.resend, m.seq, m.producer = nil, 0, m.producer+1
		}
		what := fmt.Sprintf("seed %d", seed)
		l := m.open(t, fs, what, OpenOptions{})
		m.check(t, l, what)
		met += len(m.acked)
		if l.LogEndOffset() > m.next {
			torn++
		}
		mustClose(t, l)
		lostPages += fs.disk.LostPages()
		fs.close()
		if t.Failed() {
			t.Fatalf("%s: run it alone", what)
		}
	}
	t.Logf("%d power losses and %d pages lost by syncs: %d acknowledged batches, %d logs with more than that", losses, lostPages, met, torn)
	if met == 0 || torn == 0 || lostPages == 0 {
		t.Error("the workload acknowledged nothing, or lost nothing: the test is empty")
	}
}

// open opens a log. One that is refused is opened after giving up what is behind the damage. That must not be anything
// that was acknowledged: see check.
func (m *faultModel) open(t *testing.T, fs *simFS, what string, found OpenOptions) *Log {
	t.Helper()
	l, err := Open(recoverDir, faultOptions(fs), found)
	var damage *DamagedError
	if err == nil {
		return l
	}
	if !errors.As(err, &damage) {
		t.Fatalf("%s: open: %v", what, err)
	}
	if damage.Case != "acknowledged-behind-damage" {
		t.Errorf("%s: %v", what, damage)
	}
	done, err := Repair(recoverDir, faultOptions(fs), OpenOptions{}, Repairs{CutAtDamage: true}, nil)
	if err != nil || len(done) == 0 {
		t.Fatalf("%s: repair: %v, %v", what, done, err)
	}
	if l, err = Open(recoverDir, faultOptions(fs), OpenOptions{}); err != nil {
		t.Fatalf("%s: open after the repair: %v", what, err)
	}
	return l
}
