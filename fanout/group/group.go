package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// State is where a group is; see the drawing in the package's documentation.
type State uint8

// The states of a group.
const (
	Empty      State = iota // no members
	Preparing               // members have been told to join again, and are waited for
	Completing              // all have joined, and wait for the leader's assignment
	Stable                  // all have their assignment
)

// String is the state's name in DescribeGroups, as tools know it.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// What a group and a member take in memory beside the bytes that clients send: the structures, their map entries, and
// the timers. Measured, and rounded up.
const (
	groupBytes  = 640
	memberBytes = 640
)

// group is one consumer group.
type group struct {
	id           string
	state        State
	protocolType string // "consumer" for consumers, "connect" for Kafka Connect's workers; "" if it never had members
	protocol     string // the one chosen for this generation
	generation   int32
	leader       string

	list      []*member // in the order in which they joined
	members   map[string]*member
	instances map[string]*member  // static members (KIP-345), by their instance id
	pending   map[string]*pending // ids that were handed out and not joined with yet (KIP-394)
	joining   int                 // members that wait in JoinGroup
	owing     int                 // members that have not come for their assignment
	support   map[string]int      // members that support a protocol

	phase timer // the end of Preparing, or of the wait for SyncGroup
	// While an empty group waits for more than its first member, initialUntil is when it stops waiting at the latest,
	// and grew says that one has come since the wait began.
	initial      bool
	grew         bool
	initialUntil time.Duration

	offsets          map[place]*committed
	emptySinceMillis int64
	expiry           timer

	trail *trail
	node  node
}

func newGroup(id string, now Instant) *group {
	g := &group{id: id, emptySinceMillis: now.UnixMillis, support: make(map[string]int)}
	g.phase.owner = phaseEnd{g}
	g.expiry.owner = expiry{g}
	g.node.kept = g
	return g
}

// kept says that the group's membership is in the log.
func (g *group) kept() bool { return g.node.linked() }

// find is the member that a request speaks of, or the error that its client understands.
func (g *group) find(memberID string, instanceID *string) (*member, int16) {
	if instanceID != nil {
		switch m := g.instances[*instanceID]; {
		case m == nil:
			return nil, wire.CodeUnknownMemberID
		case m.id != memberID:
			return nil, wire.CodeFencedInstanceID
		default:
			return m, 0
		}
	}
	if m := g.members[memberID]; m != nil {
		return m, 0
	}
	return nil, wire.CodeUnknownMemberID
}

// add makes m a member.
func (g *group) add(m *member) {
	if g.members == nil {
		g.members = make(map[string]*member)
	}
	g.list = append(g.list, m)
	g.members[m.id] = m
	g.countSupport(m, 1)
	if m.static() {
		if g.instances == nil {
			g.instances = make(map[string]*member)
		}
		g.instances[m.instanceID] = m
	}
	if g.leader == "" {
		g.leader = m.id
	}
}

// remove undoes add. If m was the leader, another is: one that has joined already, if there is one.
func (g *group) remove(m *member) {
	g.list = slices.DeleteFunc(g.list, func(other *member) bool { return other == m })
	delete(g.members, m.id)
	g.countSupport(m, -1)
	if m.static() {
		delete(g.instances, m.instanceID)
	}
	if g.leader == m.id {
		g.leader = ""
		g.electLeader()
	}
}

// electLeader makes the first member that waits in JoinGroup the leader, or the first of all. A leader that waits stays.
func (g *group) electLeader() {
	if m := g.members[g.leader]; m != nil && m.join.waits {
		return
	}
	for _, m := range g.list {
		if m.join.waits {
			g.leader = m.id
			return
		}
	}
	if g.members[g.leader] == nil && len(g.list) > 0 {
		g.leader = g.list[0].id
	}
}

// rebalanceTimeout is the longest that any member asks to be waited for.
func (g *group) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.list {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// accepts says whether a client with these protocols can be a member beside those that there are.
func (g *group) accepts(protocolType string, protocols []kmsg.JoinGroupRequestProtocol, except *member) bool {
	others := len(g.list)
	if except != nil {
		others--
	}
	if others <= 0 {
		return true
	}
	if g.protocolType != protocolType {
		return false
	}
	for i := range protocols {
		supporters := g.support[protocols[i].Name]
		if except != nil && except.supports(protocols[i].Name) {
			supporters--
		}
		if supporters == others {
			return true
		}
	}
	return false
}

// countSupport adds by to the count of each protocol that m supports.
func (g *group) countSupport(m *member, by int) {
	for i := range m.protocols {
		name := m.protocols[i].Name
		if first := slices.IndexFunc(m.protocols, named(name)); first != i {
			continue // it is named twice
		}
		if g.support[name] += by; g.support[name] == 0 {
			delete(g.support, name)
		}
	}
}

// vote is the protocol that most members like best among those that all support. The leader's order decides a tie, so
// that the outcome does not hang on the order of a map.
func (g *group) vote() string {
	votes := make(map[string]int)
	for _, m := range g.list {
		for i := range m.protocols {
			if name := m.protocols[i].Name; g.support[name] == len(g.list) {
				votes[name]++
				break
			}
		}
	}
	best := ""
	leader := g.members[g.leader]
	for i := range leader.protocols {
		if name := leader.protocols[i].Name; votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// subscribed says whether a member reads a topic. Groups that are not of consumers have no topics.
func (g *group) subscribed(topic string) bool {
	for _, m := range g.list {
		if slices.Contains(m.topics(g.protocol), topic) {
			return true
		}
	}
	return false
}
