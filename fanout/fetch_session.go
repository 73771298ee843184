package fanout

import (
	"bytes"
	"math"

	"oneplusn/fanout/wire"
)

// fetchSession is what a client need not say again with every fetch (KIP-227): its partitions and where it has got to
// in each. It belongs to the connection that made it and ends with it. So there is no table of sessions that all clients
// share, and no client can push another's out.
type fetchSession struct {
	id    int32 // 0 while there is none
	epoch int32 // the one that the next request must have
	// partitions are in the order in which they came. Their topics' names are the session's own.
	partitions []wire.FetchPartition
	// told is what the client knows of each.
	told   []toldPartition
	topics map[string]*sessionTopic
	// charged is the memory that the session was charged: for the names that it has, and for the most partitions and topics
	// that it had at once, for lists and maps do not shrink.
	charged                    int64
	paidPartitions, paidTopics int
}

// What a session's partition and topic take at most, beside the topic's name, which is there twice: entries of lists that may
// have twice the room, and of maps.
const (
	sessionPartitionBytes = 256
	sessionTopicBytes     = 512
)

// toldPartition is what a client was last told of a partition. It is told again of those for which that has changed.
type toldPartition struct {
	highWatermark, lastStableOffset, logStartOffset int64
}

// untold differs from everything that can be told.
var untold = toldPartition{-2, -2, -2}

// sessionTopic is where a topic's partitions are in the session.
type sessionTopic struct {
	name []byte
	at   map[int32]int
}

// The epochs with a meaning of their own.
const (
	beginSession = 0  // a full request, and the wish for a session
	noSession    = -1 // a full request, and the end of the session that it names
)

// enterSession reads the session part of a fetch. It returns the error for the whole request, or 0; then c.fetches are
// the partitions to be answered.
func (b *Broker) enterSession(c *client) int16 {
	req, s := &c.fetch, &c.session
	c.incremental = false
	switch {
	case req.SessionEpoch == noSession:
		if s.id != 0 && s.id == req.SessionID {
			b.endSession(c)
		}
		c.answersSession = 0
	case req.SessionEpoch == beginSession:
		b.endSession(c)
		b.newSession(c)
		c.answersSession = s.id
	case s.id == 0 || s.id != req.SessionID:
		return wire.CodeFetchSessionIDNotFound
	case s.epoch != req.SessionEpoch:
		return wire.CodeInvalidFetchSessionEpoch
	default:
		if !b.updateSession(s, req) {
			b.endSession(c)
			return wire.CodeFetchSessionIDNotFound // the client begins with a full request again
		}
		c.answersSession = s.id
		if len(s.partitions) == 0 {
			b.endSession(c)
			c.answersSession = 0
		}
		c.incremental = true
	}
	return 0
}

// newSession begins a session with the partitions of a full request. Without room for it the client goes on without.
func (b *Broker) newSession(c *client) {
	req, s := &c.fetch, &c.session
	if len(req.Partitions) == 0 || !b.updateSession(s, req) {
		b.endSession(c)
		return
	}
	if b.lastSession++; b.lastSession <= 0 {
		b.lastSession = 1
	}
	s.id = b.lastSession
}

// updateSession takes the changes of a request, and moves the epoch on. It reports false if there is no memory for more
// partitions, or they are too many.
func (b *Broker) updateSession(s *fetchSession, req *wire.FetchRequest) bool {
	for i := range req.Forgotten {
		b.forget(s, req.Forgotten[i].Topic, req.Forgotten[i].Partition)
	}
	for i := range req.Partitions {
		want := &req.Partitions[i]
		t := b.sessionTopic(s, want.Topic)
		if t == nil {
			return false
		}
		at, known := t.at[want.Partition]
		if !known {
			if at = len(s.partitions); int64(at) == b.mostPartitions() {
				return false
			}
			if at == s.paidPartitions {
				if !b.chargeSession(s, sessionPartitionBytes) {
					return false
				}
				s.paidPartitions++
			}
			t.at[want.Partition] = at
			s.partitions, s.told = append(s.partitions, *want), append(s.told, untold)
		}
		s.partitions[at] = *want
		s.partitions[at].Topic = t.name
	}
	if s.epoch++; s.epoch == math.MaxInt32 {
		s.epoch = 1
	}
	return true
}

// chargeSession takes memory before the session does.
func (b *Broker) chargeSession(s *fetchSession, bytes int64) bool {
	if !b.sessions.Take(bytes) {
		b.limitLog.Warn(b.loop.Log, b.loop.Now(), "clients fetch without a session", "reason", b.sessions.Refusal("a fetch session", bytes))
		return false
	}
	s.charged += bytes
	return true
}

// sessionTopic is the session's topic of that name, which is added if it is not there. It is nil if there is no memory for it.
func (b *Broker) sessionTopic(s *fetchSession, name []byte) *sessionTopic {
	if t := s.topics[string(name)]; t != nil {
		return t
	}
	bytesWanted := 2 * int64(len(name))
	if len(s.topics) == s.paidTopics {
		bytesWanted += sessionTopicBytes
	}
	if !b.chargeSession(s, bytesWanted) {
		return nil
	}
	s.paidTopics = max(s.paidTopics, len(s.topics)+1)
	if s.topics == nil {
		s.topics = make(map[string]*sessionTopic)
	}
	t := &sessionTopic{name: bytes.Clone(name), at: make(map[int32]int)}
	s.topics[string(t.name)] = t
	return t
}

// forget drops a partition; the last one takes its place.
func (b *Broker) forget(s *fetchSession, topic []byte, partition int32) {
	t := s.topics[string(topic)]
	if t == nil {
		return
	}
	at, known := t.at[partition]
	if !known {
		return
	}
	delete(t.at, partition)
	if len(t.at) == 0 {
		b.sessions.Give(2 * int64(len(topic)))
		s.charged -= 2 * int64(len(topic))
		delete(s.topics, string(topic))
	}
	last := len(s.partitions) - 1
	if at != last {
		moved := &s.partitions[last]
		s.topics[string(moved.Topic)].at[moved.Partition] = at
		s.partitions[at], s.told[at] = *moved, s.told[last]
	}
	s.partitions[last] = wire.FetchPartition{}
	s.partitions, s.told = s.partitions[:last], s.told[:last]
}

// endSession gives the session's memory back.
func (b *Broker) endSession(c *client) {
	b.sessions.Give(c.session.charged)
	c.session = fetchSession{}
}

// changed says whether a client has to be told of a partition, and notes that it is.
func (t *toldPartition) changed(r *wire.FetchResult) bool {
	if r.ErrorCode != 0 {
		*t = untold
		return true
	}
	now := toldPartition{r.HighWatermark, r.LastStableOffset, r.LogStartOffset}
	changed := *t != now || r.RecordsBytes > 0
	*t = now
	return changed
}
