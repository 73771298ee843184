package group

import (
	"cmp"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// Config bounds the work and the memory that clients can cause.
type Config struct {
	// MinSessionTimeout and MaxSessionTimeout bound the session timeout that a member may request.
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// InitialRebalanceDelay is the time that an empty group waits for another member after each that joins, up to the rebalance
	// timeout (KIP-134). A member that is alone waits for LoneMemberDelay only.
	InitialRebalanceDelay, LoneMemberDelay time.Duration
	// OffsetsRetention is the time that offsets are kept after the last member left the group, or after the commit if the group
	// never had members.
	OffsetsRetention time.Duration
	// MaxGroups bounds the groups, MaxMembers the members of one group.
	MaxGroups, MaxMembers int
	// MaxMetadataBytes bounds the text that comes with one committed offset.
	MaxMetadataBytes int
	// MemoryBytes bounds the memory of all groups together: members with their subscriptions and assignments, pending ids,
	// offsets.
	MemoryBytes int64
	// MaxRecordBytes bounds the record of one group's membership, so that the log can take it; 0 for no bound.
	MaxRecordBytes int64
	// MaxReplyBytes bounds a reply that can be larger than its request; 0 for no bound.
	MaxReplyBytes int64
	// NewMemberID makes a unique member id.
	NewMemberID func(clientID string) string
	// PartitionExists reports whether offsets of a partition may be committed. Nil allows all.
	PartitionExists func(topic string, partition int32) bool
}

// Instant is the time on two clocks: the monotonic one for deadlines, the wall clock for timestamps in the log.
type Instant struct {
	Monotonic  time.Duration
	UnixMillis int64
}

// Client is the origin of a request.
type Client struct {
	// Ticket comes back in the [Reply]. The coordinator does not look at it.
	Ticket uint64
	// Tools show ID and Host of a member.
	ID, Host string
}

// Reply answers the request that came with the same ticket.
type Reply struct {
	Ticket   uint64
	Response kmsg.Response
	// Durable: the response must not be sent before the records of the same [Output] and of earlier ones are
	// durable. If its own were lost ([Coordinator.WasLost]), Refuse makes it an error.
	Durable bool

	first, last uint64 // its records, by their numbers
	reaped      uint64 // the lists of offsets that have to be reaped before
}

// Coordinator is the state of all groups. It belongs to one thread.
type Coordinator struct {
	config Config
	groups table[string, *group]
	// present are the connections, by ticket, that hold pending ids or a first JoinGroup.
	present     table[uint64, *presence]
	timers      timers
	logs        []partitionLog
	refusedLogs int
	topics      table[string, *topicOffsets]
	reaper      reaper
	scan        scan
	queue       queue
	budget      *budget.Budget
	counts      Counts
	steps       steps
	work        int // of steps.advance
}

// Counts describe a coordinator.
type Counts struct {
	Groups      int    `json:"groups" metric:"groups" help:"Consumer groups."`
	Members     int    `json:"members" metric:"group_members" help:"Members of consumer groups."`
	Offsets     int    `json:"offsets" metric:"group_offsets" help:"Offsets that consumer groups have committed."`
	MemoryBytes int64  `json:"memory_bytes" metric:"group_memory_bytes" help:"Memory of consumer groups, of --group-memory."`
	Rebalances  uint64 `json:"rebalances" metric:"group_rebalances_total" help:"Rebalances begun."`
	Expired     uint64 `json:"expired_members" metric:"group_members_expired_total" help:"Members removed because they were silent, or did not come for their assignment."`
	Refused     uint64 `json:"refused" metric:"group_requests_refused_total" help:"Requests refused by --max-groups, --max-group-members or --group-memory."`
}

// New makes a coordinator without groups, whose records go to the given number of partitions (at least 1).
func New(config Config, partitions int) *Coordinator {
	c := &Coordinator{config: config, budget: budget.New("group", "raise --group-memory", config.MemoryBytes), steps: defaultSteps,
		logs: make([]partitionLog, partitions)}
	for i := range c.logs {
		c.logs[i].partition = int32(i)
	}
	c.reaper.timer.owner = &c.reaper
	return c
}

// Counts describes the coordinator as it is.
func (c *Coordinator) Counts() Counts {
	n := c.counts
	n.Groups, n.MemoryBytes = c.groups.len(), c.budget.Used()
	return n
}

// Next is the time at which [Coordinator.Advance] has something to do. ok is false if there is no such time.
func (c *Coordinator) Next() (at time.Duration, ok bool) { return c.timers.next() }

// Advance runs due work: it removes silent members, ends rebalances and expires offsets. Work beyond the bounds of one call
// stays due: see [Coordinator.Next].
func (c *Coordinator) Advance(now Instant) {
	for c.work = 0; c.work < c.steps.advance; c.work++ {
		t := c.timers.due(now.Monotonic)
		if t == nil {
			return
		}
		c.timers.stop(t)
		t.owner.fire(c, now)
	}
}

// Shutdown answers every waiting request with an error that makes its client look for a coordinator again.
func (c *Coordinator) Shutdown() {
	for _, g := range c.groups.all {
		for m := range g.list.All() {
			mark.HitIf(m.join.waits || m.sync.waits, "a member waited for a rebalance when the server stopped")
			c.answerJoin(g, m, wire.CodeCoordinatorNotAvailable, m.id)
			c.answerSync(m, wire.CodeCoordinatorNotAvailable)
		}
	}
}

// maxGroupIDBytes bounds a group's name, which is part of each of its records. Apache Kafka's bound is the protocol's,
// 32 KiB.
const maxGroupIDBytes = 255

// checkGroup is the error of any request for a group, or 0. Old clients may commit to the group with the empty name.
func (c *Coordinator) checkGroup(id string, mayBeEmpty bool) int16 {
	if len(id) > maxGroupIDBytes || id == "" && !mayBeEmpty {
		return wire.CodeInvalidGroupID
	}
	return c.refusal(id)
}

// addGroup makes a group, or returns nil and the error if there are too many.
func (c *Coordinator) addGroup(id string, now Instant) (*group, int16) {
	g := newGroup(id, now)
	if c.groups.len() >= c.config.MaxGroups || !take(c.budget, g.bytes()) {
		mark.Hit("a group was refused, there are too many")
		return nil, c.counts.refused(wire.CodePolicyViolation)
	}
	g.log = c.logOf(id)
	if g.log.refused {
		panic(fmt.Sprintf("group: %q is made in partition %d, which is refused", id, g.log.partition))
	}
	c.groups.put(id, g)
	return g, 0
}

// removeGroup forgets a group without members. Its offsets are reaped over time.
func (c *Coordinator) removeGroup(now Instant, g *group) {
	if g.removed || g.list.Len() > 0 {
		panic(fmt.Sprintf("group: %q is removed with %d members, removed before: %v", g.id, g.list.Len(), g.removed))
	}
	for _, p := range g.pending.all {
		c.forgetPending(p)
	}
	c.timers.stop(&g.phase)
	c.timers.stop(&g.expiry)
	c.groups.remove(g.id)
	g.removed, g.offsets = true, table[topicPartition, *committed]{}
	c.endScan(g)
	if g.persisted() {
		c.tombstone(&g.live)
	} else {
		c.budget.Give(g.bytes())
	}
	if g.commits.Len() > 0 {
		c.reapLater(now, &g.commits)
	}
}

// Refuse turns a durable reply into the error for lost records, which clients retry.
func (r *Reply) Refuse() {
	const code = wire.CodeCoordinatorNotAvailable
	switch resp := r.Response.(type) {
	case *kmsg.OffsetCommitResponse:
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				p.ErrorCode = cmp.Or(p.ErrorCode, code)
			}
		}
	case *kmsg.OffsetDeleteResponse:
		resp.ErrorCode = code
	case *kmsg.DeleteGroupsResponse:
		for i := range resp.Groups {
			resp.Groups[i].ErrorCode = cmp.Or(resp.Groups[i].ErrorCode, code)
		}
	}
}
