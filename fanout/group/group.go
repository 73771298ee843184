package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// State is a group's place in the drawing of the package's documentation.
type State uint8

// The states of a group.
const (
	Empty      State = iota // no members
	Preparing               // members have to join again
	Completing              // all have joined and wait for the leader's assignment
	Stable                  // all have their assignment
)

// String is the state's name in DescribeGroups, as tools know it.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// legal are the states that may follow each state. Restoring a group from the log begins in Empty or Stable.
var legal = [...][]State{
	Empty:      {Preparing},
	Preparing:  {Completing, Empty},
	Completing: {Preparing, Stable},
	Stable:     {Preparing},
}

func (g *group) become(next State) {
	if !slices.Contains(legal[g.state], next) {
		panic(fmt.Sprintf("group: %q goes from %v to %v", g.id, g.state, next))
	}
	g.state = next
}

// nextGeneration fences everything that members of the last generation still send.
func (g *group) nextGeneration() {
	if g.state != Preparing {
		panic(fmt.Sprintf("group: %q begins a generation in state %v, which has to be %v", g.id, g.state, Preparing))
	}
	g.generation++
}

// group is one consumer group.
type group struct {
	id           string
	state        State
	protocolType string // "consumer" for consumers, "connect" for Kafka Connect's workers; "" if it never had members
	protocol     string // the one chosen for this generation
	generation   int32
	leader       string

	list         list.List[*member] // in the order in which they joined
	members      table[string, *member]
	instances    table[string, *member]  // static members (KIP-345), by their instance id
	pending      table[string, *pending] // ids without a member yet (KIP-394)
	awaited      int                     // those of them that a rebalance waits for
	joining      int                     // members that wait in JoinGroup
	awaitingSync int                     // members that have joined and not sent SyncGroup
	support      table[string, int]      // members that support a protocol
	recordBytes  int64                   // of the members in the membership record

	phase     timer // the end of Preparing, or of the wait for SyncGroup
	gathering gathering

	offsets          table[topicPartition, *committed]
	commits          offsetList // the oldest first; those of deleted topics too
	explicit         int        // those with an expiry time that the client chose
	removed          bool
	emptySinceMillis int64
	expiry           timer

	log  *partitionLog
	live liveRecord
}

// mustExist guards the timers, which stop when the group is removed.
func (g *group) mustExist() {
	if g.removed {
		panic(fmt.Sprintf("group: a timer of %q fires after the group was removed", g.id))
	}
}

func newGroup(id string, now Instant) *group {
	g := &group{id: id, emptySinceMillis: now.UnixMillis}
	g.phase.owner = phaseEnd{g}
	g.expiry.owner = expiry{g}
	g.live.source = g
	return g
}

// persisted reports whether the group's membership is in the log.
func (g *group) persisted() bool { return g.live.log != nil }

// find is the member that a request names, or the error for its client.
func (g *group) find(memberID, instanceID string) (*member, int16) {
	m := g.members.get(memberID)
	if instanceID != "" {
		m = g.instances.get(instanceID)
	}
	switch {
	case m == nil:
		return nil, wire.CodeUnknownMemberID
	case m.id != memberID:
		mark.Hit("a fenced instance of a static member was refused")
		return nil, wire.CodeFencedInstanceID
	}
	return m, 0
}

// add makes m a member.
func (g *group) add(m *member) {
	g.list.PushBack(&m.link, m)
	g.members.put(m.id, m)
	g.countSupport(m, 1)
	if m.static() {
		g.instances.put(m.instanceID, m)
	}
}

// remove undoes add. A group without its leader elects one at the end of the rebalance that every removal begins.
func (g *group) remove(m *member) {
	m.link.Remove()
	g.members.remove(m.id)
	g.countSupport(m, -1)
	if m.static() {
		g.instances.remove(m.instanceID)
	}
	if g.leader == m.id {
		g.leader = ""
	}
}

// electLeader picks the first member that waits in JoinGroup, or the first of all. A leader that waits stays.
func (g *group) electLeader() {
	if m := g.members.get(g.leader); m != nil && m.join.waits {
		return
	}
	for m := range g.list.All() {
		if m.join.waits {
			g.leader = m.id
			return
		}
	}
	if g.members.get(g.leader) == nil && g.list.Len() > 0 {
		g.leader = g.list.First().Value().id
	}
}

// rebalanceTimeout is the longest of the members' timeouts.
func (g *group) rebalanceTimeout() (longest time.Duration) {
	for m := range g.list.All() {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// accepts reports whether a client shares the protocol type and a protocol with all members except one.
func (g *group) accepts(protocolType string, protocols []kmsg.JoinGroupRequestProtocol, except *member) bool {
	others := g.list.Len()
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

// vote is the protocol that most members prefer among those that all support. The leader's order decides a tie.
func (g *group) vote() string {
	votes := make(map[string]int)
	for m := range g.list.All() {
		for i := range m.protocols {
			if name := m.protocols[i].Name; g.support.get(name) == g.list.Len() {
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
