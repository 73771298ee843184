package group

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A restart is not a rebalance: members go on in their generation.
func TestRestartKeepsMembersAndTheirAssignment(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 3, func(i int, p *person) {
		if i == 2 {
			p.instance = "i"
		}
	})
	before := l.state("g")
	l.restart()
	if after := l.state("g"); after != before {
		t.Errorf("after the restart\n%s\nbefore it\n%s", after, before)
	}
	for _, p := range people {
		if code := p.heartbeat(); code != 0 {
			t.Errorf("heartbeat: error %d", code)
		}
		if code := p.commit("t", 0, 1); code != 0 {
			t.Errorf("commit: error %d", code)
		}
	}
	back := l.person("g")
	back.instance = "i"
	back.joined(back.join())
	if people[2].heartbeat() != 82 {
		t.Error("the static member was not replaced")
	}
	people[0].leave()
	l.settle(people[1], back)
}

func TestMembersThatDoNotComeBackAfterARestartExpire(t *testing.T) {
	l := newLab(t, nil)
	l.form("g", 2, nil)
	l.restart()
	l.pass(10*time.Second + restartGrace)
	if g := l.describe("g"); g.State != "Empty" {
		t.Errorf("the group is %s with %d members", g.State, len(g.Members))
	}
}

// The log's head can be dropped after Rewrite: the rest has the whole state.
func TestRewriteMakesTheHeadOfTheLogNeedless(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("members", 3, nil)
	for i := range int64(50) {
		l.commit(fmt.Sprintf("group %d", i%20), "", -1, nil, "t", int32(i%7), i)
		people[0].commit("t", int32(i%3), i)
	}
	before := len(l.kept)
	steps := 0
	for done := false; !done; steps++ {
		done = l.c.Rewrite(0, int64(before), 10)
		l.collect()
		people[1].commit("while it runs", 0, int64(steps))
	}
	if steps < 5 {
		t.Errorf("it took %d steps of 10", steps)
	}
	want := map[string]int64{}
	for id, g := range l.c.groups.all {
		for at, o := range g.offsets.all {
			want[fmt.Sprint(id, at)] = o.offset
		}
	}
	members := l.state("members")
	rest := l.kept[before:]
	c := New(l.c.config, 1)
	for i, r := range rest {
		if err := c.Restore(l.now, 0, int64(before+i), r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	c.Restored(l.now)
	l.c = c
	for id, g := range c.groups.all {
		for at, o := range g.offsets.all {
			if want[fmt.Sprint(id, at)] != o.offset {
				t.Errorf("%s %v is at %d, want %d", id, at, o.offset, want[fmt.Sprint(id, at)])
			}
			delete(want, fmt.Sprint(id, at))
		}
	}
	if len(want) != 0 {
		t.Errorf("lost: %v", want)
	}
	if got := l.state("members"); got != members {
		t.Errorf("members after:\n%s\nbefore:\n%s", got, members)
	}
	if !c.Rewrite(0, int64(before), 1) || c.HasOutput() {
		t.Error("there is still something before the head")
	}
}

func TestRecordsThatCouldNotBeWrittenAreRewrittenFirst(t *testing.T) {
	l := newLab(t, nil)
	l.commit("g", "", -1, nil, "t", 0, 1)
	l.commit("g", "", -1, nil, "t", 1, 1)
	l.c.persist(&l.c.logs[0], &l.c.groups.get("g").offsets.get(topicPartition{"t", 1}).live)
	l.c.TakeOutput(&l.out)
	l.c.Lost(&l.out.Records[0])
	l.c.Rewrite(0, 0, 1)
	l.c.TakeOutput(&l.out)
	if len(l.out.Records) != 1 || l.out.Records[0].live != &l.c.groups.get("g").offsets.get(topicPartition{"t", 1}).live {
		t.Errorf("rewritten: %+v", l.out.Records)
	}
}

// The partition of a group is where Apache Kafka looks for it: Java's String.hashCode, made positive.
func TestGroupsArePlacedAsByApacheKafka(t *testing.T) {
	c := New(testConfig(), 50)
	for id, want := range map[string]int32{
		"":                   0,
		"a":                  97 % 50,
		"test":               3556498 % 50,
		"polygenelubricants": 0, // its hash code is the least of all, which has no positive
		"gr\u00fcppe":        1233264812 % 50,
	} {
		if got := c.logOf(id).partition; got != want {
			t.Errorf("group %q is in partition %d, want %d", id, got, want)
		}
	}
}

// A value that claims more than its bytes can hold is refused without a look for all of it.
func TestValuesThatClaimMoreThanTheyHoldAreRefused(t *testing.T) {
	offsetKey := (&committed{group: newGroup("g", Instant{}), at: topicPartition{"t", 0}}).key()
	offset := kmsg.OffsetCommitValue{Version: 4, Offset: 7, Metadata: "note", CommitTimestamp: 1}
	member := kmsg.GroupMetadataValueMember{MemberID: "m", Subscription: []byte("s"), Assignment: []byte("a")}
	members := kmsg.GroupMetadataValue{Version: 4, ProtocolType: "consumer", Members: []kmsg.GroupMetadataValueMember{member, member}}
	for name, row := range map[string]struct{ key, value []byte }{
		"offset": {offsetKey, offset.AppendTo(nil)},
		"group":  {newGroup("g", Instant{}).key(), members.AppendTo(nil)},
	} {
		l := newLab(t, nil)
		if err := l.c.Restore(l.now, 0, 1, row.key, row.value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// The count of tags is the last: four thousand million.
		many := append(bytes.Clone(row.value[:len(row.value)-1]), 0xff, 0xff, 0xff, 0xff, 0x0f)
		later := append([]byte{0, 5}, row.value[2:]...)
		for _, value := range [][]byte{many, later, row.value[:len(row.value)-1], {}, {0}} {
			if l.c.Restore(l.now, 0, 1, row.key, value) == nil {
				t.Errorf("%s: %x is taken", name, value)
			}
		}
	}
}

func FuzzRestore(f *testing.F) {
	l := newLab(&testing.T{}, nil)
	l.form("g", 2, static("a", "b"))
	l.commit("g2", "", -1, nil, "t", 0, 1)
	for _, r := range l.kept {
		f.Add(r.Key, r.Value)
	}
	f.Add([]byte{0, 3}, []byte{})
	// Whatever a log holds, reading it neither panics nor leaves counts that are wrong; what was read can be written,
	// and what was written reads the same.
	f.Fuzz(func(t *testing.T, key, value []byte) {
		l := newLab(t, nil)
		c := l.c
		for range 2 {
			if c.Restore(l.now, 0, 1, key, value) != nil {
				return
			}
		}
		c.Restored(l.now)
		c.Rewrite(0, 100, 100)
		l.collect()
		again := New(c.config, 1)
		for i, r := range l.kept {
			if err := again.Restore(l.now, 0, int64(i), r.Key, r.Value); err != nil {
				t.Fatalf("a written record cannot be read: %v", err)
			}
		}
		again.Restored(l.now)
		if a, b := c.Counts(), again.Counts(); a != b {
			t.Fatalf("read again: %+v, before %+v", b, a)
		}
		for id := range c.groups.all {
			before := l.state(id)
			l.c = again
			if after := l.state(id); after != before {
				t.Fatalf("group %q: %s, before %s", id, after, before)
			}
			l.c = c
		}
		l.pass(20 * 24 * time.Hour)
	})
}
