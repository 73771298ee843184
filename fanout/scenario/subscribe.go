package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/records"
)

// subscriber reads some partitions, each from an offset on, one fetch after the other, until its time is over.
type subscriber struct {
	*client
	version   int16
	committed bool // isolation level read_committed
	minBytes  int32
	maxBytes  int32
	wait      time.Duration
	until     time.Duration
	positions []*position
	// A session begins with epoch 0. Without one it is -1.
	sessions     bool
	sessionID    int32
	sessionEpoch int32
	fetching     bool

	found func(p *partition, f foundRecord) // called for each record, if set
}

// position is where a subscriber is in a partition.
type position struct {
	partition *partition
	offset    int64 // the next that it wants
	epoch     int32 // of the last batch that it read
	maxBytes  int32
	told      bool // the session has this offset
	moved     bool // since the last fetch was asked for, whose answer is of no use then
	atEnd     bool // the last answer said that there was no more
}

// hasMore reports whether the end has not been read. A session leaves out a partition that has nothing new.
func (at *position) hasMore() bool { return !at.atEnd && !(at.told && at.offset >= at.partition.end) }

// seek goes to another place.
func (at *position) seek(offset int64) {
	at.offset, at.epoch, at.told, at.moved, at.atEnd = offset, -1, false, true, false
}

// subscribe lets a subscriber begin, or go on elsewhere.
func (w *World) subscribe(r *rand.Rand) {
	if w.calm {
		return
	}
	s := w.subscriber(r.IntN(w.shape.subscribers))
	s.until = max(s.until, w.machine.Now()+time.Duration(r.Int64N(int64(20*time.Second))))
	t := w.someTopic(r.IntN(len(w.model.topics)))
	p := t.logs[r.IntN(int(max(slices.Max(t.partitions.may), 1)))]
	at := s.position(p)
	at.seek(0)
	if r.IntN(4) == 0 {
		at.seek(r.Int64N(p.end + 2))
	}
	s.fetch()
}

func (w *World) subscriber(n int) *subscriber {
	for len(w.subscribers) <= n {
		w.subscribers = append(w.subscribers, w.newSubscriber(fmt.Sprintf("s%d", len(w.subscribers)), w.draw.Uint64()))
	}
	return w.subscribers[n]
}

func (w *World) newSubscriber(name string, seed uint64) *subscriber {
	s := &subscriber{client: w.newClient(name, seed), sessionEpoch: -1}
	r := s.random
	s.version, s.committed = 4+int16(r.IntN(8)), r.IntN(4) == 0
	s.minBytes, s.maxBytes = 1, 1<<20
	if r.IntN(4) == 0 {
		s.minBytes = r.Int32N(1 << r.IntN(24))
	}
	if r.IntN(4) == 0 {
		s.maxBytes = r.Int32N(1 << r.IntN(24))
	}
	s.wait = time.Duration(r.Int64N(int64(time.Second)))
	s.sessions = s.version >= 7 && r.IntN(2) == 0
	s.ended = func() { s.leaveSession(); w.machine.After(patience, s.fetch) }
	return s
}

func (s *subscriber) position(p *partition) *position {
	for _, at := range s.positions {
		if at.partition == p {
			return at
		}
	}
	at := &position{partition: p, epoch: -1, maxBytes: 1 << s.random.IntN(21)}
	s.positions = append(s.positions, at)
	return at
}

func (s *subscriber) leaveSession() {
	s.sessionID, s.sessionEpoch = 0, -1
	if s.sessions {
		s.sessionEpoch = 0
	}
	for _, at := range s.positions {
		at.told = false
	}
}

// over reports whether the subscriber is to end. When the world is calm it first reads to the end of everything.
func (s *subscriber) over() bool {
	w := s.world
	if w.calm {
		return w.auditing && s.found == nil || !slices.ContainsFunc(s.positions, (*position).hasMore)
	}
	return w.machine.Now() > s.until
}

// fetch asks for more, unless it does already.
func (s *subscriber) fetch() {
	if s.fetching || len(s.positions) == 0 || s.over() {
		return
	}
	if !s.connect() {
		s.world.machine.After(patience, s.fetch)
		return
	}
	s.fetching = true
	req := s.request()
	var expected []expectation
	var waiting []bool // by position: records are certain to be there
	for _, at := range s.positions {
		at.moved = false
		expected = append(expected, s.world.expect(at.partition))
		waiting = append(waiting, at.certain())
	}
	asked := slices.Clone(s.positions)
	deletions := s.world.deletions()
	s.ask(req, func(answered kmsg.Response) {
		s.fetching = false
		may := make([]possible, len(asked))
		for i, x := range expected {
			may[i] = x.end()
			may[i].inRange = waiting[i] && deletions == s.world.deletions()
		}
		if answered == nil {
			return // see ended
		}
		for _, at := range asked {
			at.told = !at.moved
		}
		got := answered.(*kmsg.FetchResponse)
		moved := slices.ContainsFunc(asked, func(at *position) bool { return at.moved })
		n := s.take(got, asked, may)
		if got.ErrorCode == 0 && n == 0 && slices.Contains(waiting, true) && !moved && deletions == s.world.deletions() {
			s.world.fail("%s got nothing, and records wait for it at %v", s.name, asked[slices.Index(waiting, true)])
		}
		s.world.machine.After(time.Duration(s.random.Int64N(int64(20*time.Millisecond))), s.fetch)
	})
}

// certain reports whether records are certain to be there at the position.
func (at *position) certain() bool {
	p := at.partition
	exists, certain := p.exists()
	return exists && certain && at.offset < p.end && at.offset >= slices.Max(p.start.may)
}

// request is the next fetch.
func (s *subscriber) request() *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = s.version, int32(s.wait.Milliseconds()), s.minBytes, s.maxBytes
	req.SessionID, req.SessionEpoch = s.sessionID, s.sessionEpoch
	if s.committed {
		req.IsolationLevel = 1
	}
	for _, at := range s.positions {
		if s.sessionEpoch > 0 && at.told {
			continue
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = at.partition.index, at.offset, at.maxBytes, -1
		i := slices.IndexFunc(req.Topics, func(t kmsg.FetchRequestTopic) bool { return t.Topic == at.partition.topic.name })
		if i < 0 {
			i = len(req.Topics)
			t := kmsg.NewFetchRequestTopic()
			t.Topic = at.partition.topic.name
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

// take reads a response. It returns how many partitions had records or an error.
func (s *subscriber) take(got *kmsg.FetchResponse, asked []*position, may []possible) (n int) {
	if got.ErrorCode != 0 {
		if c := got.ErrorCode; c != wire.CodeFetchSessionIDNotFound && c != wire.CodeInvalidFetchSessionEpoch || s.sessionEpoch <= 0 {
			s.world.fail("%s fetches and gets %s", s.name, errorName(c))
		}
		s.leaveSession()
		return 0
	}
	if s.sessions {
		s.continueSession(got)
	}
	for _, t := range got.Topics {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			j := slices.IndexFunc(asked, func(at *position) bool {
				return at.partition.topic.name == t.Topic && at.partition.index == p.Partition
			})
			if j < 0 {
				s.world.fail("%s got %s/%d, which it did not ask for", s.name, t.Topic, p.Partition)
				continue
			}
			if s.takePartition(asked[j], p, may[j]) {
				n++
			}
		}
	}
	if s.sessionEpoch > 0 {
		return n
	}
	for _, at := range asked {
		if !inResponse(got, at.partition) {
			s.world.fail("%s asked for %s, and the answer has nothing of it", s.name, at.partition)
		}
	}
	return n
}

func inResponse(got *kmsg.FetchResponse, p *partition) bool {
	for _, t := range got.Topics {
		for _, x := range t.Partitions {
			if t.Topic == p.topic.name && x.Partition == p.index {
				return true
			}
		}
	}
	return false
}

// continueSession takes the session's id, or that there is none.
func (s *subscriber) continueSession(got *kmsg.FetchResponse) {
	switch {
	case got.SessionID == 0:
		s.leaveSession()
	case s.sessionEpoch == 0:
		s.sessionID, s.sessionEpoch = got.SessionID, 1
	case got.SessionID != s.sessionID:
		s.world.fail("%s has fetch session %d and got an answer for %d", s.name, s.sessionID, got.SessionID)
	default:
		s.sessionEpoch++
	}
}

// takePartition reads what a response has of a partition. It says whether there was anything.
func (s *subscriber) takePartition(at *position, p *kmsg.FetchResponseTopicPartition, x possible) bool {
	w := s.world
	if at.moved {
		return true
	}
	at.atEnd = false
	switch code := p.ErrorCode; {
	case code == 0 && x.mayExist:
		s.takeBatches(at, p.RecordBatches)
		at.atEnd = at.offset >= p.HighWatermark
		return len(p.RecordBatches) > 0
	case code == wire.CodeUnknownTopicOrPartition && x.mayBeMissing || at.partition.refuses(code):
		at.atEnd = true
	case code == wire.CodeOffsetOutOfRange && !x.inRange:
		s.seek(at)
	case code == wire.CodeUnsupportedCompressionType && s.version < 10 && at.partition.hasZstd:
		at.atEnd = true // as a client that gives up: it asks again, and gets the same
	default:
		w.fail("%s fetches %v and gets %s (%+v)", s.name, at, errorName(code), x)
	}
	return true
}

// seek asks where the log begins, and goes on there.
func (s *subscriber) seek(at *position) {
	s.ask(listOffsets(at.partition, -2), func(answered kmsg.Response) {
		if answered == nil {
			return
		}
		if got := answered.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]; got.ErrorCode == 0 {
			at.seek(got.Offset)
		}
	})
}

// takeBatches reads whole batches, and checks that they continue where the subscriber was.
func (s *subscriber) takeBatches(at *position, b []byte) {
	for first := true; len(b) > 0; first = false {
		h, err := records.ParseBatch(b)
		if err != nil || h.Size() > len(b) {
			s.world.fail("%s got at %v a batch that cannot be read: %v", s.name, at, err)
			return
		}
		if h.BaseOffset > at.offset || !first && h.BaseOffset != at.offset || h.NextOffset() <= at.offset || h.LeaderEpoch < at.epoch {
			s.world.fail("%s wants %v and got a batch from %d to %d of leader epoch %d", s.name, at, h.BaseOffset, h.LastOffset(), h.LeaderEpoch)
			return
		}
		if err := h.CheckCRC(records.UpdateCRC(0, b[records.CRCFrom:h.Size()])); err != nil {
			s.world.fail("%s got at %v: %v", s.name, at, err)
			return
		}
		s.takeRecords(at, h, b[:h.Size()])
		at.offset, at.epoch, at.told = h.NextOffset(), h.LeaderEpoch, false
		b = b[h.Size():]
	}
}

func (s *subscriber) takeRecords(at *position, h records.Batch, b []byte) {
	w := s.world
	n := 0
	err := w.reader.Each(h, b, 1<<20, func(offset, millis int64, r *records.Record) bool {
		n++
		found := place{h.LeaderEpoch, offset}
		w.model.read(s.name, at.partition, found, string(r.Key), millis)
		w.delivered++
		if s.found != nil && offset >= at.offset {
			s.found(at.partition, foundRecord{string(r.Key), found})
		}
		return true
	})
	w.reader.Close()
	if err != nil || n != int(h.RecordCount) {
		w.fail("%s got at %v a batch with %d of its %d records: %v", s.name, at, n, h.RecordCount, err)
	}
}

func (at *position) String() string { return fmt.Sprintf("%s offset %d", at.partition, at.offset) }
