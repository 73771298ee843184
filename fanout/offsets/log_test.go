package offsets

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func TestCommitIsAnsweredWhenItIsDurableAndOthersAtOnce(t *testing.T) {
	l := newLab(t, t.TempDir(), 1)
	first := l.commit("a", 10)
	l.syncing(1)
	l.waits(first)
	// While the first output is in flight and its sync runs, what promises nothing is answered.
	l.Coordinator().Heartbeat(l.Instant(), group.Client{Ticket: 1000}, kmsg.NewPtrHeartbeatRequest())
	second := l.commit("a", 20)
	if l.turn(); l.replies[1000] == nil {
		t.Error("a heartbeat waits for the disk")
	}
	l.waits(first)
	l.synced(0)
	if code := l.answer(first); code != 0 {
		t.Errorf("error %d", code)
	}
	l.waits(second)
	l.syncing(1)
	l.synced(0)
	if code := l.answer(second); code != 0 || !l.Settled() {
		t.Errorf("error %d, settled: %v", code, l.Settled())
	}
}

func TestCommitsOfOneTurnShareABatch(t *testing.T) {
	l := newLab(t, t.TempDir(), 1)
	tickets := []uint64{l.commit("a", 1), l.commit("b", 2), l.commit("c", 3)}
	l.syncing(1)
	l.synced(0)
	for _, ticket := range tickets {
		if code := l.answer(ticket); code != 0 {
			t.Errorf("error %d", code)
		}
	}
	if end := l.partitions[0].Log.LogEndOffset(); end != 3 {
		t.Errorf("the log ends at %d, want 3", end)
	}
}

// A durable reply waits for every partition that has uncommitted records, whichever is synced first.
func TestReplyWaitsForEveryPartition(t *testing.T) {
	l := newLab(t, t.TempDir(), 2)
	a, b := l.commit("a", 1), l.commit("b", 2)
	l.syncing(2)
	held := l.kernel.held
	l.kernel.held = held[:1]
	l.synced(0)
	l.waits(a)
	l.waits(b)
	l.kernel.held = held[1:]
	l.synced(0)
	if l.answer(a) != 0 || l.answer(b) != 0 {
		t.Error("a commit failed")
	}
}

func TestCommitIsRefusedWhenItsSyncFails(t *testing.T) {
	l := newLab(t, t.TempDir(), 1)
	first := l.commit("a", 10)
	l.syncing(1)
	l.synced(-int32(syscall.EIO))
	if code := l.answer(first); code != wire.CodeCoordinatorNotAvailable {
		t.Errorf("error %d", code)
	}
	second := l.commit("a", 11)
	l.until("the second answer", func() bool { return l.replies[second] != nil })
	if code := l.answer(second); code != wire.CodeCoordinatorNotAvailable {
		t.Errorf("error %d on a partition that takes no writes", code)
	}
}

func TestEveryRequestLearnsThatThereIsNoTopicAndTheNextTriesAgain(t *testing.T) {
	l := newLab(t, t.TempDir(), 1)
	l.refuse = errNoSpace
	told := 0
	for range 3 {
		l.WithCoordinator(func(c *group.Coordinator, err error) {
			if c != nil || err != errNoSpace {
				t.Errorf("told %v and %v", c, err)
			}
			told++
		})
	}
	l.until("all are told", func() bool { return told == 3 })
	l.refuse = nil
	ticket := l.commit("a", 1)
	l.syncing(1)
	l.synced(0)
	if code := l.answer(ticket); code != 0 {
		t.Errorf("error %d", code)
	}
}

func TestRestartKnowsWhatWasCommitted(t *testing.T) {
	dir := t.TempDir()
	l := newLab(t, dir, 2)
	l.commit("a", 10)
	l.commit("b", 20)
	l.syncing(2)
	l.synced(0)
	for _, p := range l.partitions {
		if err := p.Log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l = newLab(t, dir, 2)
	l.open()
	l.Restore()
	l.Start(nil)
	for name, want := range map[string]int64{"a": 10, "b": 20} {
		if offset, code := l.committed(name); offset != want || code != 0 {
			t.Errorf("%s: offset %d, error %d, want %d", name, offset, code, want)
		}
	}
}

func TestDamagedPartitionGoesOfflineAndTheOtherIsRead(t *testing.T) {
	dir := t.TempDir()
	l := newLab(t, dir, 2)
	l.commit("a", 10)
	l.commit("b", 20)
	l.syncing(2)
	l.synced(0)
	l = newLab(t, dir, 2)
	partitions := l.open().Partitions
	damaged := group.New(l.config.Group, 2).PartitionOf("a")
	files, err := filepath.Glob(filepath.Join(dir, "*-"+string('0'+rune(damaged)), "*.log"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	content[70] ^= 1
	if err := os.WriteFile(files[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	l.Restore()
	if partitions[damaged].Offline == nil || partitions[1-damaged].Offline != nil {
		t.Fatalf("offline: %v, %v", partitions[damaged].Offline, partitions[1-damaged].Offline)
	}
	if _, code := l.committed("a"); code != wire.CodeCoordinatorNotAvailable {
		t.Errorf("error %d for a group of the damaged partition", code)
	}
	if offset, code := l.committed("b"); offset != 20 || code != 0 {
		t.Errorf("offset %d, error %d, want 20", offset, code)
	}
}
