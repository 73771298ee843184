package commit

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"oneplusn/fanout/loop"
)

type watcher struct{ n int }

func (w *watcher) Advanced() { w.n++ }

func TestWaitersAreToldOnceInTheirOrderWhenTheSyncHasEnded(t *testing.T) {
	l := newLab(t)
	p := l.partition(Fsync{Always: true})
	w := new(watcher)
	p.Watcher = w
	var owners []*told
	for range 3 {
		o := l.publish(p)
		l.until("the append ends", func() bool { return o.appends == 1 })
		l.Await(p, &o.Waiter, o.offset)
		owners = append(owners, o)
	}
	states := func() (waits []int) {
		for _, o := range owners {
			waits = append(waits, o.waits)
		}
		return waits
	}
	// The sync of the first was in flight when the others came.
	if len(l.disk.held) != 1 || w.n != 0 {
		t.Fatalf("%d fdatasyncs are in flight, the watcher was told %d times", len(l.disk.held), w.n)
	}
	owners[1].Cancel()
	l.end(0)
	l.until("the first sync ends", func() bool { return p.Log.HighWatermark() == 1 })
	if got := states(); !slices.Equal(got, []int{1, 0, 0}) || w.n != 1 {
		t.Errorf("after the first sync the waiters were told %v times, the watcher %d", got, w.n)
	}
	l.until("the second sync begins", func() bool { return len(l.disk.held) == 1 })
	l.end(0)
	l.until("the second sync ends", func() bool { return p.Log.HighWatermark() == 3 })
	if got := states(); !slices.Equal(got, []int{1, 0, 1}) || w.n != 2 || l.Stats().Syncs != 2 || l.Pending() != 0 {
		t.Errorf("after the second sync the waiters were told %v times, the watcher %d, %+v", got, w.n, l.Stats())
	}
}

// A waiter with an offset below the last one's belongs to a duplicate: it is told together with those before it.
func TestWaiterForAnEarlierOffsetWaitsBehindTheOthers(t *testing.T) {
	l := newLab(t)
	p := l.partition(Fsync{Always: true})
	var owners []*told
	for range 2 {
		owners = append(owners, l.publish(p))
	}
	l.until("the appends end", func() bool { return owners[1].appends == 1 })
	again := new(told)
	again.Waiter.Owner = again
	l.Await(p, &owners[1].Waiter, 1)
	l.Await(p, &again.Waiter, 0)
	if last := p.waiters.Last().Value(); last != &again.Waiter || last.offset != 1 {
		t.Errorf("the waiters are not in the order of offsets: the last waits for %d", last.offset)
	}
	l.end(0)
	l.until("the sync ends", func() bool { return p.Log.HighWatermark() == 2 })
	if again.waits != 1 || owners[1].waits != 1 {
		t.Errorf("told %d and %d times", again.waits, owners[1].waits)
	}
}

func TestFailedSyncIsToldToThoseWhoWaitAndToThoseWhoCome(t *testing.T) {
	l := newLab(t)
	p := l.partition(Fsync{Always: true})
	o := l.publish(p)
	l.until("the append ends", func() bool { return o.appends == 1 })
	l.Await(p, &o.Waiter, 0)
	l.end(-int32(syscall.EIO))
	l.until("the sync fails", func() bool { return o.waits == 1 })
	if !errors.Is(o.err, syscall.EIO) || l.Stats().SyncErrors != 1 || p.Log.HighWatermark() != 0 {
		t.Errorf("told %v, %+v", o.err, l.Stats())
	}
	late := l.publish(p)
	l.until("the next append is refused", func() bool { return late.appends == 1 })
	if late.err == nil {
		t.Error("a partition took a write after a failed sync")
	}
}

// When a partition is removed, all work in flight ends, and every owner gets the error.
func TestRemovedPartitionTellsEverybodyOnce(t *testing.T) {
	l := newLab(t)
	p := l.partition(Fsync{Always: true})
	waiting := l.publish(p)
	l.until("the append ends", func() bool { return waiting.appends == 1 })
	l.Await(p, &waiting.Waiter, 0)
	writing := l.publish(p)
	l.loop.BeginTurn()
	l.BeginWrites()
	queued := l.publish(p)
	l.Remove(p, ErrRemoved)
	_ = p.Log.Delete()
	if waiting.waits != 1 || queued.appends != 1 || writing.appends != 0 {
		t.Errorf("told %d, %d and %d times", waiting.waits, queued.appends, writing.appends)
	}
	l.end(-int32(syscall.EIO))
	l.until("the write ends", func() bool { return l.Pending() == 0 })
	for _, o := range []*told{waiting, writing, queued} {
		if !errors.Is(o.err, ErrRemoved) || o.appends != 1 {
			t.Errorf("%+v", o)
		}
	}
	if l.Stats().SyncErrors != 0 || l.syncs.slots.Taken() != 0 {
		t.Errorf("a removed partition's sync failed, or is in flight: %+v", l.Stats())
	}
	for name, wrong := range map[string]func(){
		"an append to": func() { l.publish(p) }, "cannot be waited for": func() { l.Await(p, new(Waiter), 0) },
		"is removed because": func() { l.Remove(p, ErrRemoved) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name) {
					t.Errorf("%q: the panic says %q", name, text)
				}
			}()
			wrong()
		}()
	}
}

// An interval's sync begins when the first record that it covers is so old.
func TestIntervalOfSyncs(t *testing.T) {
	l := newLab(t)
	p := l.partition(Fsync{Every: time.Second})
	l.turn()
	if l.Next() != loop.Never {
		t.Error("a sync is due before anything was written")
	}
	began := l.disk.now
	o := l.publish(p)
	l.until("the append ends", func() bool { return o.appends == 1 })
	l.disk.now += time.Second / 2
	more := l.publish(p)
	l.until("the next append ends", func() bool { return more.appends == 1 })
	if l.Next() != began+time.Second || len(l.disk.held) != 0 {
		t.Errorf("the sync is due %v after the first append, %d are in flight", l.Next()-began, len(l.disk.held))
	}
	l.disk.now = began + time.Second
	l.turn()
	if len(l.disk.held) != 1 || l.Next() != loop.Never {
		t.Errorf("%d syncs are in flight, the next is due at %v", len(l.disk.held), l.Next())
	}
	l.end(0)
	l.until("the sync ends", func() bool { return p.Log.DurableOffset() == 2 })
}
