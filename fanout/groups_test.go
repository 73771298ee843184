package fanout

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/offsets"
	"oneplusn/segment"
)

// commitRequest commits one offset of each of the first partitions of a topic, as a client that is no member.
func commitRequest(group, topic string, partitions int, offset int64, metadata string) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = int32(i), offset, &metadata
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func commitCode(resp kmsg.Response) int16 {
	return resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// commit commits an offset that must be accepted.
func (c *dialed) commit(group, topic string, offset int64) {
	c.t.Helper()
	if code := commitCode(c.ask(commitRequest(group, topic, 1, offset, ""))); code != 0 {
		c.t.Fatalf("committing %d for group %s: error %d", offset, group, code)
	}
}

// committed returns a group's committed offset of partition 0.
func (c *dialed) committed(group, topic string) int64 {
	c.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, group
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	p := c.ask(req).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		c.t.Fatalf("fetching the offset of group %s: error %d", group, p.ErrorCode)
	}
	return p.Offset
}

func joinRequest(version int16, group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID = version, group, member
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = 10_000, 10_000, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("subscription")}}
	return req
}

// joinAlone makes the client its group's only member.
func (c *dialed) joinAlone(group string) *kmsg.JoinGroupResponse {
	c.t.Helper()
	first := c.ask(joinRequest(5, group, "")).(*kmsg.JoinGroupResponse)
	if first.ErrorCode != 79 || first.MemberID == "" {
		c.t.Fatalf("joining without an id: error %d, id %q", first.ErrorCode, first.MemberID)
	}
	resp := c.ask(joinRequest(5, group, first.MemberID)).(*kmsg.JoinGroupResponse)
	if resp.ErrorCode != 0 || resp.LeaderID != first.MemberID || len(resp.Members) != 1 {
		c.t.Fatalf("joining: %+v", resp)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, group, resp.MemberID, resp.Generation
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: resp.MemberID, MemberAssignment: []byte("all")}}
	if s := c.ask(sync).(*kmsg.SyncGroupResponse); s.ErrorCode != 0 || string(s.MemberAssignment) != "all" {
		c.t.Fatalf("syncing: %+v", s)
	}
	return resp
}

func (c *dialed) heartbeat(group, member string, generation int32) int16 {
	c.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, group, member, generation
	return c.ask(req).(*kmsg.HeartbeatResponse).ErrorCode
}

func TestCommitsAndMembersSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	inDir := func(c *Config) { c.DataDir = dir }
	s := start(t, inDir)
	c := s.dial()
	c.create("feed", 1)
	c.commit("loner", "feed", 7)
	c.commit("loner", "feed", 8)
	member := c.joinAlone("workers")
	c.close()
	s.stop()

	s = start(t, inDir)
	c = s.dial()
	if got := c.committed("loner", "feed"); got != 8 {
		t.Errorf("the group is at %d, want 8", got)
	}
	if code := c.heartbeat("workers", member.MemberID, member.Generation); code != 0 {
		t.Errorf("the member's heartbeat: error %d", code)
	}
}

func TestCommitIsAcknowledgedAfterItsFsync(t *testing.T) {
	s, disk := startOn(t, commit.Fsync{Always: true})
	s.wantEnd = "no more writes after a failed fsync"
	c := s.dial()
	c.create("feed", 1)
	req := commitRequest("g", "feed", 1, 5, "")
	c.send(req)
	committed := c.next
	disk.await(t, 1, 1)
	other := s.dial()
	second := commitRequest("h", "feed", 1, 6, "")
	other.send(second)
	other2 := s.dial()
	other2.alive() // the loop has gone round: nothing more was asked of the disk
	if queued, held := disk.syncs(); queued != 1 || held != 1 {
		t.Fatalf("%d fsyncs were begun, %d are under way, want the first alone", queued, held)
	}
	disk.end(0)
	if code := commitCode(c.receive(req, committed)); code != 0 {
		t.Fatalf("the commit: error %d", code)
	}
	disk.await(t, 2, 1)
	const eio = -5
	disk.end(eio)
	if code := commitCode(other.receive(second, other.next)); code != 15 {
		t.Errorf("a commit whose fsync failed: error %d, want 15", code)
	}
	if code := commitCode(other2.ask(commitRequest("h", "feed", 1, 7, ""))); code != 15 {
		t.Errorf("a commit after that: error %d, want 15", code)
	}
	if got := other2.committed("g", "feed"); got != 5 {
		t.Errorf("the group whose commit was acknowledged is at %d", got)
	}
}

// A member that waits for others does not delay a stop, nor does one whose connection is closed.
func TestWaitingMembersAreAnsweredAtTheEnd(t *testing.T) {
	s := start(t, nil)
	first := s.dial()
	first.joinAlone("g")
	waiting := make([]*dialed, 3)
	for i := range waiting {
		waiting[i] = s.dial()
		id := waiting[i].ask(joinRequest(5, "g", "")).(*kmsg.JoinGroupResponse).MemberID
		waiting[i].send(joinRequest(5, "g", id))
	}
	s.await("three that wait to join", func(Stats) bool {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{"g"}
		return len(first.ask(req).(*kmsg.DescribeGroupsResponse).Groups[0].Members) == 4
	})
	waiting[0].close()
	s.broker.Stop()
	for _, c := range waiting[1:] {
		if resp := c.receive(joinRequest(5, "g", ""), c.next).(*kmsg.JoinGroupResponse); resp.ErrorCode != 15 {
			t.Errorf("a waiting member gets error %d, want 15", resp.ErrorCode)
		}
		c.close()
	}
	first.close()
	s.stop()
}

// librdkafka's test 0118: two consumers that are made one after the other share the partitions in their first generation.
func TestTwoThatJoinAtOnceMeetInTheirFirstGeneration(t *testing.T) {
	s := start(t, nil)
	both := []*dialed{s.dial(), s.dial()}
	joins := make([]*kmsg.JoinGroupRequest, len(both))
	for i, c := range both {
		joins[i] = joinRequest(5, "g", c.ask(joinRequest(5, "g", "")).(*kmsg.JoinGroupResponse).MemberID)
	}
	for i, c := range both {
		c.send(joins[i])
	}
	members := 0
	for i, c := range both {
		resp := c.receive(joins[i], c.next).(*kmsg.JoinGroupResponse)
		if members += len(resp.Members); resp.ErrorCode != 0 || resp.Generation != 1 {
			t.Errorf("member %d: error %d, generation %d", i, resp.ErrorCode, resp.Generation)
		}
	}
	if members != 2 {
		t.Errorf("the leader gets %d members, want 2", members)
	}
}

// A client that got an id and closes its connection delays no rebalance, and its id is no longer charged.
func TestIDOfAClosedConnectionIsForgotten(t *testing.T) {
	s := start(t, nil)
	member, ghost, late := s.dial(), s.dial(), s.dial()
	joined := member.joinAlone("g")
	held := s.stats().Groups.MemoryBytes
	ghost.ask(joinRequest(5, "g", ""))
	if now := s.stats().Groups.MemoryBytes; now <= held {
		t.Errorf("%d bytes are charged with an id, %d without", now, held)
	}
	ghost.close()
	s.await("the id to be forgotten", func(st Stats) bool { return st.Groups.MemoryBytes == held })
	join := joinRequest(5, "g", late.ask(joinRequest(5, "g", "")).(*kmsg.JoinGroupResponse).MemberID)
	late.send(join)
	again := joinRequest(5, "g", joined.MemberID)
	if resp := member.ask(again).(*kmsg.JoinGroupResponse); resp.ErrorCode != 0 || resp.Generation != 2 || len(resp.Members) != 2 {
		t.Errorf("joining again: %+v", resp)
	}
	if resp := late.receive(join, late.next).(*kmsg.JoinGroupResponse); resp.ErrorCode != 0 || resp.Generation != 2 {
		t.Errorf("the one that came late: %+v", resp)
	}
}

func TestOffsetsTopicIsTheServersOwn(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	metadata := func(names ...string) map[string]kmsg.MetadataResponseTopic {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.AllowAutoTopicCreation = 8, true
		for _, name := range names {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
		got := make(map[string]kmsg.MetadataResponseTopic)
		for _, topic := range c.ask(req).(*kmsg.MetadataResponse).Topics {
			got[*topic.Topic] = topic
		}
		return got
	}
	if got := metadata(offsets.Topic)[offsets.Topic]; got.ErrorCode != 3 {
		t.Errorf("before the first group: error %d, want 3", got.ErrorCode)
	}
	if code := c.tryCreate(offsets.Topic, 1); code != 17 {
		t.Errorf("creating it: error %d, want 17", code)
	}
	c.commit("g", "feed", 1)
	if got := metadata(); len(got) != 2 || !got[offsets.Topic].IsInternal || got["feed"].IsInternal {
		t.Errorf("topics: %+v", got)
	}
	if r := c.produce(offsets.Topic, 0, makeBatch(1, 1, 10, 0)); r.ErrorCode != 17 {
		t.Errorf("producing to it: error %d, want 17", r.ErrorCode)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.Version, del.TopicNames = 3, []string{offsets.Topic}
	if code := c.ask(del).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode; code != 17 {
		t.Errorf("deleting it: error %d, want 17", code)
	}
	records := kmsg.NewPtrDeleteRecordsRequest()
	whole := []kmsg.DeleteRecordsRequestTopicPartition{{Offset: -1}}
	records.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: offsets.Topic, Partitions: whole}}
	if code := c.ask(records).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode; code != 17 {
		t.Errorf("deleting its records: error %d, want 17", code)
	}
	if code := c.createPartitions(offsets.Topic, 5); code != 17 {
		t.Errorf("more partitions: error %d, want 17", code)
	}
	if p := c.fetchOne(11, wanted{topic: offsets.Topic}); p.ErrorCode != 0 || p.HighWatermark != 1 {
		t.Errorf("reading it: error %d, high watermark %d", p.ErrorCode, p.HighWatermark)
	}
	if got := c.committed("g", "feed"); got != 1 {
		t.Errorf("after all that the group is at %d", got)
	}
}

// However often offsets are committed, their log stays short.
func TestOffsetsLogStaysShort(t *testing.T) {
	dir := t.TempDir()
	change := func(c *Config) { c.DataDir, c.Fsync, c.RetentionCheck = dir, commit.Fsync{}, 10*time.Millisecond }
	s := start(t, change)
	c := s.dial()
	const rewriteFromBytes = 16 << 20 // see package offsets
	const partitions, written = 100, 3 * rewriteFromBytes
	c.create("feed", partitions)
	member := c.joinAlone("workers")
	note := string(make([]byte, maxOffsetMetadataBytes))
	n := int64(0)
	for bytes := 0; bytes < written; bytes += partitions * len(note) {
		n++
		if code := commitCode(c.ask(commitRequest("g", "feed", partitions, n, note))); code != 0 {
			t.Fatalf("commit %d: error %d", n, code)
		}
	}
	logBytes := func() (size int64) {
		measure := func() { size = s.broker.catalog.Topic(offsets.Topic).Partitions[0].Log.SizeBytes() }
		if err := s.broker.loop.Call(t.Context(), measure); err != nil {
			t.Fatal(err)
		}
		return size
	}
	// A segment whose files are still worked on when the log has been rewritten goes with the next look at retention.
	size := int64(0)
	if !eventually(func() bool { size = logBytes(); return size <= 2*rewriteFromBytes }) {
		t.Errorf("the log has %d bytes after %d were committed", size, written)
	}
	c.commit("h", "feed", n)
	c.close()
	s.stop()

	s = start(t, change)
	c = s.dial()
	if g, h := c.committed("g", "feed"), c.committed("h", "feed"); g != n || h != n {
		t.Errorf("after the restart the groups are at %d and %d, want %d", g, h, n)
	}
	if code := c.heartbeat("workers", member.MemberID, member.Generation); code != 0 {
		t.Errorf("the member, whose record is the oldest: error %d", code)
	}
}

// A directory of Apache Kafka's has 50 partitions; each group stays in its own.
func TestOffsetsTopicOfSeveralPartitionsIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	const partitions = 5
	for i := range partitions {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("%s-%d", offsets.Topic, i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	change := func(c *Config) { c.DataDir = dir }
	s := start(t, change)
	c := s.dial()
	c.create("feed", 1)
	for i := range int64(20) {
		c.commit(fmt.Sprintf("group-%d", i), "feed", i)
	}
	for i := range int32(partitions) {
		if p := c.fetchOne(11, wanted{topic: offsets.Topic, partition: i}); p.HighWatermark == 0 {
			t.Errorf("partition %d is empty", i)
		}
	}
	c.close()
	s.stop()
	s = start(t, change)
	c = s.dial()
	for i := range int64(20) {
		if got := c.committed(fmt.Sprintf("group-%d", i), "feed"); got != i {
			t.Errorf("group %d is at %d", i, got)
		}
	}
}

func TestTopicThatIsDeletedTakesItsOffsetsAlong(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	c.commit("g", "feed", 9)
	c.remove("feed")
	c.create("feed", 1)
	if got := c.committed("g", "feed"); got != -1 {
		t.Errorf("in the recreated topic the group is at %d", got)
	}
	if code := commitCode(c.ask(commitRequest("g", "other", 1, 1, ""))); code != 3 {
		t.Errorf("committing for an unknown topic: error %d, want 3", code)
	}
}

// A topic with many committed offsets is deleted in small steps. Once that is answered, no start finds one of them again,
// however the server ends.
func TestOffsetsOfADeletedTopicDoNotComeBackWithARestart(t *testing.T) {
	const partitions, groups = 20, 150
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create("feed", partitions)
	for i := range groups {
		if code := commitCode(c.ask(commitRequest(fmt.Sprintf("g%d", i), "feed", partitions, 7, ""))); code != 0 {
			t.Fatalf("error %d", code)
		}
	}
	c.remove("feed")
	if n := s.stats().Groups.Offsets; n != 0 {
		t.Errorf("after the answer %d offsets are left", n)
	}
	if !eventually(func() bool { left, _ := filepath.Glob(filepath.Join(dir, "*-delete")); return len(left) == 0 }) {
		t.Fatal("the topic's files are not removed")
	}
	crashed := crashCopy(t, dir)
	c.close()
	s.stop()
	for _, dir := range []string{dir, crashed} {
		s := start(t, func(c *Config) { c.DataDir = dir })
		if n := s.stats().Groups.Offsets; n != 0 {
			t.Errorf("after a restart there are %d offsets", n)
		}
		s.stop()
	}
}

// A client deletes a topic and leaves before the answer: a clean stop writes the remaining tombstones.
func TestStopWaitsForOffsetsThatAreBeingForgotten(t *testing.T) {
	const partitions, groups = 20, 150
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create("feed", partitions)
	for i := range groups {
		c.ask(commitRequest(fmt.Sprintf("g%d", i), "feed", partitions, 7, ""))
	}
	s.broker.Do(func() {
		s.broker.offsets.TopicDeleted("feed")
		s.broker.beginStop()
	})
	c.close()
	s.stop()
	s = start(t, func(c *Config) { c.DataDir = dir })
	if n := s.stats().Groups.Offsets; n != 0 {
		t.Errorf("after the restart there are %d offsets", n)
	}
}

func TestMemberIsKnownByItsClientIDAndAddress(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	member := c.joinAlone("g")
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Version, req.Groups = 4, []string{"g"}
	g := c.ask(req).(*kmsg.DescribeGroupsResponse).Groups[0]
	if len(g.Members) != 1 || g.Members[0].ClientID != "test" || g.Members[0].ClientHost != "/127.0.0.1" ||
		g.Members[0].MemberID != member.MemberID || len(member.MemberID) != len("test-")+36 {
		t.Errorf("described: %+v", g)
	}
}

// A commit that the disk refuses is told to its member. What the group then reads is written as soon as the disk takes
// it; if the server dies before that, the group is where it was acknowledged to be.
func TestCommitThatCannotBeWrittenIsRefused(t *testing.T) {
	disk := &faultyFS{FS: segment.OS}
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir, c.Log.FS = dir, disk })
	c := s.dial()
	c.create("feed", 1)
	c.commit("g", "feed", 8)
	disk.fail(offsets.Topic, syscall.EIO, true)
	if code := commitCode(c.ask(commitRequest("g", "feed", 1, 9, ""))); code != 15 {
		t.Errorf("a commit while the disk fails: error %d, want 15", code)
	}
	if got := c.committed("g", "feed"); got != 8 && got != 9 {
		t.Errorf("while the disk fails the group is at %d", got)
	}
	crashed := crashCopy(t, dir)
	disk.fail("", nil, false)
	c.commit("h", "feed", 1)
	read := c.committed("g", "feed")
	c.close()
	s.stop()
	for dir, want := range map[string]int64{dir: read, crashed: 8} {
		s := start(t, func(c *Config) { c.DataDir = dir })
		c := s.dial()
		if got := c.committed("g", "feed"); got != want {
			t.Errorf("after a start the group is at %d, want %d", got, want)
		}
		c.close()
		s.stop()
	}
}
