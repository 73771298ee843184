package fanout

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/fetch"
	"oneplusn/segment/records"
)

// session is a client's side of a fetch session.
type session struct {
	*dialed
	id, epoch int32
}

// fetch sends the next request of the session, with its changes, and returns the answers by partition.
func (s *session) fetch(forgotten []int32, wants ...wanted) map[string]kmsg.FetchResponseTopicPartition {
	s.t.Helper()
	resp := s.ask(s.request(forgotten, wants...)).(*kmsg.FetchResponse)
	if resp.ErrorCode != 0 {
		s.t.Fatalf("session %d, epoch %d: error %d", s.id, s.epoch, resp.ErrorCode)
	}
	s.id = resp.SessionID
	s.epoch++
	got := make(map[string]kmsg.FetchResponseTopicPartition)
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			got[fmt.Sprintf("%s-%d", topic.Topic, p.Partition)] = p
		}
	}
	return got
}

func (s *session) request(forgotten []int32, wants ...wanted) *kmsg.FetchRequest {
	req := fetchRequest(11, wants...)
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	if len(forgotten) > 0 {
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic, f.Partitions = "feed", forgotten
		req.ForgottenTopics = append(req.ForgottenTopics, f)
	}
	return req
}

func names(got map[string]kmsg.FetchResponseTopicPartition) []string {
	var all []string
	for name := range got {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestFetchSessionTellsOnlyOfWhatChanged(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 3)
	c.create("other", 1)
	log := &shadow{topic: "feed", partition: 1}
	c.publish(log, makeBatch(1, 1, 100, 0))
	sub := &session{dialed: s.dial()}
	expect := func(what string, got map[string]kmsg.FetchResponseTopicPartition, want ...string) {
		t.Helper()
		if !slices.Equal(names(got), want) {
			t.Fatalf("%s: got %v, want %v", what, names(got), want)
		}
	}
	expect("the first request", sub.fetch(nil, wanted{topic: "feed"}, wanted{topic: "feed", partition: 1},
		wanted{topic: "feed", partition: 2}, wanted{topic: "other"}), "feed-0", "feed-1", "feed-2", "other-0")
	if sub.id == 0 {
		t.Fatal("no session was made")
	}
	expect("its offset was not moved on", sub.fetch(nil), "feed-1")
	expect("nothing is left", sub.fetch(nil, wanted{topic: "feed", partition: 1, offset: 1}))
	c.publish(&shadow{topic: "other"}, makeBatch(2, 1, 100, 0))
	got := sub.fetch(nil)
	expect("one partition grew", got, "other-0")
	if len(got["other-0"].RecordBatches) == 0 || got["other-0"].HighWatermark != 1 {
		t.Fatalf("the partition that grew has %d bytes and high watermark %d", len(got["other-0"].RecordBatches), got["other-0"].HighWatermark)
	}
	expect("forgotten", sub.fetch([]int32{0, 1}, wanted{topic: "other", offset: 1}))
	c.publish(log, makeBatch(3, 1, 100, 0))
	c.publish(&shadow{topic: "feed", partition: 2}, makeBatch(4, 1, 100, 0))
	expect("a forgotten partition grew, and another", sub.fetch(nil), "feed-2")
	c.remove("other")
	got = sub.fetch(nil, wanted{topic: "feed", partition: 2, offset: 1})
	expect("a topic was deleted", got, "other-0")
	if got["other-0"].ErrorCode != 3 {
		t.Fatalf("the deleted topic has error %d, want 3", got["other-0"].ErrorCode)
	}
	expect("an error is told every time", sub.fetch(nil), "other-0")
}

// A full request may name a partition several times; the session has it once, and so has the answer.
func TestFetchSessionBegunWithRepeatedPartitionsAnswersEachOnce(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 2)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 1, 100, 0))
	sub := &session{dialed: s.dial()}
	first, second := wanted{topic: "feed"}, wanted{topic: "feed", partition: 1}
	resp := sub.ask(sub.request(nil, first, second, first, first)).(*kmsg.FetchResponse)
	answered := 0
	for _, topic := range resp.Topics {
		answered += len(topic.Partitions)
	}
	if resp.ErrorCode != 0 || resp.SessionID == 0 || answered != 2 {
		t.Fatalf("error %d, session %d, %d partitions are answered, want 2", resp.ErrorCode, resp.SessionID, answered)
	}
}

func TestFetchSessionIsOnlyForItsConnectionAndEpoch(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	sub := &session{dialed: c}
	sub.fetch(nil, wanted{topic: "feed"})
	code := func(c *dialed, id, epoch int32) int16 {
		req := fetchRequest(11)
		req.SessionID, req.SessionEpoch = id, epoch
		return c.ask(req).(*kmsg.FetchResponse).ErrorCode
	}
	for _, row := range []struct {
		what      string
		on        *dialed
		id, epoch int32
		want      int16
	}{
		{"another connection", s.dial(), sub.id, sub.epoch, 70},
		{"another id", c, sub.id + 1, sub.epoch, 70},
		{"an id without a session", c, 0, 1, 70},
		{"an epoch that was", c, sub.id, sub.epoch - 1 + 2, 71},
		{"a negative epoch", c, sub.id, -7, 71},
		{"the right one", c, sub.id, sub.epoch, 0},
		{"the same again", c, sub.id, sub.epoch, 71},
		{"the end of it", c, sub.id, -1, 0},
		{"after the end", c, sub.id, sub.epoch + 1, 70},
	} {
		if got := code(row.on, row.id, row.epoch); got != row.want {
			t.Errorf("%s: error %d, want %d", row.what, got, row.want)
		}
	}
}

func TestFetchSessionsHaveALimitAndGiveItBack(t *testing.T) {
	s := start(t, func(c *Config) {
		c.FetchSessionMemoryBytes = fetch.SessionTopicBytes + 2*int64(len("feed")) + 3*fetch.SessionPartitionBytes
	})
	s.dial().create("feed", 3)
	first, second := &session{dialed: s.dial()}, &session{dialed: s.dial()}
	both := []wanted{{topic: "feed"}, {topic: "feed", partition: 1}}
	first.fetch(nil, both...)
	if got := second.fetch(nil, both...); second.id != 0 || len(got) != 2 {
		t.Fatalf("beyond the limit: session %d with %d partitions, want none with 2", second.id, len(got))
	}
	more := first.request(nil, wanted{topic: "feed", partition: 2})
	if resp := first.ask(more).(*kmsg.FetchResponse); resp.ErrorCode != 0 || len(resp.Topics) == 0 {
		t.Fatalf("one more partition: error %d", resp.ErrorCode)
	}
	first.close()
	s.await("the connection's end", func(st Stats) bool { return st.Connections == 2 })
	second.epoch = 0
	if second.fetch(nil, both...); second.id == 0 {
		t.Fatal("a session that ended has kept its room")
	}
}

func TestWaitingSessionIsWokenByEachOfItsPartitions(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 20)
	sub := &session{dialed: s.dial()}
	var all []wanted
	for i := range int32(20) {
		all = append(all, wanted{topic: "feed", partition: i})
	}
	sub.fetch(nil, all...)
	for i := range int32(20) {
		req := sub.request(nil)
		req.MaxWaitMillis, req.MinBytes = int32(patience/time.Millisecond), 1
		sub.send(req)
		s.awaitWaiting(1)
		c.publish(&shadow{topic: "feed", partition: i}, makeBatch(uint64(i), 1, 100, 0))
		resp := sub.receive(req, sub.next).(*kmsg.FetchResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != i {
			t.Fatalf("partition %d grew, the answer is %+v", i, resp.Topics)
		}
		sub.epoch++
		sub.fetch(nil, wanted{topic: "feed", partition: i, offset: 1})
	}
}

// A client that always lists its partitions in one order, with room for one batch, still gets all of them.
func TestNoPartitionStarvesTheOthers(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 3)
	for p := range int32(3) {
		log := &shadow{topic: "feed", partition: p}
		for i := range 4 {
			c.publish(log, makeBatch(uint64(i), 1, 1000, 0))
		}
	}
	offsets := [3]int64{}
	for range 12 {
		req := fetchRequest(11, wanted{topic: "feed", offset: offsets[0]}, wanted{topic: "feed", partition: 1, offset: offsets[1]},
			wanted{topic: "feed", partition: 2, offset: offsets[2]})
		req.MaxBytes = 1
		for _, p := range c.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions {
			if len(p.RecordBatches) > 0 {
				next, err := offsetAfter(p.RecordBatches)
				if err != nil {
					t.Fatal(err)
				}
				offsets[p.Partition] = next
			}
		}
		if least, most := slices.Min(offsets[:]), slices.Max(offsets[:]); most-least > 1 {
			t.Fatalf("the partitions are read up to %v", offsets)
		}
	}
	if offsets != [3]int64{4, 4, 4} {
		t.Fatalf("12 fetches of a batch each read up to %v", offsets)
	}
}

func TestClientsBeforeZstdAreToldOfIt(t *testing.T) {
	t.Run("on disk", func(t *testing.T) { checkZstd(t, t.TempDir()) })
	t.Run("on tmpfs", func(t *testing.T) { checkZstd(t, smallDisk(t, "size=16m")) })
}

func checkZstd(t *testing.T, dir string) {
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	c.publish(log, makeBatch(1, 1, 100, 0))
	zstd := compressed(makeBatch(2, 1, 100, 0), byte(records.Zstd), 1, 100)
	c.publish(log, zstd)
	for _, row := range []struct {
		version int16
		offset  int64
		code    int16
		batches int
	}{{4, 0, 0, 1}, {9, 0, 0, 1}, {4, 1, 76, 0}, {9, 1, 76, 0}, {10, 0, 0, 2}, {11, 1, 0, 1}} {
		p := c.fetchOne(row.version, wanted{topic: "feed", offset: row.offset})
		want := 0
		for _, batch := range log.batches[row.offset:][:row.batches] {
			want += len(batch)
		}
		if p.ErrorCode != row.code || len(p.RecordBatches) != want {
			t.Errorf("v%d from %d: error %d and %d bytes, want %d and %d", row.version, row.offset, p.ErrorCode,
				len(p.RecordBatches), row.code, want)
		}
	}
}

// The whole process is counted, so the client is written without allocations too.
func TestFetchesAllocateNothing(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 2)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 10, 100, 0))
	sub := &session{dialed: s.dial()}
	sub.fetch(nil, wanted{topic: "feed"}, wanted{topic: "feed", partition: 1})
	sub.fetch(nil)
	incremental := sub.frame(sub.request(nil))
	full := c.frame(fetchRequest(11, wanted{topic: "feed"}, wanted{topic: "feed", partition: 1}))
	answer := make([]byte, 64<<10)
	exchange := func(c *dialed, frame []byte) {
		if _, err := c.conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.conn, answer[:4]); err != nil {
			t.Fatal(err)
		}
		size := int(binary.BigEndian.Uint32(answer))
		if _, err := io.ReadFull(c.conn, answer[:size]); err != nil {
			t.Fatal(err)
		}
		if code := binary.BigEndian.Uint16(answer[8:]); code != 0 {
			t.Fatalf("error %d", code)
		}
	}
	epoch := incremental[len(incremental)-len("\x00\x00\x00\x00")*2-2-4:] // before no topics, no forgotten ones and no rack
	next := uint32(sub.epoch)
	if binary.BigEndian.Uint32(epoch) != next {
		t.Fatalf("the epoch is not at its place: % x", incremental)
	}
	perFetch := testing.AllocsPerRun(300, func() {
		exchange(c, full)
		binary.BigEndian.PutUint32(epoch, next)
		next++
		exchange(sub.dialed, incremental)
	})
	if perFetch > 0 {
		t.Errorf("%v allocations for a fetch, want none", perFetch)
	}
}

// Names count, however long they are, and come back.
func TestFetchSessionsAreBoundedByTheirBytes(t *testing.T) {
	const limit = 1 << 20
	s := start(t, func(c *Config) { c.FetchSessionMemoryBytes = limit })
	used := func() int64 { return s.stats().Budgets["fetch session"].Used }
	var wants []wanted
	for i := range 14 {
		wants = append(wants, wanted{topic: fmt.Sprint(strings.Repeat("n", 32_000), i)})
	}
	first, second := &session{dialed: s.dial()}, &session{dialed: s.dial()}
	first.fetch(nil, wants...)
	if n := used(); first.id == 0 || n < 14*2*32_000 || n > limit {
		t.Fatalf("session %d of %d bytes, want one of twice its names", first.id, n)
	}
	if got := second.fetch(nil, wants...); second.id != 0 || len(got) != 14 {
		t.Fatalf("beyond the limit: session %d with %d partitions, want none with 14", second.id, len(got))
	}
	before := used()
	forget := first.request(nil)
	for _, w := range wants[1:] {
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic, f.Partitions = w.topic, []int32{w.partition}
		forget.ForgottenTopics = append(forget.ForgottenTopics, f)
	}
	first.ask(forget)
	if n := used(); before-n < 13*2*32_000 {
		t.Errorf("%d of %d bytes came back with 13 of 14 names", before-n, before)
	}
	first.dialed.close()
	s.await("the memory to come back", func(st Stats) bool { return st.Budgets["fetch session"].Used == 0 })
	if !strings.Contains(s.log.String(), "raise --fetch-session-memory") {
		t.Errorf("the log does not name the remedy:\n%s", s.log)
	}
}
