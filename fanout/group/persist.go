package group

import (
	"fmt"
	"math"
	"unicode/utf16"

	"oneplusn/segment/list"
)

// source is the content of a record: a group's membership or an offset.
type source interface {
	key() []byte
	// value encodes at most a little more than a number of bytes, if that is not 0.
	value(maxBytes int64) []byte
	bytes() int64
	// successor is the record that has the key now, or nil.
	successor(c *Coordinator) *liveRecord
}

// liveRecord is the latest record of a key, embedded in its source. It is on its partition's list from the moment that it
// is to be written until its tombstone is in the log.
type liveRecord struct {
	log  *partitionLog // nil while it is on no list
	link list.Node[*liveRecord]
	// offset is the record's offset in the log; pendingOffset until that is known, lostOffset if it could not be
	// appended.
	offset int64
	number uint64 // of its last record
	queued bool   // it is still to be written
	dead   bool   // its next record is a tombstone
	source source
}

const (
	pendingOffset = math.MaxInt64
	lostOffset    = -1
)

// partitionLog is the coordinator's state of one partition of the log.
type partitionLog struct {
	partition int32
	live      list.List[*liveRecord] // in the order of the log
	refused   bool                   // see RefusePartition
}

// put moves a record to the end of the log's list.
func (l *partitionLog) put(r *liveRecord, offset int64) {
	if r.log != nil && r.log != l {
		panic(fmt.Sprintf("group: a record of partition %d is written to partition %d", r.log.partition, l.partition))
	}
	r.unlink()
	r.log, r.offset = l, offset
	l.live.PushBack(&r.link, r)
}

func (r *liveRecord) unlink() {
	r.link.Remove()
	r.log = nil
}

// oldest is the first record in the order of the log, or nil.
func (l *partitionLog) oldest() *liveRecord { return l.live.First().Value() }

// persist writes a live record, again or for the first time.
func (c *Coordinator) persist(l *partitionLog, r *liveRecord) {
	l.put(r, pendingOffset)
	c.queue.push(r)
}

func (c *Coordinator) persistMembership(g *group) { c.persist(g.log, &g.live) }

// tombstone writes that a record's key is gone. Its source is charged until the tombstone is in the log.
func (c *Coordinator) tombstone(r *liveRecord) {
	if r.dead {
		panic(fmt.Sprintf("group: record %d gets a second tombstone", r.number))
	}
	r.dead = true
	c.persist(r.log, r)
}

// Rewrite writes at most limit live records again whose offset in a partition's log is below before, the oldest first.
// done says that none is left, so the log's head is not needed once the output is durable.
func (c *Coordinator) Rewrite(partition int32, before int64, limit int) (done bool) {
	l := &c.logs[partition]
	for r := l.oldest(); r != nil && r.offset < before; r = l.oldest() {
		if limit--; limit < 0 {
			return false
		}
		c.persist(l, r)
	}
	return true
}

// PartitionOf is the partition of the log that holds a group's records.
func (c *Coordinator) PartitionOf(id string) int32 { return c.logOf(id).partition }

// logOf picks the log as Apache Kafka does (Utils.abs of Java's String.hashCode), so that its directories can be taken over.
func (c *Coordinator) logOf(id string) *partitionLog {
	var hash int32
	for _, unit := range utf16.Encode([]rune(id)) {
		hash = 31*hash + int32(unit)
	}
	hash = max(hash, -hash, 0) // 0 for the least number, which stays negative
	return &c.logs[int(hash)%len(c.logs)]
}
