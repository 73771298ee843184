package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// Config bounds what clients can make the coordinator do and hold.
type Config struct {
	// MinSessionTimeout and MaxSessionTimeout bound how long a member may ask to be silent.
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// InitialRebalanceDelay is how long an empty group waits for more members after its first one, and again after
	// each further one, up to the rebalance timeout (KIP-134). A member that stays alone for LoneMemberDelay waits no
	// longer than that.
	InitialRebalanceDelay, LoneMemberDelay time.Duration
	// OffsetsRetention is how long offsets are kept after the group was left by its last member, or, of groups that
	// never had one, after the commit.
	OffsetsRetention time.Duration
	// MaxGroups bounds the groups, MaxMembers the members of one group.
	MaxGroups, MaxMembers int
	// MaxMetadataBytes bounds the text that comes with one committed offset.
	MaxMetadataBytes int
	// MemoryBytes bounds what all groups hold together: members with their subscriptions and assignments, ids that were
	// handed out, offsets.
	MemoryBytes int64
	// MaxRecordBytes bounds the record of one group's membership, so that the log can take it; 0 for no bound.
	MaxRecordBytes int64
	// MaxReplyBytes bounds a reply that can be larger than its request; 0 for no bound.
	MaxReplyBytes int64
	// NewMemberID makes a member id that was never made before.
	NewMemberID func(clientID string) string
	// PartitionExists says whether offsets of a partition may be committed. Nil allows all.
	PartitionExists func(topic string, partition int32) bool
}

// Instant is the time, on both clocks that matter: deadlines follow the one that never jumps, and what is kept on disk
// is compared with the one that outlives the process.
type Instant struct {
	Monotonic  time.Duration
	UnixMillis int64
}

// Client is where a request came from.
type Client struct {
	// Ticket comes back in the [Reply]. The coordinator does not look at it.
	Ticket uint64
	// ID and Host are what tools show of a member.
	ID, Host string
}

// Reply answers the request that came with the same ticket.
type Reply struct {
	Ticket   uint64
	Response kmsg.Response
	// Durable says that the response must not be sent before the records of the same [Output], and those of earlier
	// ones, are kept. If its own could not be ([Coordinator.WasLost]), Refuse turns it into what the client has to be told.
	Durable bool

	first, last uint64 // its records, by their numbers
	buried      uint64 // and the list of offsets that has to be forgotten before
}

// Coordinator is the state of all groups. It belongs to one thread.
type Coordinator struct {
	config Config
	groups table[string, *group]
	// present are the connections, by ticket, that something has to be forgotten for when they are closed.
	present table[uint64, *presence]
	timers  timers
	trails  []trail
	// refusedTrails counts those that are refused.
	refusedTrails int
	topics        table[string, *topicOffsets]
	graves        graves
	scan          scan
	queue         queue
	budget        budget
	counts        Counts
	steps         steps
	work          int // of steps.advance
}

// Counts describe a coordinator.
type Counts struct {
	Groups  int
	Members int
	Offsets int
	// MemoryBytes is what they hold, of Config.MemoryBytes.
	MemoryBytes int64
	// Rebalances counts generations that were begun, Expired members that were silent for too long, Refused what did
	// not fit the limits.
	Rebalances, Expired, Refused uint64
}

// New makes a coordinator without groups, whose records go to the given number of partitions (at least 1).
func New(config Config, partitions int) *Coordinator {
	c := &Coordinator{config: config, budget: budget{limit: config.MemoryBytes}, steps: defaultSteps, trails: make([]trail, partitions)}
	for i := range c.trails {
		c.trails[i].partition = int32(i)
	}
	c.graves.timer.owner = &c.graves
	return c
}

// Counts describe the coordinator as it is.
func (c *Coordinator) Counts() Counts {
	n := c.counts
	n.Groups, n.MemoryBytes = c.groups.len(), c.budget.used
	return n
}

// Next is the time at which [Coordinator.Advance] has something to do. ok is false if there is no such time.
func (c *Coordinator) Next() (at time.Duration, ok bool) { return c.timers.next() }

// Advance does what is due: members that were silent are removed, rebalances end, offsets expire. What is too much for
// once stays due: see [Coordinator.Next].
func (c *Coordinator) Advance(now Instant) {
	for c.work = 0; c.work < c.steps.advance; c.work++ {
		at, ok := c.timers.next()
		if !ok || at > now.Monotonic {
			return
		}
		t := c.timers[0]
		c.timers.stop(t)
		t.owner.fire(c, now)
	}
}

// Shutdown answers every request that waits, so that its client looks for a coordinator again.
func (c *Coordinator) Shutdown() {
	for _, g := range c.groups.all {
		for m := range g.list.all() {
			c.answerJoin(g, m, wire.CodeCoordinatorNotAvailable)
			c.answerSync(m, wire.CodeCoordinatorNotAvailable)
		}
	}
}

// maxGroupIDBytes bounds a group's name. Apache Kafka has no limit but that of the protocol, 32 KiB; a name is part of
// every record that is kept of the group.
const maxGroupIDBytes = 255

// checkGroupID is the error of a group's name, or 0. Old clients may commit to the group without a name.
func checkGroupID(id string, mayBeEmpty bool) int16 {
	if len(id) > maxGroupIDBytes || id == "" && !mayBeEmpty {
		return wire.CodeInvalidGroupID
	}
	return 0
}

// addGroup makes a group, or returns nil and the error if there are too many.
func (c *Coordinator) addGroup(id string, now Instant) (*group, int16) {
	g := newGroup(id, now)
	if c.groups.len() >= c.config.MaxGroups || !c.budget.take(g.bytes()) {
		c.counts.Refused++
		return nil, wire.CodePolicyViolation
	}
	g.trail = c.trailOf(id)
	if g.trail.refused {
		panic("group: a group of a refused partition is made: " + id)
	}
	c.groups.put(id, g)
	return g, 0
}

// removeGroup forgets a group that has no members. The work for its offsets is spread over time.
func (c *Coordinator) removeGroup(now Instant, g *group) {
	for _, p := range g.pending.all {
		c.forgetPending(p)
	}
	c.timers.stop(&g.phase)
	c.timers.stop(&g.expiry)
	c.groups.remove(g.id)
	g.gone, g.offsets = true, table[place, *committed]{}
	c.endScan(g)
	if g.kept() {
		c.tombstone(&g.node)
	} else {
		c.budget.give(g.bytes())
	}
	if g.commits.n > 0 {
		c.bury(now, &g.commits)
	}
}

// Refuse turns a durable reply into what its client has to be told when the records could not be kept. Clients try
// again by themselves.
func (r *Reply) Refuse() {
	const code = wire.CodeCoordinatorNotAvailable
	switch resp := r.Response.(type) {
	case *kmsg.OffsetCommitResponse:
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = code
				}
			}
		}
	case *kmsg.OffsetDeleteResponse:
		resp.ErrorCode = code
	case *kmsg.DeleteGroupsResponse:
		for i := range resp.Groups {
			if g := &resp.Groups[i]; g.ErrorCode == 0 {
				g.ErrorCode = code
			}
		}
	}
}
