package scenario

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/records"
)

const topicName = "feed"

// clients lets clients at the server.
func (w *World) clients() {
	for i := range 1 + w.random.IntN(3) {
		p := &producer{world: w, name: fmt.Sprintf("p%d-%d", len(w.model.order), i)}
		w.machine.After(time.Duration(w.random.IntN(100))*time.Millisecond, p.connect)
	}
	for i := range 1 + w.random.IntN(4) {
		s := &subscriber{world: w, name: fmt.Sprintf("s%d", i)}
		w.machine.After(time.Duration(w.random.IntN(100))*time.Millisecond, s.connect)
	}
}

// producer sends batches of numbered records, one request after the other.
type producer struct {
	world *World
	name  string
	next  int
	*session
}

func (p *producer) connect() {
	if p.world.quiet {
		return
	}
	s, err := p.world.connect(p.name, 1<<16, func() { p.world.machine.After(20*time.Millisecond, p.connect) })
	if err != nil {
		if !p.world.kernel.Killed() {
			p.world.machine.After(50*time.Millisecond, p.connect)
		}
		return
	}
	p.session = s
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 4
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = topicName, 1, 1
	create.Topics = append(create.Topics, topic)
	p.ask(create, func(kmsg.Response) {})
	p.send()
}

func (p *producer) send() {
	if p.world.quiet {
		return
	}
	n := 1 + p.world.random.IntN(5)
	batch := make([]byte, records.HeaderSize)
	var ids []string
	for i := range n {
		id := fmt.Sprintf("%s/%d", p.name, p.next)
		p.next++
		ids = append(ids, id)
		p.world.model.sent(id)
		batch = records.AppendRecord(batch, i, []byte(id), make([]byte, p.world.random.IntN(500)))
	}
	records.Seal(batch, records.NewBatch(n, p.world.machine.WallClock(p.world.machine.Now()).UnixMilli()))
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 7, -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topicName
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = batch
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	p.ask(req, func(r kmsg.Response) {
		got := r.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if got.ErrorCode == 0 {
			for i, id := range ids {
				p.world.model.acknowledged(id, place{topicName, 0, got.BaseOffset + int64(i)})
			}
		}
		p.world.machine.After(time.Duration(p.world.random.IntN(20))*time.Millisecond, p.send)
	})
}

// subscriber reads a partition from the beginning.
type subscriber struct {
	world *World
	name  string
	at    int64
	seen  func(id string, at place) // called for each record, if set
	ended func()                    // called at the end of the log, if set, and nothing more is asked
	*session
}

func (s *subscriber) connect() {
	if s.world.auditing {
		return
	}
	x, err := s.world.connect(s.name, 1<<(8+s.world.random.IntN(8)), func() { s.world.machine.After(20*time.Millisecond, s.connect) })
	if err != nil {
		if !s.world.kernel.Killed() {
			s.world.machine.After(50*time.Millisecond, s.connect)
		}
		return
	}
	s.session, s.at = x, 0
	s.fetch()
}

// auditor is a subscriber that reads to the end once.
type auditor struct {
	subscriber
	found map[string]place
	over  bool
	done  func()
}

func (a *auditor) connect() {
	if a.over {
		return
	}
	x, err := a.world.connect(a.name, 1<<20, func() { a.world.machine.After(20*time.Millisecond, a.connect) })
	if err != nil {
		a.world.fail("the auditor is refused: %v", err)
		return
	}
	a.session, a.at = x, 0
	clear(a.found)
	a.seen = func(id string, at place) { a.found[id] = at }
	a.ended = func() { a.over = true; a.done() }
	a.fetch()
}

func (s *subscriber) fetch() {
	if s.world.auditing && s.ended == nil {
		s.reset()
		return
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 11, 100, 1, 1<<20
	req.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topicName
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = s.at, 1<<uint(8+s.world.random.IntN(10)), -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	s.ask(req, func(r kmsg.Response) {
		s.read(r.(*kmsg.FetchResponse))
		if s.ended != nil && atEnd(r.(*kmsg.FetchResponse), s.at) {
			s.ended()
			return
		}
		s.world.machine.After(time.Duration(s.world.random.IntN(5))*time.Millisecond, s.fetch)
	})
}

// atEnd reports whether a response says that there is nothing from an offset on.
func atEnd(r *kmsg.FetchResponse, offset int64) bool {
	if len(r.Topics) == 0 {
		return true
	}
	p := r.Topics[0].Partitions[0]
	return p.ErrorCode != 0 || p.HighWatermark <= offset
}

func (s *subscriber) read(r *kmsg.FetchResponse) {
	if len(r.Topics) == 0 {
		return
	}
	p := r.Topics[0].Partitions[0]
	b := p.RecordBatches
	for len(b) > 0 {
		h, err := records.ParseBatch(b)
		if err != nil || h.Size() > len(b) {
			s.world.fail("%s got at %d a batch that cannot be read: %v", s.name, s.at, err)
			return
		}
		reader := records.Reader{Contents: true}
		err = reader.Each(h, b[:h.Size()], 1<<20, func(offset, _ int64, rec *records.Record) bool {
			s.world.model.read(string(rec.Key), place{topicName, 0, offset})
			if s.seen != nil {
				s.seen(string(rec.Key), place{topicName, 0, offset})
			}
			return true
		})
		reader.Close()
		if err != nil || h.BaseOffset > s.at {
			s.world.fail("%s asked for %d and got a batch that begins at %d: %v", s.name, s.at, h.BaseOffset, err)
			return
		}
		s.at = h.NextOffset()
		b = b[h.Size():]
	}
}
