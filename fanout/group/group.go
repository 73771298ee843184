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

// group is one consumer group.
type group struct {
	id           string
	state        State
	protocolType string // "consumer" for consumers, "connect" for Kafka Connect's workers; "" if it never had members
	protocol     string // the one chosen for this generation
	generation   int32
	leader       string

	list      memberList
	members   table[string, *member]
	instances table[string, *member]  // static members (KIP-345), by their instance id
	pending   table[string, *pending] // ids that were handed out and not joined with yet (KIP-394)
	awaited   int                     // those of them that a rebalance waits for
	joining   int                     // members that wait in JoinGroup
	owing     int                     // members that have not come for their assignment
	support   table[string, int]      // members that support a protocol
	record    int64                   // bytes that the members take in the record of the membership

	phase     timer // the end of Preparing, or of the wait for SyncGroup
	gathering gathering

	offsets          table[place, *committed]
	commits          offsetList // the same, and those of topics that are being forgotten
	explicit         int        // those of them whose client said when they expire
	gone             bool       // the group was removed
	emptySinceMillis int64
	expiry           timer

	trail *trail
	node  node
}

func newGroup(id string, now Instant) *group {
	g := &group{id: id, emptySinceMillis: now.UnixMillis}
	g.phase.owner = phaseEnd{g}
	g.expiry.owner = expiry{g}
	g.commits.which = byGroup
	g.node.kept = g
	return g
}

// kept says that the group's membership is in the log.
func (g *group) kept() bool { return g.node.linked() }

// find is the member that a request speaks of, or the error that its client understands.
func (g *group) find(memberID string, instanceID *string) (*member, int16) {
	if instanceID != nil {
		switch m := g.instances.get(*instanceID); {
		case m == nil:
			return nil, wire.CodeUnknownMemberID
		case m.id != memberID:
			return nil, wire.CodeFencedInstanceID
		default:
			return m, 0
		}
	}
	if m := g.members.get(memberID); m != nil {
		return m, 0
	}
	return nil, wire.CodeUnknownMemberID
}

// add makes m a member.
func (g *group) add(m *member) {
	g.list.push(m)
	g.members.put(m.id, m)
	g.countSupport(m, 1)
	if m.static() {
		g.instances.put(m.instanceID, m)
	}
}

// remove undoes add. If m was the leader there is none until the end of the rebalance, which every removal begins.
func (g *group) remove(m *member) {
	g.list.remove(m)
	g.members.remove(m.id)
	g.countSupport(m, -1)
	if m.static() {
		g.instances.remove(m.instanceID)
	}
	if g.leader == m.id {
		g.leader = ""
	}
}

// electLeader makes the first member that waits in JoinGroup the leader, or the first of all. A leader that waits stays.
func (g *group) electLeader() {
	if m := g.members.get(g.leader); m != nil && m.join.waits {
		return
	}
	for m := range g.list.all() {
		if m.join.waits {
			g.leader = m.id
			return
		}
	}
	if g.members.get(g.leader) == nil && g.list.n > 0 {
		g.leader = g.list.first.id
	}
}

// rebalanceTimeout is the longest that any member asks to be waited for.
func (g *group) rebalanceTimeout() (longest time.Duration) {
	for m := range g.list.all() {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// accepts says whether a client with these protocols can be a member beside those that there are.
func (g *group) accepts(protocolType string, protocols []kmsg.JoinGroupRequestProtocol, except *member) bool {
	others := g.list.n
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
		supporters := g.support.get(protocols[i].Name)
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
		if n := g.support.get(name) + by; n != 0 {
			g.support.put(name, n)
		} else {
			g.support.remove(name)
		}
	}
}

// vote is the protocol that most members like best among those that all support. The leader's order decides a tie, so
// that the outcome does not hang on the order of a map.
func (g *group) vote() string {
	votes := make(map[string]int)
	for m := range g.list.all() {
		for i := range m.protocols {
			if name := m.protocols[i].Name; g.support.get(name) == g.list.n {
				votes[name]++
				break
			}
		}
	}
	best := ""
	leader := g.members.get(g.leader)
	for i := range leader.protocols {
		if name := leader.protocols[i].Name; votes[name] > votes[best] {
			best = name
		}
	}
	return best
}
