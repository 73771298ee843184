package fanout

import (
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
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
	batch       []byte
	// wanting are requests that wait for the topic to be made.
	wanting []func(failed error)
	// held are replies that wait for an fsync, by partition of the topic and in the order of the log.
	held     [][]heldReplies
	rewrites []rewrite
	log      logLimit
}

// heldReplies is a turn's durable replies.
type heldReplies struct {
	replies *pendingReplies
	last    int64 // the last offset in this partition that they wait for
}

// pendingReplies wait for every partition that their turn wrote to.
type pendingReplies struct {
	replies []group.Reply
	left    int
	failed  bool
}

func (c Config) coordinator() group.Config {
	return group.Config{
		MinSessionTimeout:     c.GroupMinSessionTimeout,
		MaxSessionTimeout:     c.GroupMaxSessionTimeout,
		InitialRebalanceDelay: c.GroupInitialRebalanceDelay,
		OffsetsRetention:      c.OffsetsRetention,
		MaxGroups:             c.MaxGroups,
		MaxMembers:            c.MaxGroupMembers,
		MaxMetadataBytes:      maxOffsetMetadataBytes,
		MemoryBytes:           c.GroupMemoryBytes,
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
	g.held = make([][]heldReplies, len(tp.partitions))
	g.rewrites = make([]rewrite, len(tp.partitions))
}

func (b *Broker) instant() group.Instant {
	return group.Instant{Monotonic: b.now, UnixMillis: b.wallMillis()}
}

// coordinate hands a request to the coordinator, once there is one. The answer comes with a later turn's output.
func (b *Broker) coordinate(c *conn, request func(g *group.Coordinator, from group.Client)) {
	from := group.Client{Ticket: ticketOf(c)}
	b.withCoordinator(func(failed error) {
		if failed == nil {
			request(b.groups.coordinator, from)
		} else if c := b.again(slotOf(from.Ticket)); c != nil {
			b.closeConn(c, closedByStorage, failed)
		}
	})
}

func ticketOf(c *conn) uint64 { return uint64(c.slot)<<32 | uint64(c.generation) }

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
	b.makeLogs([]newTopic{{name: offsetsTopic, partitions: 1, config: offsetsConfig(b.topics.defaults)}}, func(errs map[string]error) {
		failed := errs[offsetsTopic]
		if failed == nil {
			b.useTopic(b.topics.byName[offsetsTopic])
		}
		waiting := g.wanting
		g.wanting = nil
		for _, do := range waiting {
			do(failed)
		}
	})
}

// hostOf is a client's address as Apache Kafka writes it.
func hostOf(c *conn) string {
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
		return noTime
	}
	until := noTime
	if at, ok := g.coordinator.Next(); ok {
		until = at
	}
	for i := range g.rewrites {
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
	if at, ok := g.coordinator.Next(); ok && at <= b.now {
		g.coordinator.Advance(b.instant())
	}
	b.flushGroups()
	b.rewriteOffsets()
}

// flushGroups appends the records of a turn, and then answers its requests: those that promise something when it is
// kept as --fsync says.
func (b *Broker) flushGroups() {
	g := &b.groups
	if !g.coordinator.TakeOutput(&g.out) {
		return
	}
	pending, err := b.keepRecords(g.out.Records)
	for i := range g.out.Replies {
		r := &g.out.Replies[i]
		switch {
		case !r.Durable:
		case err != nil:
			r.Refuse()
		case pending.left > 0:
			pending.replies = append(pending.replies, *r)
			continue
		}
		b.answerGroup(r)
	}
	clear(g.out.Replies)
	clear(g.out.Records)
}

func (b *Broker) answerGroup(r *group.Reply) {
	if c := b.again(slotOf(r.Ticket)); c != nil {
		b.reply(c, r.Response)
	}
}

// keepRecords appends records to the logs of their partitions. The replies that depend on them wait in pending for the
// partitions that have still to be synced.
func (b *Broker) keepRecords(records []group.Record) (pending *pendingReplies, failed error) {
	pending = new(pendingReplies)
	for i := range b.groups.topic.partitions {
		if err := b.keepIn(int32(i), records, pending); err != nil {
			failed = err
		}
	}
	return pending, failed
}

func (b *Broker) keepIn(partition int32, records []group.Record, pending *pendingReplies) error {
	g := &b.groups
	p := g.topic.partitions[partition]
	mine := records
	if len(g.topic.partitions) > 1 {
		mine = nil
		for i := range records {
			if records[i].Partition == partition {
				mine = append(mine, records[i])
			}
		}
	}
	if len(mine) == 0 {
		return nil
	}
	now := b.wallMillis()
	g.batch = group.AppendBatches(g.batch[:0], mine, now)
	appended, err := p.log.Append(g.batch, now)
	if err != nil {
		for i := range mine {
			g.coordinator.Lost(&mine[i])
		}
		w := &g.rewrites[partition]
		w.lost, w.next = true, b.now+rewriteRetry
		if g.log.allow(b.now) {
			b.log.Error("committed offsets could not be written, clients try again", "partition", partition, "error", err,
				"remedy", storageRemedy(err))
		}
		return err
	}
	if w := &g.rewrites[partition]; w.lost {
		w.next = b.now // the log can be written to again
	}
	for i := range mine {
		g.coordinator.Appended(&mine[i], appended.BaseOffset+int64(i))
	}
	b.wrote(p, appended.Records)
	b.markGrown(p)
	b.logWork(p)
	if p.log.HighWatermark() <= appended.LastOffset {
		pending.left++
		g.held[partition] = append(g.held[partition], heldReplies{pending, appended.LastOffset})
	}
	return nil
}

// releaseGroups answers what waited for a partition of the offsets topic, as far as its high watermark has come, or
// all of it if it failed.
func (b *Broker) releaseGroups(p *partition, failed bool) {
	g := &b.groups
	if p.topic != g.topic || g.coordinator == nil {
		return
	}
	held := g.held[p.index]
	n := 0
	for ; n < len(held) && (failed || held[n].last < p.log.HighWatermark()); n++ {
		waits := held[n].replies
		waits.failed = waits.failed || failed
		if waits.left--; waits.left > 0 {
			continue
		}
		for i := range waits.replies {
			if waits.failed {
				waits.replies[i].Refuse()
			}
			b.answerGroup(&waits.replies[i])
		}
	}
	rest := copy(held, held[n:])
	clear(held[rest:])
	g.held[p.index] = held[:rest]
}

// stopGroups answers everybody who waits for a rebalance.
func (b *Broker) stopGroups() {
	if b.groups.coordinator != nil {
		b.groups.coordinator.Shutdown()
	}
}

// refusedInternal is the error for a change of the offsets topic by a client.
func (tp *topic) refusedInternal() int16 {
	if tp.internal {
		return wire.CodeInvalidTopic
	}
	return 0
}

// coordinatorOf fills in where the coordinator is: here.
func (b *Broker) coordinatorOf(c *conn, resp *kmsg.FindCoordinatorResponse) {
	resp.NodeID = b.topics.meta.nodeID
	resp.Host, resp.Port = b.advertised(c)
}
