package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// consumerProtocol is the protocol type of consumers, as against that of Kafka Connect's workers and others.
const consumerProtocol = "consumer"

// waiter is a request that is answered later.
type waiter struct {
	waits   bool
	ticket  uint64
	version int16
}

// take ends the wait of a request that is to be answered now.
func (w *waiter) take() waiter {
	if !w.waits {
		panic("group: a request is answered that does not wait")
	}
	waited := *w
	*w = waiter{}
	return waited
}

// member is one member of one group.
type member struct {
	group      *group
	id         string
	instanceID string // "" for one that is not static
	clientID   string
	clientHost string

	sessionTimeout, rebalanceTimeout time.Duration
	// aliveUntil is the time at which a silent member is removed.
	aliveUntil time.Duration
	session    timer

	protocols  []kmsg.JoinGroupRequestProtocol // in the order of preference
	assignment []byte

	join, sync waiter
	// joinedOnce: it has been in a generation. Before that it is forgotten with its connection, whose ticket is
	// bound; see presence.
	joinedOnce bool
	bound      uint64
	// awaitingSync: it has joined this generation and has not sent SyncGroup.
	awaitingSync bool

	link list.Node[*member]
}

func (m *member) static() bool { return m.instanceID != "" }

func (m *member) supports(protocol string) bool {
	return slices.ContainsFunc(m.protocols, named(protocol))
}

func named(protocol string) func(kmsg.JoinGroupRequestProtocol) bool {
	return func(p kmsg.JoinGroupRequestProtocol) bool { return p.Name == protocol }
}

// metadata is the member's metadata for a protocol: for consumers, the subscription.
func (m *member) metadata(protocol string) []byte {
	if i := slices.IndexFunc(m.protocols, named(protocol)); i >= 0 {
		return m.protocols[i].Metadata
	}
	return nil
}

// topics are a consumer's subscription.
func (m *member) topics(protocol string) []string {
	if m.group.protocolType != consumerProtocol {
		return nil
	}
	var subscription kmsg.ConsumerMemberMetadata
	if err := subscription.ReadFrom(m.metadata(protocol)); err != nil {
		return nil
	}
	return subscription.Topics
}

// sameProtocols reports whether a member joins again with the protocols and metadata it had.
func (m *member) sameProtocols(protocols []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b kmsg.JoinGroupRequestProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// alive extends the session. The timer reads aliveUntil when it fires.
func (m *member) alive(now Instant) { m.aliveUntil = now.Monotonic + m.sessionTimeout }

// fire implements alarm: the member may have been silent for too long.
func (m *member) fire(c *Coordinator, now Instant) {
	// A member that waits for an answer is not silent. One that has not been in a generation is removed all the same after
	// newMemberTimeout: its client may be gone, and does not know its id.
	if m.sync.waits || m.join.waits && m.joinedOnce {
		m.alive(now)
	}
	if m.aliveUntil > now.Monotonic {
		c.timers.start(&m.session, m.aliveUntil)
		return
	}
	mark.Hit("a silent member was removed")
	c.counts.Expired++
	c.leave(m.group, m, now)
}
