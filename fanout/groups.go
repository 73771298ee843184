package fanout

import (
	"crypto/rand"
	"fmt"
	"net"
	"oneplusn/fanout/loop"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/group"
)

// offsetsTopic holds what the group coordinator has to keep, as in Apache Kafka. It is made when the first client looks
// for a coordinator, and clients can read it but not write to it.
const offsetsTopic = "__consumer_offsets"

// maxOffsetMetadataBytes is Apache Kafka's offset.metadata.max.bytes.
const maxOffsetMetadataBytes = 4096

// groups is the coordinator and its log. The coordinator says what to append and whom to answer; both are done once a
// turn, so that the commits of one turn share their write, and their fsync if they wait for one.
type groups struct {
	coordinator *group.Coordinator // nil until there is a topic
	topic       *topic
	out         group.Output
	keeping     keeping
	// wanting are requests that wait for the topic to be made.
	wanting  []func(failed error)
	rewrites []rewrite
	log      loop.LogLimit
}

func (c Config) coordinator() group.Config {
	return group.Config{
		MinSessionTimeout:     c.GroupMinSessionTimeout,
		MaxSessionTimeout:     c.GroupMaxSessionTimeout,
		InitialRebalanceDelay: c.GroupInitialRebalanceDelay,
		LoneMemberDelay:       c.GroupLoneMemberDelay,
		OffsetsRetention:      c.OffsetsRetention,
		MaxGroups:             c.MaxGroups,
		MaxMembers:            c.MaxGroupMembers,
		MaxMetadataBytes:      maxOffsetMetadataBytes,
		MemoryBytes:           c.GroupMemoryBytes,
		MaxRecordBytes:        maxMembershipBytes,
		MaxReplyBytes:         c.ResponseMemoryBytes / 4,
		NewMemberID:           newMemberID,
	}
}

// newMemberID is the client's id and a random UUID.
func newMemberID(clientID string) string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // RFC 9562, version 4
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", clientID, u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// useTopic begins to coordinate, on a topic whose logs are open.
func (b *Broker) useTopic(tp *topic) {
	g := &b.groups
	config := b.config.coordinator()
	config.PartitionExists = func(topic string, partition int32) bool {
		tp := b.topics.byName[topic]
		return tp != nil && partition >= 0 && int(partition) < len(tp.partitions)
	}
	g.topic = tp
	g.coordinator = group.New(config, len(tp.partitions))
	g.rewrites = make([]rewrite, len(tp.partitions))
}

func (b *Broker) instant() group.Instant {
	return group.Instant{Monotonic: b.loop.Now(), UnixMillis: b.loop.UnixMillis()}
}

// withCoordinator calls do once there is a coordinator, or its topic could not be made, unless the client is gone by then: nobody
// would tell the coordinator.
func (c *client) withCoordinator(do func(g *group.Coordinator, failed error)) {
	end := c.errand()
	c.broker.withCoordinator(func(failed error) {
		if end() {
			do(c.broker.groups.coordinator, failed)
		}
	})
}

// coordinate hands a request to the coordinator. The answer comes with a later turn's output.
func coordinate[R kmsg.Request](c *client, req R, handle func(*group.Coordinator, group.Instant, group.Client, R)) {
	c.withCoordinator(func(g *group.Coordinator, failed error) {
		if failed != nil {
			c.close(closedByStorage, failed)
			return
		}
		handle(g, c.broker.instant(), group.Client{Ticket: ticketOf(c)}, req)
	})
}

// askCoordinator answers a read-only request at once, not with the others at the end of a turn, so that only one such answer at a
// time is in memory that no budget counts. A costly one waits for its turn: see costly.
func askCoordinator[R kmsg.Request](c *client, req R, answer func(*group.Coordinator, R) kmsg.Response) {
	if g := c.broker.groups.coordinator; g != nil && c.putOff(g.Asked(req)) {
		return
	}
	c.withCoordinator(func(g *group.Coordinator, failed error) {
		if failed != nil {
			c.close(closedByStorage, failed)
			return
		}
		c.broker.reply(c, answer(g, req))
	})
}

func ticketOf(c *client) uint64 { return uint64(c.slot)<<32 | uint64(c.generation) }

func slotOf(ticket uint64) (slot, generation uint32) { return uint32(ticket >> 32), uint32(ticket) }

// withCoordinator calls do when there is a coordinator: at once, or after its topic has been made.
func (b *Broker) withCoordinator(do func(failed error)) {
	g := &b.groups
	if g.coordinator != nil {
		do(nil)
		return
	}
	g.wanting = append(g.wanting, do)
	if len(g.wanting) > 1 {
		return
	}
	b.topics.createInternal(func(tp *topic, failed error) {
		if failed == nil {
			b.useTopic(tp)
		}
		waiting := g.wanting
		g.wanting = nil
		for _, do := range waiting {
			do(failed)
		}
	})
}

// hostOf is a client's address as Apache Kafka writes it.
func hostOf(c *client) string {
	host, _, err := net.SplitHostPort(sockaddrString(unix.Getpeername(c.fd)))
	if err != nil {
		return "?"
	}
	return "/" + host
}

// nextGroupDeadline is when the coordinator has to be looked at.
func (b *Broker) nextGroupDeadline() time.Duration {
	g := &b.groups
	if g.coordinator == nil {
		return noDeadline
	}
	until := noDeadline
	busy := g.keeping.batches > 0 // the end of the write wakes the loop
	if g.coordinator.HasReplies() || !busy && g.coordinator.HasOutput() {
		until = b.loop.Now() // of connections that were closed after the turn's output was taken
	} else if at, ok := g.coordinator.Next(); ok {
		until = at
	}
	for i := 0; i < len(g.rewrites) && !busy; i++ {
		until = min(until, g.rewrites[i].next)
	}
	return until
}

// turnGroups does what is due, appends what has to be kept, and answers.
func (b *Broker) turnGroups() {
	g := &b.groups
	if g.coordinator == nil {
		return
	}
	if at, ok := g.coordinator.Next(); ok && at <= b.loop.Now() {
		g.coordinator.Advance(b.instant())
	}
	if g.keeping.batches == 0 {
		b.rewriteOffsets() // its records go with those of the turn
	}
	b.flushGroups()
}

// replyReaped answers a request when the tombstones of the offsets that it deleted are durable, so that a restart brings none
// of them back.
func (b *Broker) replyReaped(c *client, response kmsg.Response) {
	if b.groups.coordinator == nil {
		b.reply(c, response)
		return
	}
	b.groups.coordinator.ReplyReaped(ticketOf(c), response)
}

// settled says that the coordinator has nothing left to be written.
func (g *groups) settled() bool { return g.coordinator == nil || g.coordinator.Settled() }

// leaveGroups tells the coordinator that a connection is closed.
func (b *Broker) leaveGroups(c *client) {
	if b.groups.coordinator != nil {
		b.groups.coordinator.Disconnected(b.instant(), ticketOf(c))
	}
}

// stopGroups answers everybody who waits for a rebalance.
func (b *Broker) stopGroups() {
	if b.groups.coordinator != nil {
		b.groups.coordinator.Shutdown()
	}
}
