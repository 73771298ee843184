package group

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Clients that send anything: every request with fields from a small world in which names meet, and at their extremes,
// over connections that close, with topics that are deleted, records that are lost, time that passes and restarts, under
// limits that are often reached. After each step the charge equals the memory held, and every request has been answered
// once, or waits where it should.
func TestAnyRequestsKeepTheCountsRight(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			h := &hostile{random: rand.New(rand.NewPCG(seed, 2)), lab: newLab(t, func(c *Config) {
				c.MaxGroups, c.MaxMembers, c.MemoryBytes, c.MaxRecordBytes, c.MaxReplyBytes = 4, 5, 30_000, 3500, 2000
				c.InitialRebalanceDelay, c.LoneMemberDelay, c.OffsetsRetention = 3*time.Second, 300*time.Millisecond, time.Minute
			})}
			h.c.steps = steps{advance: 3, reap: 2, scan: 2, records: 3, bytes: 1000}
			for range 1500 {
				h.step()
			}
			h.c.Shutdown()
			h.collect()
			h.checkAnswered()
		})
	}
}

type hostile struct {
	*lab
	random *rand.Rand
	ids    []string // member ids that were seen
	id     string   // of the group that the request speaks of
	calls  []uint64 // tickets of the last requests
}

func (h *hostile) one(of ...string) string { return of[h.random.IntN(len(of))] }

// rarely is true once in ten times.
func (h *hostile) rarely() bool { return h.random.IntN(10) == 0 }

// number is mostly the first.
func (h *hostile) number(usual int64, of ...int64) int64 {
	if !h.rarely() {
		return usual
	}
	return append(of, -1, 0, 1, math.MaxInt32, math.MinInt32)[h.random.IntN(len(of)+5)]
}

func (h *hostile) group() string {
	if h.id = h.one("a", "b"); h.rarely() {
		h.id = h.one("", "c", "d", "e", "f", strings.Repeat("g", 255), strings.Repeat("h", 256))
	}
	return h.id
}

// member is mostly one of the group, or an id that it handed out.
func (h *hostile) member() string {
	g := h.c.groups.get(h.id)
	switch n := h.random.IntN(10); {
	case g != nil && n < 5 && g.list.Len() > 0:
		at := g.list.First()
		for range h.random.IntN(g.list.Len()) {
			at = at.Next()
		}
		return at.Value().id
	case n < 8 && len(h.ids) > 0:
		return h.ids[h.random.IntN(len(h.ids))]
	}
	return h.one("", "", "nobody")
}

func (h *hostile) instance() *string {
	switch h.random.IntN(20) {
	case 0, 1, 2, 3:
		return kmsg.StringPtr(h.one("i", "j"))
	case 4:
		return kmsg.StringPtr(h.one("", strings.Repeat("k", 900)))
	}
	return nil
}

func (h *hostile) bytes() []byte {
	m := kmsg.ConsumerMemberMetadata{Topics: []string{h.one("t", "u"), h.one("t", "u", "v")}}
	if !h.rarely() {
		return m.AppendTo(nil)
	}
	return [][]byte{nil, {}, {0, 1, 0x7f, 0xff, 0xff, 0xff}, make([]byte, 1200)}[h.random.IntN(4)]
}

func (h *hostile) step() {
	switch h.random.IntN(12) {
	case 0:
		h.pass(time.Duration(h.random.IntN(1+[]int{1, 10, 5000, 50_000}[h.random.IntN(4)])) * time.Millisecond)
	case 1:
		h.c.TopicDeleted(h.now, h.one("t", "u", "v"))
	case 2:
		if len(h.calls) > 0 {
			h.c.Disconnected(h.now, h.calls[h.random.IntN(len(h.calls))])
		}
	case 3:
		if h.rarely() {
			h.crash()
		}
	case 4: // a turn whose records are lost, and are written again later
		h.hand(h.request())
		h.hand(h.request())
		h.c.TakeOutput(&h.out)
		for i := range h.out.Records {
			h.c.Lost(&h.out.Records[i])
		}
		h.out.Records = h.out.Records[:0]
		h.take()
		h.c.Rewrite(0, int64(h.random.IntN(len(h.kept)+1)), h.random.IntN(20))
	default:
		if h.from.ID = h.one("c", "d"); h.rarely() {
			h.from.ID = h.one("", strings.Repeat("n", 2000))
		}
		h.calls = append(h.calls, h.ask(h.request()))
		h.calls = h.calls[max(0, len(h.calls)-20):]
	}
	h.collect()
	for ticket, resp := range h.replies {
		if r, ok := resp.(*kmsg.JoinGroupResponse); ok && r.MemberID != "" {
			h.ids = append(h.ids, r.MemberID)
		}
		delete(h.replies, ticket)
	}
	h.ids = h.ids[max(0, len(h.ids)-12):]
	h.checkAnswered()
	if used := h.c.budget.Used(); used > h.c.config.MemoryBytes {
		h.t.Fatalf("%d bytes are charged", used)
	}
}

// crash has the coordinator begin again from its log, once all is written: every group is where it was.
func (h *hostile) crash() {
	for done := false; !done || !h.c.Settled(); h.pass(time.Second) {
		done = h.c.Rewrite(0, 0, 100)
		h.collect()
	}
	before := h.positions()
	h.restart()
	if after := h.positions(); !maps.Equal(before, after) {
		h.t.Fatalf("after the restart the groups are at %v, before it at %v", after, before)
	}
}

func (h *hostile) positions() map[string]int64 {
	at := make(map[string]int64)
	for id, g := range h.c.groups.all {
		for place, o := range g.offsets.all {
			at[fmt.Sprint(id, place)] = o.offset
		}
	}
	return at
}

func (h *hostile) request() kmsg.Request {
	switch h.random.IntN(14) {
	case 0, 1, 2:
		r := kmsg.NewPtrJoinGroupRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID = int16(h.random.IntN(6)), h.group(), h.member(), h.instance()
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = int32(h.number(10_000, 1000, 600_000)), int32(h.number(5000, 600_000))
		if r.ProtocolType = "consumer"; h.rarely() {
			r.ProtocolType = h.one("connect", "")
		}
		for range h.number(1, 2, 3) % 4 {
			r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: h.one("range", "range", "sticky", ""), Metadata: h.bytes()})
		}
		return r
	case 3, 4:
		r := kmsg.NewPtrSyncGroupRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID, r.Generation = 3, h.group(), h.member(), h.instance(), h.generation()
		for range h.random.IntN(4) {
			r.GroupAssignment = append(r.GroupAssignment,
				kmsg.SyncGroupRequestGroupAssignment{MemberID: h.member(), MemberAssignment: h.bytes()})
		}
		return r
	case 5:
		r := kmsg.NewPtrHeartbeatRequest()
		r.Version, r.Group, r.MemberID, r.InstanceID, r.Generation = 3, h.group(), h.member(), h.instance(), h.generation()
		return r
	case 6:
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Version, r.Group, r.MemberID = int16(h.random.IntN(4)), h.group(), h.member()
		for range h.random.IntN(4) {
			r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: h.member(), InstanceID: h.instance()})
		}
		return r
	}
	return h.offsetRequest()
}

func (h *hostile) generation() int32 {
	if g := h.c.groups.get(h.id); g != nil && !h.rarely() {
		return g.generation
	}
	return int32(h.number(-1))
}

func (h *hostile) offsetRequest() kmsg.Request {
	topic, partition := h.one("t", "u", "v"), int32(h.number(int64(h.random.IntN(20))))
	switch h.random.IntN(6) {
	case 0, 1:
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Version, r.Group = int16(h.random.IntN(8)), h.group()
		r.RetentionTimeMillis = h.number(-1, 100, math.MaxInt64, math.MinInt64)
		if r.MemberID, r.Generation = "", -1; h.random.IntN(3) == 0 {
			r.MemberID, r.Generation = h.member(), h.generation()
		}
		for range h.random.IntN(12) {
			partition = (partition + 1) % 20
			p := kmsg.OffsetCommitRequestTopicPartition{Partition: partition, Offset: h.random.Int64N(1000), Metadata: h.instance()}
			r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}})
		}
		return r
	case 2:
		r := kmsg.NewPtrOffsetFetchRequest()
		r.Version, r.Group = int16(h.random.IntN(6)), h.group()
		for range h.random.IntN(3) {
			r.Topics = append(r.Topics, kmsg.OffsetFetchRequestTopic{Topic: topic, Partitions: []int32{partition, partition}})
		}
		return r
	case 3:
		r := kmsg.NewPtrOffsetDeleteRequest()
		p := kmsg.OffsetDeleteRequestTopicPartition{Partition: partition}
		r.Group = h.group()
		r.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{p, p}}}
		return r
	case 4:
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Version, r.Groups = 1, []string{h.group(), h.group()}
		return r
	}
	if h.rarely() {
		return kmsg.NewPtrListGroupsRequest()
	}
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Version, r.Groups = 4, []string{h.group(), h.group(), h.group()}
	return r
}
