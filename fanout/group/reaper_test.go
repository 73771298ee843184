package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Deleting topics takes time in proportion to their committed offsets, in small steps; a topic of the same name begins
// without offsets at once, and keeps those committed for it.
func TestDeletingATopicTakesSmallStepsAndIsSeenAtOnce(t *testing.T) {
	const partitions = 20 * testReap
	l := newLab(t, roomy)
	l.unchecked = true
	l.commitMany("g", "t", partitions)
	l.commitMany("g", "other", partitions)
	l.collect()
	written := len(l.kept)
	l.c.TopicDeleted(l.now, "none")
	if l.c.HasOutput() {
		t.Error("a topic without offsets is work")
	}
	for range 10 { // in one turn of the loop
		l.c.TopicDeleted(l.now, "t")
	}
	if l.collect(); len(l.kept)-written > testReap {
		t.Errorf("%d tombstones at once", len(l.kept)-written)
	}
	last := int32(partitions - 1)
	if got := l.committed("g", "t", last).Offset; got != -1 {
		t.Errorf("the group is at %d of a topic that was deleted", got)
	}
	all := kmsg.NewPtrOffsetFetchRequest()
	all.Version, all.Group = 5, "g"
	if got := reply[*kmsg.OffsetFetchResponse](l, l.ask(all)).Topics; len(got) != 1 || got[0].Topic != "other" {
		t.Errorf("all offsets are of %d topics", len(got))
	}
	l.commit("g", "", -1, nil, "t", last, 77)
	for steps := 0; l.c.reaper.timer.running(); steps++ {
		before := len(l.kept)
		l.pass(reapPause)
		if len(l.kept)-before > testReap || steps > 100 {
			t.Fatalf("step %d: %d tombstones", steps, len(l.kept)-before)
		}
	}
	for range 2 {
		l.check()
		if n := l.c.Counts().Offsets; n != partitions+1 || l.committed("g", "t", last).Offset != 77 {
			t.Errorf("%d offsets are left, want %d; the new topic's is %d", n, partitions+1, l.committed("g", "t", last).Offset)
		}
		l.restart()
	}
}

// A group of many offsets is gone at once, and its request answered when nothing of it can come back.
func TestDeletingALargeGroupTakesSmallSteps(t *testing.T) {
	const partitions = 5 * testReap
	l := newLab(t, roomy)
	l.commitMany("g", "t", partitions)
	l.collect()
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Version, del.Groups = 1, []string{"g"}
	ticket := l.ask(del)
	l.waits(ticket)
	if state := l.describe("g").State; state != "Dead" || l.committed("g", "t", 0).Offset != -1 {
		t.Errorf("the group is %s", state)
	}
	l.commit("g", "", -1, nil, "t", partitions-1, 5)
	l.pass(time.Second)
	reply[*kmsg.DeleteGroupsResponse](l, ticket)
	for range 2 {
		if n := l.c.Counts(); n.Offsets != 1 || n.Groups != 1 || l.committed("g", "t", partitions-1).Offset != 5 {
			t.Errorf("left are %+v", n)
		}
		l.restart()
	}
}
