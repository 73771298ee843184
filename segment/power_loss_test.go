package segment

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// reading is a record that a consumer has got.
type reading struct {
	offset int64
	crc    uint32
	epoch  int32
}

// looseModel is the expected state of a log that acknowledges before it syncs (--fsync=interval, --fsync=never).
type looseModel struct {
	crcs     []uint32 // by offset, what the log holds
	promised int64    // every record below was synced
	point    int64    // the recovery point on the disk
	read     []reading
	sent     int
}

// live opens the log and works until the power goes, or it stops.
func (m *looseModel) live(t *testing.T, fs *simFS, what string) {
	l, err := Open(recoverDir, looseOptions(fs), OpenOptions{RecoveryPoint: m.point})
	if err != nil {
		if !fs.died() {
			t.Fatalf("%s: open: %v", what, err)
		}
		return // the power went during the start
	}
	m.check(t, l, what)
	m.point, m.promised = l.DurableOffset(), l.DurableOffset()
	for range fs.rng.IntN(60) {
		raw := testBatch{value: fs.rng.IntN(90), timestamp: int64(m.sent)}.encode()
		m.sent++
		_, err := l.Append(raw, 1)
		m.crcs = append(m.crcs, binary.BigEndian.Uint32(raw[17:])) // after an error it may be there too
		if err != nil {
			break
		}
		m.read = append(m.read, reading{l.LogEndOffset() - 1, m.crcs[len(m.crcs)-1], l.LeaderEpoch()})
		if fs.rng.IntN(6) == 0 {
			if work := l.Work(); work != nil {
				work()()
			}
		}
		if fs.rng.IntN(12) == 0 {
			if p, ok := l.SyncPlan(); ok {
				if doSync(p) != nil {
					break
				}
				l.Synced(p)
			}
		}
		m.promised = max(m.promised, l.DurableOffset())
		if fs.rng.IntN(8) == 0 {
			m.point = l.DurableOffset()
		}
	}
	if !fs.died() { // whatever is to be kept was, the files are those of a process that was killed
		for _, s := range l.segments {
			s.Release()
		}
	}
}

// check compares a log that was just opened with what was appended to the one before.
func (m *looseModel) check(t *testing.T, l *Log, what string) {
	t.Helper()
	fs := l.options.FS.(*simFS)
	defer fs.disk.Aside()() // to look is no part of the workload
	end := l.LogEndOffset()
	if end < m.promised || end > int64(len(m.crcs)) {
		t.Fatalf("%s: the log ends at %d, %d were appended and those below %d promised", what, end, len(m.crcs), m.promised)
	}
	got := readAll(t, l, 0, 1000)
	if int64(len(got)) != end {
		t.Fatalf("%s: %d batches up to %d", what, len(got), end)
	}
	for i, h := range got {
		if h.BaseOffset != int64(i) || h.CRC != m.crcs[i] {
			t.Fatalf("%s: another batch is at offset %d", what, i)
		}
	}
	m.crcs = m.crcs[:end]
	for _, r := range m.read {
		if r.offset < end && m.crcs[r.offset] == r.crc {
			continue
		}
		// What it has is gone: it has to find out before it reads on.
		if found, lost := l.EpochEnd(r.epoch); lost > r.offset || found > r.epoch || l.LeaderEpoch() <= r.epoch {
			t.Fatalf("%s: a reader has offset %d of epoch %d, which is lost, and is told that epoch %d ends at %d; the log's is %d",
				what, r.offset, r.epoch, found, lost, l.LeaderEpoch())
		}
	}
}

func looseOptions(fs *simFS) Options {
	return Options{FS: fs, SegmentBytes: 700, IndexIntervalBytes: 100, MaxBatchBytes: 400}
}

// Every unsynced page is there or not, in any order. Synced data stays, the rest is a part of what was appended,
// in order and without a gap, no log is refused, and readers of what is lost are told.
func TestPowerLossLeavesAPrefixAndIsSeenByReaders(t *testing.T) {
	const rounds = 1000
	losses, killed := 0, 0
	for seed := range rounds {
		what := fmt.Sprintf("seed %d", seed)
		fs := smallSimFS(uint64(seed))
		m := new(looseModel)
		for range 5 {
			if fs.rng.IntN(2) == 0 {
				fs.disk.FailAt(fs.rng.IntN(120), errPowerLost) // in the start too
			}
			before := len(m.crcs)
			m.live(t, fs, what)
			if fs.rng.IntN(4) == 0 {
				fs = fs.revive()
				killed++
			} else {
				fs = fs.powerLoss()
			}
			if len(m.crcs) < before {
				losses++
			}
		}
		l, err := Open(recoverDir, looseOptions(fs), OpenOptions{RecoveryPoint: m.point})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		m.check(t, l, what)
		mustClose(t, l)
		fs.close()
	}
	t.Logf("%d lives that lost records, %d that only the process ended", losses, killed)
	if losses == 0 || killed == 0 {
		t.Error("nothing was lost: the test is empty")
	}
}
