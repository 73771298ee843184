package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerProtocol is the protocol type of consumers, as against that of Kafka Connect's workers and others.
const consumerProtocol = "consumer"

// waiter is a request that is answered later.
type waiter struct {
	waits   bool
	ticket  uint64
	version int16
}

// member is one member of one group.
type member struct {
	group      *group
	id         string
	instanceID string // "" for one that is not static
	clientID   string
	clientHost string

	sessionTimeout, rebalanceTimeout time.Duration
	// aliveUntil is when the member is removed if it stays silent.
	aliveUntil time.Duration
	session    timer

	protocols  []kmsg.JoinGroupRequestProtocol // the best liked first
	assignment []byte

	join, sync waiter
	// fresh says that it has not been through a rebalance yet. Until then it is forgotten with its connection, whose
	// ticket is bound; see presence.
	fresh bool
	bound uint64
	// owesSync says that it was told to sync in this generation and has not.
	owesSync bool

	prev, next *member // in the group's list
}

func (m *member) static() bool { return m.instanceID != "" }

func (m *member) supports(protocol string) bool {
	return slices.ContainsFunc(m.protocols, named(protocol))
}

func named(protocol string) func(kmsg.JoinGroupRequestProtocol) bool {
	return func(p kmsg.JoinGroupRequestProtocol) bool { return p.Name == protocol }
}

// metadata is what the member said of itself for a protocol: for consumers, its subscription.
func (m *member) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return m.protocols[i].Metadata
		}
	}
	return nil
}

// topics are those that a consumer subscribes to.
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

// sameProtocols says that a member joins again with what it said before.
func (m *member) sameProtocols(protocols []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b kmsg.JoinGroupRequestProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// alive notes that the member was heard of. Its timer finds out when it fires.
func (m *member) alive(now Instant) { m.aliveUntil = now.Monotonic + m.sessionTimeout }

// fire implements alarm: the member may have been silent for too long.
func (m *member) fire(c *Coordinator, now Instant) {
	// One that waits for an answer of ours is not silent. A member that has never been through a rebalance is given
	// up nevertheless after newMemberTimeout: its client may be gone, and does not know its id.
	if m.sync.waits || m.join.waits && !m.fresh {
		m.alive(now)
	}
	if m.aliveUntil > now.Monotonic {
		c.timers.start(&m.session, m.aliveUntil)
		return
	}
	c.counts.Expired++
	c.leave(m.group, m, now)
}
