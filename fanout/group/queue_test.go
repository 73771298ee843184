package group

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitMany commits an offset of each of the first partitions of a topic, and does not take the output.
func (l *lab) commitMany(group, topic string, partitions int) uint64 {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, group, -1
	t := kmsg.OffsetCommitRequestTopic{Topic: topic}
	for i := range partitions {
		t.Partitions = append(t.Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: int32(i), Offset: 1})
	}
	req.Topics = append(req.Topics, t)
	l.tickets++
	l.c.OffsetCommit(l.now, Client{Ticket: l.tickets}, req)
	return l.tickets
}

func roomy(c *Config) { c.MemoryBytes, c.MaxGroups = 1<<30, 10_000 }

// A large request's records come in parts, none of them larger than the limit; its reply comes with the last of them, and
// does not hold up that of another.
func TestLargeCommitIsWrittenInPartsAndAnsweredAfterTheLast(t *testing.T) {
	const partitions = 3*testRecords + 7
	l := newLab(t, roomy)
	large := l.commitMany("g", "t", partitions)
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.Version = "g", 3
	l.c.Heartbeat(l.now, Client{Ticket: 1000}, beat)
	records, outputs := 0, 0
	for l.c.TakeOutput(&l.out) {
		outputs++
		if records += len(l.out.Records); len(l.out.Records) > testRecords {
			t.Errorf("%d records at once", len(l.out.Records))
		}
		for _, r := range l.out.Replies {
			if r.Ticket == 1000 && outputs != 1 || r.Ticket == large && records != partitions {
				t.Errorf("ticket %d is answered with output %d, after %d records", r.Ticket, outputs, records)
			}
		}
		l.take()
	}
	if records != partitions || outputs != 4 {
		t.Errorf("%d records in %d parts, want %d in 4", records, outputs, partitions)
	}
	reply[*kmsg.OffsetCommitResponse](l, large)
	l.check()
}

// What is committed again before it is written is written once, with the last value.
func TestOffsetThatIsCommittedTwiceInATurnIsWrittenOnce(t *testing.T) {
	l := newLab(t, nil)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, "g", -1
	topic := kmsg.OffsetCommitRequestTopic{Topic: "t"}
	for i := range int64(1000) {
		topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitRequestTopicPartition{Offset: i})
	}
	req.Topics = append(req.Topics, topic)
	if l.ask(req); len(l.kept) != 1 {
		t.Errorf("%d records", len(l.kept))
	}
	if l.restart(); l.committed("g", "t", 0).Offset != 999 {
		t.Errorf("the group is at %d, want 999", l.committed("g", "t", 0).Offset)
	}
}

// A reply is refused exactly if a record of its own was lost, in whichever part that was.
func TestReplyIsRefusedIfOneOfItsRecordsWasLost(t *testing.T) {
	const partitions = 2 * testRecords
	for lose := range 3 {
		l := newLab(t, roomy)
		before := l.commitMany("before", "t", 10)
		large := l.commitMany("g", "t", partitions)
		after := l.commitMany("after", "t", 10)
		refused := map[uint64]bool{}
		for part := 0; l.c.TakeOutput(&l.out); part++ {
			for i := range l.out.Records {
				if r := &l.out.Records[i]; part == lose && i == 20 {
					l.c.Lost(r)
				} else {
					l.c.Appended(r, int64(len(l.kept)))
					l.kept = append(l.kept, *r)
				}
			}
			for i := range l.out.Replies {
				refused[l.out.Replies[i].Ticket] = l.c.WasLost(&l.out.Replies[i])
			}
		}
		if want := fmt.Sprint(map[uint64]bool{before: false, large: lose < 2, after: false}); fmt.Sprint(refused) != want {
			t.Errorf("a record of part %d is lost: refused are %v, want %v", lose, refused, want)
		}
		l.c.Rewrite(0, 0, 10)
		l.collect()
		l.restart()
		if n := l.c.Counts().Offsets; n != partitions+20 {
			t.Errorf("a record of part %d is lost: after it was written again there are %d offsets", lose, n)
		}
	}
}

// A tombstone that could not be written is written later: a deleted offset does not come back.
func TestTombstoneThatWasLostIsWrittenAgain(t *testing.T) {
	l := newLab(t, nil)
	l.commit("g", "", -1, nil, "t", 0, 1)
	l.c.TopicDeleted(l.now, "t")
	l.c.TakeOutput(&l.out)
	l.c.Lost(&l.out.Records[0])
	l.check()
	l.c.Rewrite(0, 0, 1)
	l.collect()
	if l.restart(); l.c.Counts().Offsets != 0 {
		t.Error("the offset is back after the restart")
	}
}
