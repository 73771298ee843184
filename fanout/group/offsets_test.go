package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const week = 7 * 24 * time.Hour

func TestOffsetsAreGivenBackAsTheyWereCommitted(t *testing.T) {
	l := newLab(t, nil)
	if got := l.committed("g", "t", 0); got.Offset != -1 || got.ErrorCode != 0 || got.Metadata == nil {
		t.Errorf("an unknown group: %+v", got)
	}
	if code := l.commit("g", "", -1, nil, "t", 0, 42); code != 0 {
		t.Fatalf("a client without a group: error %d", code)
	}
	l.commit("g", "", -1, nil, "t", 0, 43)
	l.commit("g", "", -1, nil, "u", 3, 1<<40)
	for range 2 {
		if got := l.committed("g", "t", 0); got.Offset != 43 || got.LeaderEpoch != 3 || *got.Metadata != "note" {
			t.Errorf("fetched: %+v", got)
		}
		if got := l.committed("g", "t", 1); got.Offset != -1 || got.ErrorCode != 0 {
			t.Errorf("a partition without a commit: %+v", got)
		}
		all := kmsg.NewPtrOffsetFetchRequest()
		all.Version, all.Group = 5, "g"
		if got := reply[*kmsg.OffsetFetchResponse](l, l.ask(all)).Topics; len(got) != 2 {
			t.Errorf("all offsets: %+v", got)
		}
		l.restart()
	}
}

func TestPartitionsThatThereAreNotAreRefusedOneByOne(t *testing.T) {
	l := newLab(t, func(c *Config) {
		c.PartitionExists = func(topic string, partition int32) bool { return topic == "t" && partition < 2 }
	})
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, "g", -1
	topic := kmsg.OffsetCommitRequestTopic{Topic: "t"}
	for i := range int32(4) {
		topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: i, Offset: 5})
	}
	req.Topics = append(req.Topics, topic)
	resp := reply[*kmsg.OffsetCommitResponse](l, l.ask(req))
	for i, want := range []int16{0, 0, 3, 3} {
		if got := resp.Topics[0].Partitions[i].ErrorCode; got != want {
			t.Errorf("partition %d: error %d, want %d", i, got, want)
		}
	}
	if l.committed("g", "t", 1).Offset != 5 || l.committed("g", "t", 2).Offset != -1 {
		t.Error("what was refused is not what was left out")
	}
}

// KIP-211: offsets outlive the group by the retention, and not the time of their commit.
func TestOffsetsExpireAfterTheGroupWasLeft(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 1, func(_ int, p *person) { p.session = 10 * time.Minute })
	people[0].commit("t", 0, 1)
	for range 10 * 24 * 12 { // ten days of heartbeats
		l.pass(5 * time.Minute)
		if code := people[0].heartbeat(); code != 0 {
			t.Fatalf("heartbeat: error %d", code)
		}
	}
	people[0].leave()
	l.pass(week - time.Minute)
	if got := l.committed("g", "t", 0).Offset; got != 1 {
		t.Fatalf("a minute before: offset %d", got)
	}
	l.restart()
	l.pass(2 * time.Minute)
	if got := l.committed("g", "t", 0).Offset; got != -1 {
		t.Errorf("a minute after: offset %d", got)
	}
	if state := l.describe("g").State; state != "Dead" {
		t.Errorf("the group is %s", state)
	}
	if l.restart(); l.c.Counts().Offsets != 0 {
		t.Error("an expired offset comes back")
	}
}

func TestOffsetsWithoutAGroupExpireOneByOne(t *testing.T) {
	l := newLab(t, nil)
	l.commit("g", "", -1, nil, "t", 0, 1)
	l.pass(24 * time.Hour)
	l.commit("g", "", -1, nil, "t", 1, 1)
	req := kmsg.NewPtrOffsetCommitRequest() // old clients may say how long
	req.Version, req.Group, req.Generation, req.RetentionTimeMillis = 2, "g", -1, 1000
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 2}}}}
	l.ask(req)
	for _, row := range []struct {
		pass time.Duration
		want [3]int64
	}{
		{0, [3]int64{1, 1, 0}},
		{5 * time.Second, [3]int64{1, 1, -1}},
		{week - 24*time.Hour, [3]int64{-1, 1, -1}},
		{24 * time.Hour, [3]int64{-1, -1, -1}},
	} {
		l.pass(row.pass)
		for i, want := range row.want {
			if got := l.committed("g", "t", int32(i)).Offset; got != want {
				t.Errorf("after %v more, partition %d is at %d, want %d", row.pass, i, got, want)
			}
		}
		l.restart()
	}
}

func TestOffsetsOfTopicsThatAreReadAreNotDeleted(t *testing.T) {
	l := newLab(t, nil)
	people := l.form("g", 1, func(_ int, p *person) { p.protocols = subscribed("read") })
	people[0].commit("read", 0, 1)
	people[0].commit("left", 0, 1)
	remove := func() *kmsg.OffsetDeleteResponse {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = "g"
		for _, topic := range []string{"read", "left"} {
			req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: topic,
				Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}})
		}
		return reply[*kmsg.OffsetDeleteResponse](l, l.ask(req))
	}
	resp := remove()
	if resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 86 || resp.Topics[1].Partitions[0].ErrorCode != 0 {
		t.Errorf("the answer is %+v", resp)
	}
	if l.committed("g", "read", 0).Offset != 1 || l.committed("g", "left", 0).Offset != -1 {
		t.Error("the wrong offset was deleted")
	}
	people[0].leave()
	if resp := remove(); resp.Topics[0].Partitions[0].ErrorCode != 0 || l.committed("g", "read", 0).Offset != -1 {
		t.Errorf("after the member has left: %+v", resp)
	}
	missing := kmsg.NewPtrOffsetDeleteRequest()
	missing.Group = "nobody"
	if resp := reply[*kmsg.OffsetDeleteResponse](l, l.ask(missing)); resp.ErrorCode != 69 {
		t.Errorf("an unknown group: error %d, want 69", resp.ErrorCode)
	}
}

func TestDeletedTopicTakesItsOffsetsAlong(t *testing.T) {
	l := newLab(t, nil)
	l.commit("a", "", -1, nil, "t", 0, 1)
	l.commit("b", "", -1, nil, "t", 1, 1)
	l.commit("b", "", -1, nil, "u", 0, 1)
	l.c.TopicDeleted(l.now, "t")
	l.collect()
	l.restart()
	if l.committed("a", "t", 0).Offset != -1 || l.committed("b", "t", 1).Offset != -1 || l.committed("b", "u", 0).Offset != 1 {
		t.Error("not exactly the topic's offsets are gone")
	}
}

// KIP-496: a group that lives on forgets the offsets of topics that none of its members reads, and no others.
func TestOffsetsOfTopicsThatAreReadNoMoreExpireThoughTheGroupLives(t *testing.T) {
	l := newLab(t, func(c *Config) { c.OffsetsRetention = time.Hour })
	both := func(i int, p *person) { p.protocols, p.session = subscribed([]string{"a", "b"}[i]), 5*time.Minute }
	people := l.form("g", 2, both)
	for _, topic := range []string{"a", "b", "c"} {
		people[0].commit(topic, 0, 1)
	}
	live := func(d time.Duration, people ...*person) {
		for ; d > 0; d -= time.Minute {
			l.pass(time.Minute)
			for _, p := range people {
				if code := p.heartbeat(); code != 0 {
					t.Fatalf("heartbeat: error %d", code)
				}
			}
		}
	}
	want := func(when string, a, b, c int64) {
		t.Helper()
		if x, y, z := l.committed("g", "a", 0).Offset, l.committed("g", "b", 0).Offset, l.committed("g", "c", 0).Offset; x != a || y != b || z != c {
			t.Errorf("%s the group is at %d, %d and %d, want %d, %d and %d", when, x, y, z, a, b, c)
		}
	}
	live(59*time.Minute, people...)
	want("before the retention", 1, 1, 1)
	live(15*time.Minute, people...)
	want("after the retention", 1, 1, -1)
	people[1].leave()
	l.settle(people[0])
	live(15*time.Minute, people[0])
	want("after the one that read b has left", 1, -1, -1)
	l.restart()
	live(15*time.Minute, people[0])
	want("after a restart", 1, -1, -1)
}

// What the members read is looked for in small steps; a group that changes meanwhile is looked at again.
func TestLookingForExpiredOffsetsTakesSmallSteps(t *testing.T) {
	const partitions = 10 * testScan
	l := newLab(t, func(c *Config) { roomy(c); c.OffsetsRetention = time.Hour })
	l.unchecked = true
	l.commitMany("g", "old", partitions)
	l.collect()
	p := l.form("g", 1, func(_ int, p *person) { p.protocols, p.session = subscribed("new"), 10*time.Minute })[0]
	for range 2 * 12 {
		l.pass(5 * time.Minute)
		p.heartbeat()
		if n := l.c.Counts().Offsets; n == 0 {
			break
		} else if n < partitions && (partitions-n)%testScan != 0 {
			t.Fatalf("%d offsets are left", n)
		}
	}
	l.check()
	if n := l.c.Counts().Offsets; n != 0 {
		t.Errorf("%d offsets are left", n)
	}
}
