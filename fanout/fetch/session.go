package fetch

import (
	"bytes"
	"fmt"
	"math"

	"oneplusn/fanout/wire"
	"oneplusn/segment/invariants"
	"oneplusn/segment/mark"
)

// session remembers a client's partitions and its position in each, so that fetches name only changes (KIP-227). It belongs to its
// connection and ends with it. So clients share no table of sessions, and none can evict another's.
type session struct {
	id    int32 // 0 while there is none
	epoch int32 // the one that the next request must have
	// partitions are in the order in which they came. Their topics' names are the session's own.
	partitions []wire.FetchPartition
	lastSent   []lastSent // what the client knows of each
	topics     map[string]*sessionTopic
	// charged is the memory charged: for its names, and for the most partitions and topics it had at once, because lists and
	// maps do not shrink.
	charged                    int64
	paidPartitions, paidTopics int
}

// Most memory of a session's partition and topic, beside the topic's name, which is stored twice: entries of lists, whose capacity
// may be twice their length, and of maps.
const (
	SessionPartitionBytes = 256
	SessionTopicBytes     = 512
)

// lastSent has the offsets of a partition in the last response. A session's response omits partitions whose offsets are the same.
type lastSent struct {
	highWatermark, lastStableOffset, logStartOffset int64
}

// nothingSent differs from everything that can be sent.
var nothingSent = lastSent{-2, -2, -2}

// update notes a response, and says whether it tells the client anything new.
func (l *lastSent) update(r *wire.FetchResult) bool {
	if r.ErrorCode != 0 {
		*l = nothingSent
		return true
	}
	now := lastSent{r.HighWatermark, r.LastStableOffset, r.LogStartOffset}
	changed := *l != now || r.RecordsBytes > 0
	*l = now
	return changed
}

// forgetSent forgets the offsets of a response that was not sent.
func (s *session) forgetSent() {
	for i := range s.lastSent {
		s.lastSent[i] = nothingSent
	}
}

// sessionTopic is where a topic's partitions are in the session.
type sessionTopic struct {
	name []byte
	at   map[int32]int
}

// The special epochs.
const (
	beginSession = 0  // a full request that asks for a session
	noSession    = -1 // a full request, which ends the session that it names
)

// enterSession reads the session part of a request. It returns the error for the whole request, or 0: then [Fetch.wants] are known.
func (f *Fetch) enterSession() int16 {
	req, s := &f.request, &f.session
	f.incremental, f.answerSession = false, 0
	switch {
	case req.SessionEpoch == noSession:
		if s.id != 0 && s.id == req.SessionID {
			mark.Hit("a client ended its fetch session")
			f.endSession()
		}
	case req.SessionEpoch == beginSession:
		mark.HitIf(s.id != 0, "a client began another fetch session in place of its own")
		f.endSession()
		f.newSession()
		f.answerSession = s.id
	case s.id == 0 || s.id != req.SessionID:
		mark.Hit("a fetch named a session that is not there")
		return wire.CodeFetchSessionIDNotFound
	case s.epoch != req.SessionEpoch:
		mark.Hit("a fetch named a wrong epoch of its session")
		return wire.CodeInvalidFetchSessionEpoch
	default:
		if !s.update(f.fetcher, req) {
			mark.Hit("a fetch session could not grow")
			f.endSession()
			return wire.CodeFetchSessionIDNotFound // the client begins with a full request again
		}
		if len(s.partitions) == 0 {
			mark.Hit("a fetch session ended with its last partition")
			f.endSession()
		}
		f.incremental, f.answerSession = true, s.id
	}
	return 0
}

// newSession begins a session with the partitions of a full request. Without memory for it, the client fetches without a session.
func (f *Fetch) newSession() {
	if len(f.request.Partitions) == 0 || !f.session.update(f.fetcher, &f.request) {
		f.endSession()
		return
	}
	fr := f.fetcher
	if fr.lastSession++; fr.lastSession <= 0 {
		fr.lastSession = 1
	}
	f.session.id = fr.lastSession
}

// endSession gives the session's memory back.
func (f *Fetch) endSession() {
	f.fetcher.sessions.Give(f.session.charged)
	f.session = session{}
}

// update takes the changes of a request, and moves the epoch on. It reports false if there are too many partitions, or no memory
// for them.
func (s *session) update(fr *Fetcher, req *wire.FetchRequest) bool {
	for i := range req.Forgotten {
		s.forget(fr, req.Forgotten[i].Topic, req.Forgotten[i].Partition)
	}
	for i := range req.Partitions {
		if !s.want(fr, &req.Partitions[i]) {
			return false
		}
	}
	if s.epoch++; s.epoch == math.MaxInt32 {
		s.epoch = 1
	}
	if invariants.Enabled {
		s.recount()
	}
	return true
}

// want adds a partition, or notes where the client is in it.
func (s *session) want(fr *Fetcher, p *wire.FetchPartition) bool {
	t := s.topic(fr, p.Topic)
	if t == nil {
		return false
	}
	at, known := t.at[p.Partition]
	if !known {
		if at = len(s.partitions); int64(at) == fr.config.MostPartitions() {
			return false
		}
		if at == s.paidPartitions {
			if !s.charge(fr, SessionPartitionBytes) {
				return false
			}
			s.paidPartitions++
		}
		t.at[p.Partition] = at
		s.partitions, s.lastSent = append(s.partitions, *p), append(s.lastSent, nothingSent)
	}
	s.partitions[at] = *p
	s.partitions[at].Topic = t.name
	return true
}

// charge takes memory before the session does.
func (s *session) charge(fr *Fetcher, bytes int64) bool {
	if !fr.sessions.Take(bytes) {
		mark.Hit("the memory of fetch sessions was used up")
		fr.warnings.Warn(fr.loop, "clients fetch without a session", "reason", fr.sessions.Refusal("a fetch session", bytes))
		return false
	}
	s.charged += bytes
	return true
}

// topic returns the session's topic of a name, and adds a new one. It returns nil if there is no memory for it.
func (s *session) topic(fr *Fetcher, name []byte) *sessionTopic {
	if t := s.topics[string(name)]; t != nil {
		return t
	}
	bytesWanted := nameBytes(name)
	if len(s.topics) == s.paidTopics {
		bytesWanted += SessionTopicBytes
	}
	if !s.charge(fr, bytesWanted) {
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

// nameBytes is the memory of a topic's name: it is stored twice.
func nameBytes(name []byte) int64 { return 2 * int64(len(name)) }

// forget drops a partition; the last one takes its place.
func (s *session) forget(fr *Fetcher, topic []byte, partition int32) {
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
		fr.sessions.Give(nameBytes(topic))
		s.charged -= nameBytes(topic)
		delete(s.topics, string(topic))
	}
	mark.Hit("a fetch session forgot a partition")
	last := len(s.partitions) - 1
	if at != last {
		moved := &s.partitions[last]
		s.topics[string(moved.Topic)].at[moved.Partition] = at
		s.partitions[at], s.lastSent[at] = *moved, s.lastSent[last]
	}
	s.partitions[last] = wire.FetchPartition{}
	s.partitions, s.lastSent = s.partitions[:last], s.lastSent[:last]
}

// recount asserts that the charge is the sum of the session's parts, and that every partition is where its topic says.
func (s *session) recount() {
	want, n := int64(s.paidPartitions)*SessionPartitionBytes+int64(s.paidTopics)*SessionTopicBytes, 0
	for name, t := range s.topics {
		want += nameBytes(t.name)
		n += len(t.at)
		for partition, at := range t.at {
			if p := &s.partitions[at]; string(p.Topic) != name || p.Partition != partition {
				panic(fmt.Sprintf("fetch: a session has %s-%d where its topic says %s-%d", p.Topic, p.Partition, name, partition))
			}
		}
	}
	if s.charged != want || n != len(s.partitions) || n != len(s.lastSent) || n > s.paidPartitions || len(s.topics) > s.paidTopics {
		panic(fmt.Sprintf("fetch: a session of %d partitions was charged %d bytes, its parts cost %d; its topics have %d partitions, %d were paid for",
			len(s.partitions), s.charged, want, n, s.paidPartitions))
	}
}
