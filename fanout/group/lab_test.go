package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// lab is a coordinator with a clock that the test moves, and all that came out of it.
type lab struct {
	t       *testing.T
	c       *Coordinator
	now     Instant
	tickets uint64
	// answered are the requests that were answered, or lost by a restart.
	answered  uint64
	unchecked bool   // the counts are not compared at each step, for a test of many
	from      Client // of the requests, but for their tickets
	out       Output
	replies   map[uint64]kmsg.Response
	kept      []Record // the log, if it has one partition: a record's offset is its index
}

var testSteps = steps{advance: 200, reap: testReap, scan: testScan, records: testRecords, bytes: 1 << 20}

// The steps of a coordinator under test.
const (
	testReap    = 100
	testScan    = 100
	testRecords = 100
)

const startMillis = 1_700_000_000_000

func testConfig() Config {
	ids := 0
	return Config{
		LoneMemberDelay:   time.Hour,
		MinSessionTimeout: time.Second,
		MaxSessionTimeout: 10 * time.Minute,
		OffsetsRetention:  7 * 24 * time.Hour,
		MaxGroups:         100,
		MaxMembers:        100,
		MaxMetadataBytes:  100,
		MemoryBytes:       1 << 20,
		NewMemberID: func(clientID string) string {
			ids++
			return fmt.Sprintf("%s-%d", clientID, ids)
		},
	}
}

func newLab(t *testing.T, change func(*Config)) *lab {
	config := testConfig()
	if change != nil {
		change(&config)
	}
	c := New(config, 1)
	c.steps = testSteps
	return &lab{t: t, c: c, now: Instant{time.Hour, startMillis},
		from: Client{ID: "test", Host: "/127.0.0.1"}, replies: make(map[uint64]kmsg.Response)}
}

// ask handles a request, runs its effects, and returns its ticket.
func (l *lab) ask(req kmsg.Request) uint64 {
	l.t.Helper()
	l.hand(req)
	l.collect()
	return l.tickets
}

func (l *lab) hand(req kmsg.Request) {
	l.t.Helper()
	l.tickets++
	from := l.from
	from.Ticket = l.tickets
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		l.c.JoinGroup(l.now, from, r)
	case *kmsg.SyncGroupRequest:
		l.c.SyncGroup(l.now, from, r)
	case *kmsg.HeartbeatRequest:
		l.c.Heartbeat(l.now, from, r)
	case *kmsg.LeaveGroupRequest:
		l.c.LeaveGroup(l.now, from, r)
	case *kmsg.OffsetCommitRequest:
		l.c.OffsetCommit(l.now, from, r)
	case *kmsg.OffsetFetchRequest:
		l.answer(l.c.OffsetFetch(r))
	case *kmsg.OffsetDeleteRequest:
		l.c.OffsetDelete(l.now, from, r)
	case *kmsg.DescribeGroupsRequest:
		l.answer(l.c.DescribeGroups(r))
	case *kmsg.ListGroupsRequest:
		l.answer(l.c.ListGroups(r))
	case *kmsg.DeleteGroupsRequest:
		l.c.DeleteGroups(l.now, from, r)
	default:
		l.t.Fatalf("no such request: %T", req)
	}
}

// answer collects the immediate replies.
func (l *lab) answer(response kmsg.Response) {
	l.c.queue.asked(l.tickets)
	l.c.reply(l.tickets, response)
}

// check compares the coordinator's counts with its content.
func (l *lab) check() {
	l.t.Helper()
	if err := l.c.check(); err != nil {
		l.t.Fatal(err)
	}
}

// collect handles the output like the broker.
func (l *lab) collect() {
	l.t.Helper()
	if !l.unchecked {
		l.check()
	}
	for l.c.TakeOutput(&l.out) {
		l.take()
	}
}

func (l *lab) take() {
	l.t.Helper()
	for i := range l.out.Records {
		r := &l.out.Records[i]
		l.c.Appended(r, int64(len(l.kept)))
		l.kept = append(l.kept, *r)
	}
	for _, r := range l.out.Replies {
		l.answered++
		if l.replies[r.Ticket] != nil {
			l.t.Fatalf("ticket %d is answered twice", r.Ticket)
		}
		l.replies[r.Ticket] = r.Response
	}
}

// pass lets time go by, from deadline to deadline.
func (l *lab) pass(d time.Duration) {
	l.t.Helper()
	end := l.now.Monotonic + d
	for {
		at, ok := l.c.Next()
		if !ok || at > end {
			break
		}
		l.set(max(at, l.now.Monotonic))
		l.c.Advance(l.now)
		l.collect()
	}
	l.set(end)
}

func (l *lab) set(at time.Duration) {
	l.now.UnixMillis += (at - l.now.Monotonic).Milliseconds()
	l.now.Monotonic = at
}

// reply is the answer to a ticket, which must be there.
func reply[T kmsg.Response](l *lab, ticket uint64) T {
	l.t.Helper()
	resp, ok := l.replies[ticket].(T)
	if !ok {
		l.t.Fatalf("ticket %d has no answer of that kind: %T", ticket, l.replies[ticket])
	}
	return resp
}

func (l *lab) waits(ticket uint64) {
	l.t.Helper()
	if resp := l.replies[ticket]; resp != nil {
		l.t.Fatalf("ticket %d should wait, it is answered with %+v", ticket, resp)
	}
}

// restart makes a new coordinator from the log.
func (l *lab) restart() {
	l.t.Helper()
	c := New(l.c.config, 1)
	for i, r := range l.kept {
		if err := c.Restore(l.now, 0, int64(i), r.Key, r.Value); err != nil {
			l.t.Fatal(err)
		}
	}
	c.steps = l.c.steps
	c.Restored(l.now)
	l.c, l.answered = c, l.tickets
}

// checkAnswered checks that every request was answered, or waits for one of the things that requests wait for.
func (l *lab) checkAnswered() {
	l.t.Helper()
	waiting := len(l.c.queue.waiting) + len(l.c.queue.reaping)
	for _, g := range l.c.groups.all {
		for m := range g.list.All() {
			if m.join.waits {
				waiting++
			}
			if m.sync.waits {
				waiting++
			}
		}
	}
	if open := l.tickets - l.answered; open != uint64(waiting) {
		l.t.Fatalf("%d requests have no answer, %d wait", open, waiting)
	}
}

// person is a client that joins groups, as version 5 of JoinGroup unless it says otherwise.
type person struct {
	lab                *lab
	group, id          string
	instance           string
	version            int16
	session, rebalance time.Duration
	protocols          []kmsg.JoinGroupRequestProtocol
	generation         int32
	leader             bool
	members            []string
	assigned           string
}

func (l *lab) person(group string) *person {
	return &person{lab: l, group: group, version: 5, session: 10 * time.Second, rebalance: 30 * time.Second, protocols: protocols("range")}
}

// protocols are protocols without a subscription.
func protocols(names ...string) (all []kmsg.JoinGroupRequestProtocol) {
	for _, name := range names {
		all = append(all, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: []byte("about " + name)})
	}
	return all
}

// subscribed is the protocol "range" with a subscription.
func subscribed(topics ...string) []kmsg.JoinGroupRequestProtocol {
	m := kmsg.ConsumerMemberMetadata{Topics: topics}
	return []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: m.AppendTo(nil)}}
}

func (p *person) instanceID() *string {
	if p.instance == "" {
		return nil
	}
	return &p.instance
}

// join asks to join and returns the ticket.
func (p *person) join() uint64 {
	p.lab.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = p.version, p.group, p.id, p.instanceID()
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(p.session.Milliseconds()), int32(p.rebalance.Milliseconds())
	req.ProtocolType, req.Protocols = "consumer", p.protocols
	return p.lab.ask(req)
}

// enter joins as far as it can without others: with an id, if one is required.
func (p *person) enter() uint64 {
	p.lab.t.Helper()
	ticket := p.join()
	if resp, ok := p.lab.replies[ticket].(*kmsg.JoinGroupResponse); ok && resp.ErrorCode == 79 {
		p.id = resp.MemberID
		ticket = p.join()
	}
	return ticket
}

// joined takes the answer of a join that must have succeeded.
func (p *person) joined(ticket uint64) *kmsg.JoinGroupResponse {
	p.lab.t.Helper()
	resp := reply[*kmsg.JoinGroupResponse](p.lab, ticket)
	if resp.ErrorCode != 0 {
		p.lab.t.Fatalf("joining %s: error %d", p.group, resp.ErrorCode)
	}
	p.id, p.generation, p.leader, p.members = resp.MemberID, resp.Generation, resp.LeaderID == resp.MemberID, nil
	for _, m := range resp.Members {
		p.members = append(p.members, m.MemberID)
	}
	return resp
}

// sync asks for the assignment; a leader gives every member its own id.
func (p *person) sync() uint64 {
	p.lab.t.Helper()
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 3, p.group, p.id, p.instanceID(), p.generation
	for _, m := range p.members {
		req.GroupAssignment = append(req.GroupAssignment,
			kmsg.SyncGroupRequestGroupAssignment{MemberID: m, MemberAssignment: []byte("for " + m)})
	}
	return p.lab.ask(req)
}

func (p *person) synced(ticket uint64) {
	p.lab.t.Helper()
	resp := reply[*kmsg.SyncGroupResponse](p.lab, ticket)
	if resp.ErrorCode != 0 {
		p.lab.t.Fatalf("syncing %s: error %d", p.group, resp.ErrorCode)
	}
	p.assigned = string(resp.MemberAssignment)
}

func (p *person) heartbeat() int16 {
	p.lab.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 3, p.group, p.id, p.instanceID(), p.generation
	return reply[*kmsg.HeartbeatResponse](p.lab, p.lab.ask(req)).ErrorCode
}

func (p *person) leave() int16 {
	p.lab.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = 1, p.group, p.id
	return reply[*kmsg.LeaveGroupResponse](p.lab, p.lab.ask(req)).ErrorCode
}

// commit commits one offset and returns its error.
func (p *person) commit(topic string, partition int32, offset int64) int16 {
	p.lab.t.Helper()
	return p.lab.commit(p.group, p.id, p.generation, p.instanceID(), topic, partition, offset)
}

func (l *lab) commit(group, member string, generation int32, instance *string, topic string, partition int32, offset int64) int16 {
	l.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 7, group, member, generation, instance
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset, part.LeaderEpoch, part.Metadata = partition, offset, 3, kmsg.StringPtr("note")
	req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{part}})
	resp := reply[*kmsg.OffsetCommitResponse](l, l.ask(req))
	return resp.Topics[0].Partitions[0].ErrorCode
}

// committed returns a group's committed offset of a partition.
func (l *lab) committed(group, topic string, partition int32) kmsg.OffsetFetchResponseTopicPartition {
	l.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, group
	req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: topic, Partitions: []int32{partition}})
	return reply[*kmsg.OffsetFetchResponse](l, l.ask(req)).Topics[0].Partitions[0]
}

func (l *lab) describe(group string) kmsg.DescribeGroupsResponseGroup {
	l.t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Version, req.Groups = 4, []string{group}
	return reply[*kmsg.DescribeGroupsResponse](l, l.ask(req)).Groups[0]
}

// form makes a stable group of n.
func (l *lab) form(group string, n int, change func(i int, p *person)) []*person {
	l.t.Helper()
	people := make([]*person, n)
	for i := range people {
		people[i] = l.person(group)
		if change != nil {
			change(i, people[i])
		}
	}
	l.settle(people...)
	return people
}

// settle lets people join until all are in one generation with an assignment.
func (l *lab) settle(people ...*person) {
	l.t.Helper()
	joins := make([]uint64, len(people))
	for i, p := range people {
		joins[i] = p.enter()
	}
	for range 10 {
		l.pass(l.c.config.InitialRebalanceDelay)
		again := false
		for i, p := range people {
			if resp, ok := l.replies[joins[i]].(*kmsg.JoinGroupResponse); ok {
				p.joined(joins[i])
				if p.generation != l.c.groups.get(p.group).generation || p.heartbeat() == 27 {
					joins[i], again = p.join(), true
				}
				_ = resp
			} else {
				again = true
			}
		}
		if !again {
			break
		}
	}
	syncs := make([]uint64, len(people))
	for i, p := range people {
		syncs[i] = p.sync()
	}
	for i, p := range people {
		p.synced(syncs[i])
		if p.assigned != "for "+p.id {
			l.t.Fatalf("%s is assigned %q", p.id, p.assigned)
		}
	}
	if state := l.describe(people[0].group).State; state != "Stable" {
		l.t.Fatalf("the group is %s", state)
	}
}

// state is a line about a group, to be compared.
func (l *lab) state(group string) string {
	g := l.describe(group)
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s %s:", g.State, g.ProtocolType, g.Protocol)
	for _, m := range g.Members {
		fmt.Fprintf(&s, " [%s %s %q %q]", m.MemberID, m.ClientHost, m.ProtocolMetadata, m.MemberAssignment)
	}
	return s.String()
}
