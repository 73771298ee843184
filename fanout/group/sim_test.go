package group

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The simulation lets members of one group join, leave, die, lose answers and come back, and the coordinator crash, in
// virtual time and from one seed. After every step no partition may be owned by two members of one generation, and no
// request may wait longer than its timeouts allow; when the churn ends, the group must be whole within its timeouts.
const (
	simMembers    = 50
	simPartitions = 100
	simChanges    = 200
	simSession    = 10 * time.Second
	simRebalance  = 5 * time.Second
	simHeartbeat  = 2 * time.Second
)

func TestSimulatedGroupNeverSharesAPartitionAndSettles(t *testing.T) {
	seen := make(map[string]int)
	for seed := range uint64(20) {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { newSimulation(t, seed, seen).run() }) {
			t.Fatalf("to see it again: go test ./fanout/group -run 'TestSimulatedGroup/seed=%d$'", seed)
		}
	}
	for _, what := range []string{"join", "leave", "kill", "restart as the same instance", "lost answer", "crash", "pause",
		"refused commit", "rebalance", "closed connection", "deleted topic", "deleted group"} {
		if seen[what] < 10 {
			t.Errorf("there was too little of %q: %v", what, seen)
		}
	}
	t.Log(seen)
}

type simulation struct {
	*lab
	random  *rand.Rand
	members []*simMember
	waiting map[uint64]*simMember
	asked   map[uint64]time.Duration
	owners  map[int32]map[int]string // generation and partition to the member that owned it
	seen    map[string]int           // what happened, so that an empty run does not pass for a good one
	names   int
	calm    bool // no more answers are lost
}

// simMember is a client. Its next deed is due at next.
type simMember struct {
	id, instance string
	generation   int32
	owned        []int
	stable       bool // it has its assignment
	ticket       uint64
	next         time.Duration
	gone         bool
}

func newSimulation(t *testing.T, seed uint64, seen map[string]int) *simulation {
	s := &simulation{
		lab: newLab(t, func(c *Config) {
			c.InitialRebalanceDelay = 50 * time.Millisecond
			c.MaxMembers = 10 * simMembers
			c.MemoryBytes = 16 << 20
		}),
		random:  rand.New(rand.NewPCG(seed, 1)),
		waiting: make(map[uint64]*simMember),
		asked:   make(map[uint64]time.Duration),
		owners:  make(map[int32]map[int]string),
		seen:    seen,
	}
	for range simMembers {
		s.arrive()
	}
	return s
}

func (s *simulation) arrive() {
	s.names++
	m := &simMember{next: s.now.Monotonic + s.upTo(200*time.Millisecond)}
	if s.random.IntN(4) == 0 {
		m.instance = fmt.Sprintf("instance-%d", s.names)
	}
	s.members = append(s.members, m)
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)))
}

func (s *simulation) run() {
	for range simChanges {
		s.until(s.now.Monotonic + s.upTo(time.Second))
		s.change()
		s.offsets()
	}
	// The churn is over. A member that died in the last moment has its session, the others then a rebalance, in which
	// they hear of it by their heartbeat; a paused one wakes after two sessions, and joins again.
	s.random = rand.New(rand.NewPCG(0, 0))
	s.calm = true
	s.until(s.now.Monotonic + simSession + restartGrace + 3*simRebalance + 2*simHeartbeat + 2*simSession)
	s.checkWhole()
	if len(s.asked) != 0 {
		s.t.Fatalf("%d requests were never answered", len(s.asked))
	}
}

// offsets commits, and deletes what was committed, besides what the members do.
func (s *simulation) offsets() {
	topic, other := fmt.Sprintf("t%d", s.random.IntN(3)), fmt.Sprintf("g%d", s.random.IntN(3))
	switch s.random.IntN(8) {
	case 0:
		s.seen["deleted topic"]++
		s.c.TopicDeleted(s.now, topic)
	case 1:
		s.seen["deleted group"]++
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Version, req.Groups = 1, []string{other}
		s.ask(req)
	default:
		s.commitMany(other, topic, 1+s.random.IntN(20))
	}
	s.deliver()
}

// until plays all that is due up to a time, in the order of time.
func (s *simulation) until(end time.Duration) {
	for {
		var first *simMember
		for _, m := range s.members {
			if !m.gone && m.next <= end && (first == nil || m.next < first.next) {
				first = m
			}
		}
		at, ok := s.c.Next()
		switch {
		case ok && at <= end && (first == nil || at <= first.next):
			s.set(max(at, s.now.Monotonic))
			s.c.Advance(s.now)
		case first != nil:
			s.set(max(first.next, s.now.Monotonic))
			s.act(first)
		default:
			s.set(end)
			return
		}
		s.deliver()
	}
}

// change is one of the group's misfortunes.
func (s *simulation) change() {
	alive := s.alive()
	m := alive[s.random.IntN(len(alive))]
	switch n := s.random.IntN(10); {
	case n < 4 && len(alive) < simMembers+20 || len(alive) < simMembers/2:
		s.seen["join"]++
		s.arrive()
	case n < 6:
		s.seen["leave"]++
		m.gone = true
		delete(s.waiting, m.ticket)
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group = 3, "g"
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id, InstanceID: stringOrNull(m.instance)}}
		s.ask(req)
	case n < 9:
		s.seen["kill"]++
		m.gone = true
		delete(s.waiting, m.ticket)
		if s.random.IntN(2) == 0 {
			s.seen["closed connection"]++
			s.c.Disconnected(s.now, m.ticket)
		}
		if m.instance != "" && s.random.IntN(2) == 0 {
			s.seen["restart as the same instance"]++
			s.members = append(s.members, &simMember{instance: m.instance, next: s.now.Monotonic + s.upTo(3*time.Second)})
		}
	case n < 10 && s.random.IntN(2) == 0:
		s.seen["pause"]++ // of a client that is stopped for longer than its session, and does not know
		m.next = s.now.Monotonic + simSession + s.upTo(simSession)
	default:
		s.seen["crash"]++
		// What waited is answered by nobody: the connections are gone, and the clients ask again.
		for _, m := range s.members {
			if s.waiting[m.ticket] == m {
				delete(s.waiting, m.ticket)
				m.next = s.now.Monotonic + s.upTo(500*time.Millisecond)
			}
		}
		clear(s.asked)
		s.restart()
	}
	s.deliver()
}

func (s *simulation) alive() (all []*simMember) {
	for _, m := range s.members {
		if !m.gone {
			all = append(all, m)
		}
	}
	return all
}

// act makes a client that is not waiting heartbeat or join.
func (s *simulation) act(m *simMember) {
	m.next = 1 << 62
	if m.stable {
		s.checkCommit(m)
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 3, "g", m.id, m.generation, stringOrNull(m.instance)
		s.sent(m, s.ask(req))
		return
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = 5, "g", m.id, stringOrNull(m.instance)
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(simSession.Milliseconds()), int32(simRebalance.Milliseconds())
	req.ProtocolType, req.Protocols = "consumer", subscribed("t")
	s.sent(m, s.ask(req))
}

// checkCommit commits as the member believes itself to be: that must fail if the group went on without it.
func (s *simulation) checkCommit(m *simMember) {
	s.tickets++
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 7, "g", m.id, m.generation, stringOrNull(m.instance)
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
	s.c.OffsetCommit(s.now, Client{Ticket: s.tickets}, req)
	s.collect()
	resp := s.replies[s.tickets].(*kmsg.OffsetCommitResponse)
	delete(s.replies, s.tickets)
	if code := resp.Topics[0].Partitions[0].ErrorCode; code == 0 && m.generation != s.c.groups.get("g").generation {
		s.t.Fatalf("generation %d commits, the group has %d", m.generation, s.c.groups.get("g").generation)
	} else if code != 0 {
		s.seen["refused commit"]++
	}
}

func (s *simulation) sent(m *simMember, ticket uint64) {
	m.ticket = ticket
	s.waiting[ticket] = m
	s.asked[ticket] = s.now.Monotonic
}

// deliver hands answers to their clients, in the order in which they were asked.
func (s *simulation) deliver() {
	s.collect()
	for len(s.replies) > 0 {
		tickets := make([]uint64, 0, len(s.replies))
		for ticket := range s.replies {
			tickets = append(tickets, ticket)
		}
		slices.Sort(tickets)
		for _, ticket := range tickets {
			resp := s.replies[ticket]
			delete(s.replies, ticket)
			if waited := s.now.Monotonic - s.asked[ticket]; s.waiting[ticket] != nil && waited > 2*simRebalance+time.Second {
				s.t.Fatalf("a %T waited for %v", resp, waited)
			}
			delete(s.asked, ticket)
			if m := s.waiting[ticket]; m != nil {
				delete(s.waiting, ticket)
				s.answer(m, resp)
			}
		}
		s.collect()
	}
	s.checkAnswered()
}

func (s *simulation) answer(m *simMember, resp kmsg.Response) {
	if !s.calm && s.random.IntN(50) == 0 {
		s.seen["lost answer"]++
		m.stable, m.next = false, s.now.Monotonic+time.Second
		return
	}
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		s.joined(m, r)
	case *kmsg.SyncGroupResponse:
		if s.retry(m, r.ErrorCode) {
			return
		}
		s.own(m, r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		if !s.retry(m, r.ErrorCode) {
			m.next = s.now.Monotonic + simHeartbeat
		}
	}
}

// retry deals with an error as clients do: it joins again, as the same or, if it is not known any more, as another.
func (s *simulation) retry(m *simMember, code int16) bool {
	switch code {
	case 0:
		return false
	case 25:
		m.id = ""
	case 82:
		s.seen["fenced"]++
		m.gone = true // another has taken its place
	case 22, 27, 79:
	default:
		s.t.Fatalf("member %s is told error %d", m.id, code)
	}
	m.stable, m.owned, m.next = false, nil, s.now.Monotonic+s.upTo(100*time.Millisecond)
	return true
}

func (s *simulation) joined(m *simMember, r *kmsg.JoinGroupResponse) {
	if r.ErrorCode == 79 {
		m.id = r.MemberID
	}
	if s.retry(m, r.ErrorCode) {
		return
	}
	m.id, m.generation = r.MemberID, r.Generation
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 3, "g", m.id, m.generation, stringOrNull(m.instance)
	if r.LeaderID == r.MemberID {
		s.seen["rebalance"]++
		for i, other := range r.Members {
			var assignment []byte
			for p := i; p < simPartitions; p += len(r.Members) {
				assignment = binary.BigEndian.AppendUint32(assignment, uint32(p))
			}
			req.GroupAssignment = append(req.GroupAssignment,
				kmsg.SyncGroupRequestGroupAssignment{MemberID: other.MemberID, MemberAssignment: assignment})
		}
	}
	s.sent(m, s.ask(req))
}

// own checks that nobody else was given one of the partitions in this generation. A static member may be given those of
// the instance whose place it takes.
func (s *simulation) own(m *simMember, assignment []byte) {
	owners := s.owners[m.generation]
	if owners == nil {
		owners = make(map[int]string)
		s.owners[m.generation] = owners
	}
	name := m.id
	if m.instance != "" {
		name = m.instance
	}
	m.stable, m.owned, m.next = true, nil, s.now.Monotonic+simHeartbeat
	for ; len(assignment) > 0; assignment = assignment[4:] {
		p := int(binary.BigEndian.Uint32(assignment))
		if other, taken := owners[p]; taken && other != name {
			s.t.Fatalf("generation %d: partition %d is owned by %s and by %s", m.generation, p, other, name)
		}
		owners[p] = name
		m.owned = append(m.owned, p)
	}
}

// checkWhole checks that all who live share all partitions in one generation.
func (s *simulation) checkWhole() {
	s.t.Helper()
	g := s.c.groups.get("g")
	var all []int
	alive := s.alive()
	for _, m := range alive {
		if !m.stable || m.generation != g.generation {
			s.t.Fatalf("member %s: stable %v, generation %d, the group has %d and is %v", m.id, m.stable, m.generation, g.generation, g.state)
		}
		all = append(all, m.owned...)
	}
	slices.Sort(all)
	if len(all) != simPartitions || len(slices.Compact(all)) != simPartitions || g.list.Len() != len(alive) || g.state != Stable {
		s.t.Fatalf("%d partitions are owned by %d members; the group is %v with %d", len(all), len(alive), g.state, g.list.Len())
	}
}
