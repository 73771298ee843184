package fanout

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// The topic is deleted while the file is written that its records' deletion waits for.
func TestTopicThatIsDeletedWhileItsRecordsAreDeletedIsGone(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS, c.AutoCreateTopics = disk, false })
	c, other := s.dial(), s.dial()
	if code, message := c.createWith("feed", map[string]string{"segment.bytes": "16384"}); code != 0 {
		t.Fatal(code, message)
	}
	log := &shadow{topic: "feed"}
	for i := range 6 {
		c.publish(log, makeBatch(uint64(i), 1, 9000, 0))
	}
	writing := disk.hold("open", segment.LogStartFile)
	records := kmsg.NewPtrDeleteRecordsRequest()
	records.Version = 1
	records.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "feed", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 4}}}}
	c.send(records)
	<-writing.arrived
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.Version, remove.TopicNames = 3, []string{"feed"}
	other.send(remove)
	if !eventually(func() bool { return s.servedOf([]string{"feed"})["feed"] == 0 }) {
		t.Fatal("the topic is not deleted")
	}
	writing.release()
	c.receive(records, c.next)
	if code := answerCode(other.receive(remove, other.next)); code != 0 {
		t.Errorf("deleting the topic: error %d", code)
	}
	c.create("feed", 1)
	c.publish(&shadow{topic: "feed"}, makeBatch(9, 1, 10, 0))
}

// A sync whose topic is deleted meanwhile has not failed: its result is ignored.
func TestTopicThatIsDeletedDuringItsSyncIsNoFailedSync(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS, c.Fsync = disk, commit.Fsync{Always: true} })
	c, admin := s.dial(), s.dial()
	if code, message := c.createWith("feed", map[string]string{"segment.bytes": "16384"}); code != 0 {
		t.Fatal(code, message)
	}
	syncing := disk.hold("syncdir", "feed-0") // after a roll
	defer syncing.release()
	var last kmsg.Request
	for i := range 3 {
		req := produceAll("feed", makeBatch(uint64(i), 1, 9000, 0))
		c.send(req)
		last = req
	}
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.Version, remove.TopicNames = 3, []string{"feed"}
	<-syncing.arrived
	admin.send(remove)
	if !eventually(func() bool { return s.servedOf([]string{"feed"})["feed"] == 0 }) {
		t.Fatal("the topic is not deleted")
	}
	syncing.release()
	if code := answerCode(admin.receive(remove, admin.next)); code != 0 {
		t.Errorf("deleting the topic: error %d", code)
	}
	for id := c.next - 2; id <= c.next; id++ {
		if code := answerCode(c.receive(last, id)); code != 0 && code != wire.CodeUnknownTopicOrPartition {
			t.Errorf("produce %d: error %d", id, code)
		}
	}
	if st := s.stats(); st.SyncErrors != 0 || strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("%d syncs failed; log:\n%s", st.SyncErrors, s.log)
	}
}

// However many clients ask for producer ids at once, each gets a new one, and one write reserves them for all; after a
// crash none of them comes again.
func TestNoProducerIDIsHandedOutTwiceHoweverManyAsk(t *testing.T) {
	dir := t.TempDir()
	disk := newGateFS()
	s := start(t, func(c *Config) { c.DataDir, c.Log.FS = dir, disk })
	const clients, each = 8, 400
	reserving := disk.hold("rename", catalog.ProducerIDFile)
	defer reserving.release()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 1
	all := make([]*dialed, clients)
	for i := range all {
		all[i] = s.dial()
		for range each {
			all[i].send(req)
		}
	}
	<-reserving.arrived
	s.await("all who are not answered to wait", func(st Stats) bool { return st.Requests[wire.Describe(req.Key())] >= catalog.ProducerIDBlock+2 })
	reserving.release()
	ids := make(map[int64]bool)
	for _, c := range all {
		for i := range each {
			resp := c.receive(req, c.next-each+1+int32(i)).(*kmsg.InitProducerIDResponse)
			if resp.ErrorCode != 0 || ids[resp.ProducerID] {
				t.Fatalf("id %d, error %d; it was given before: %v", resp.ProducerID, resp.ErrorCode, ids[resp.ProducerID])
			}
			ids[resp.ProducerID] = true
		}
	}
	if n := len(reserving.arrived) + 1; n > clients*each/catalog.ProducerIDBlock {
		t.Errorf("%d blocks were reserved for %d ids", n, len(ids))
	}
	next := start(t, func(c *Config) { c.DataDir = crashCopy(t, dir) })
	if id := next.dial().producerID(); ids[id] {
		t.Errorf("after a crash id %d is given again", id)
	}
}

// A topic that takes long to make does not delay changes of other topics; changes of the same topic wait in the queue.
func TestTopicThatIsBeingMadeKeepsNobodyFromChangingOthers(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS, c.AutoCreateTopics = disk, false })
	c, waiting, admin := s.dial(), s.dial(), s.dial()
	admin.create("other", 1)
	making := disk.hold("open", "big-1")
	defer making.release()
	create := adminRequests[0].request("big")
	c.send(create)
	<-making.arrived
	remove := adminRequests[1].request("big")
	waiting.send(remove)
	if code, message := admin.alter("other", map[string]string{"retention.ms": "5"}, false); code != 0 {
		t.Error(code, message)
	}
	admin.create("third", 1)
	admin.remove("other")
	making.release()
	for _, answer := range []kmsg.Response{c.receive(create, c.next), waiting.receive(remove, waiting.next)} {
		if code := answerCode(answer); code != 0 {
			t.Errorf("%T: error %d", answer, code)
		}
	}
	if n := c.partitionsOf("big"); n != 0 {
		t.Errorf("the topic that was made and deleted has %d partitions", n)
	}
}
