package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// producer sends batches of records whose keys no other record has.
type producer struct {
	*client
	version int16
	acks    int16
	nextKey int

	// An idempotent producer has an id, and sends again what was not answered: see lane.
	idempotent bool
	id         int64 // -1 while there is none
	asking     bool  // for an id
	lanes      []*lane
	names      int // of ids that it gave up
}

// lane is what an idempotent producer sends to one partition: one batch after the other, each until it is acknowledged.
type lane struct {
	partition *partition
	sequence  int32
	waiting   []batch // the first inFlight of them have been sent
	inFlight  int
	deletions int // of the topic, when the lane began
	losses    int // of power
	failed    bool
}

// window is how many batches of a lane are in flight at most: Apache Kafka's max.in.flight.requests.per.connection with idempotence.
const window = 5

func (w *World) producer(n int) *producer {
	for len(w.producers) <= n {
		seed := w.draw.Uint64()
		p := &producer{client: w.newClient(fmt.Sprintf("p%d", len(w.producers)), seed), id: -1}
		p.version = 3 + int16(p.random.IntN(6))
		p.acks = []int16{-1, -1, 1, 0}[p.random.IntN(4)]
		p.idempotent = p.acks == -1 && p.random.IntN(2) == 0
		p.ended = func() { w.machine.After(patience, p.sendAgain) }
		w.producers = append(w.producers, p)
	}
	return w.producers[n]
}

// produce sends a request with a batch for each of some partitions.
func (w *World) produce(r *rand.Rand) {
	p := w.producer(r.IntN(w.shape.producers))
	if w.calm {
		return
	}
	var sent []batch
	for range 1 + r.IntN(3) {
		t := w.someTopic(r.IntN(len(w.model.topics)))
		to := t.logs[r.IntN(int(max(slices.Max(t.partitions.may), 1)))]
		if slices.ContainsFunc(sent, func(b batch) bool { return b.records[0].partition == to }) {
			continue
		}
		if p.idempotent {
			l := p.lane(to)
			b := p.newBatch(r, to, sequence{p.id, 0, l.sequence})
			b.lane = l
			l.sequence += int32(len(b.records))
			l.waiting = append(l.waiting, b)
			continue
		}
		sent = append(sent, p.newBatch(r, to, sequence{-1, -1, -1}))
	}
	if p.idempotent {
		p.sendLanes()
		return
	}
	if len(sent) > 0 {
		p.send(sent, func(batch, int64, int16) {})
	}
}

// send sends batches in one request. Each one's answer is its offset and error; code is unanswered if none came.
func (p *producer) send(batches []batch, answer func(b batch, offset int64, code int16)) {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = p.version, p.acks, 20_000
	for _, b := range batches {
		to := b.records[0].partition
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = to.index, b.bytes
		i := slices.IndexFunc(req.Topics, func(t kmsg.ProduceRequestTopic) bool { return t.Topic == to.topic.name })
		if i < 0 {
			i = len(req.Topics)
			t := kmsg.NewProduceRequestTopic()
			t.Topic = to.topic.name
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
	}
	if p.acks == 0 {
		p.ask(req, nil)
		return
	}
	expected := make([]expectation, len(batches))
	for i, b := range batches {
		expected[i] = p.world.expect(b.records[0].partition)
	}
	p.ask(req, func(answered kmsg.Response) {
		for i, b := range batches {
			offset, code := produced(answered, b.records[0].partition)
			may := expected[i].end()
			p.world.checkProduced(p, b, may, code)
			if code == 0 {
				for j, r := range b.records {
					p.world.model.acknowledged(r, offset+int64(j), may.mayBeMissing)
				}
			}
			answer(b, offset, code)
		}
	})
}

// unanswered is the code of a request whose connection ended before its answer.
const unanswered int16 = -1000

// produced is what a response says of a partition.
func produced(answered kmsg.Response, p *partition) (offset int64, code int16) {
	if answered == nil {
		return -1, unanswered
	}
	for _, t := range answered.(*kmsg.ProduceResponse).Topics {
		for _, x := range t.Partitions {
			if t.Topic == p.topic.name && x.Partition == p.index {
				return x.BaseOffset, x.ErrorCode
			}
		}
	}
	return -1, -1
}

// checkProduced compares an error with those that are allowed.
func (w *World) checkProduced(p *producer, b batch, x possible, code int16) {
	r := b.records[0]
	switch {
	case code == unanswered || r.partition.refuses(code):
	case code == 0 && !r.refused && x.mayExist:
	case code == wire.CodeUnknownTopicOrPartition && x.mayBeMissing:
	case code > 0 && r.refused:
	case code == wire.CodeOutOfOrderSequenceNumber && p.idempotent && !b.lane.whole():
	default:
		w.fail("%s sent %s to %s and got %s (%+v)", p.name, r.id, r.partition, errorName(code), x)
	}
}

// produceIllegal sends a batch that must be refused.
func (w *World) produceIllegal(r *rand.Rand) {
	p := w.producer(r.IntN(w.shape.producers))
	if w.calm || p.idempotent {
		return
	}
	t := w.someTopic(r.IntN(len(w.model.topics)))
	b := p.newBatch(r, t.logs[r.IntN(maxPartitions)], sequence{-1, -1, -1})
	for _, x := range b.records {
		x.refused = true
	}
	b.bytes = damages[r.IntN(len(damages))](r, b.bytes)
	p.send([]batch{b}, func(batch, int64, int16) {})
}

func (p *producer) lane(to *partition) *lane {
	for _, l := range p.lanes {
		if l.partition == to {
			return l
		}
	}
	l := &lane{partition: to, deletions: to.topic.deletions, losses: p.world.losses}
	p.lanes = append(p.lanes, l)
	return l
}

// whole reports whether the server must know what the lane has sent.
func (l *lane) whole() bool {
	p := l.partition
	_, certain := p.exists()
	kept := p.topic.world.shape.fsync == "always" || l.losses == p.topic.world.losses
	return certain && !l.failed && kept && l.deletions == p.topic.deletions && p.start.is(0)
}

// sendLanes sends what may be sent.
func (p *producer) sendLanes() {
	if p.id < 0 {
		p.askForID()
		return
	}
	for _, l := range p.lanes {
		for l.inFlight < min(window, len(l.waiting)) {
			b := l.waiting[l.inFlight]
			l.inFlight++
			p.send([]batch{b}, func(b batch, _ int64, code int16) { p.settled(l, b, code) })
			if p.connection == nil {
				return // see sendAgain
			}
		}
	}
}

func (p *producer) askForID() {
	if p.asking {
		return
	}
	p.asking = true
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 1
	p.ask(req, func(answered kmsg.Response) {
		p.asking = false
		if answered == nil {
			return
		}
		got := answered.(*kmsg.InitProducerIDResponse)
		if got.ErrorCode != 0 {
			p.world.fail("%s asked for a producer id and got %s", p.name, errorName(got.ErrorCode))
			return
		}
		p.world.model.newProducerID(got.ProducerID)
		p.id = got.ProducerID
		for _, l := range p.lanes {
			for _, b := range l.waiting {
				setProducerID(b.bytes, p.id)
			}
		}
		p.sendLanes()
	})
}

// sendAgain goes on after the connection has ended.
func (p *producer) sendAgain() {
	waiting := slices.ContainsFunc(p.lanes, func(l *lane) bool { return len(l.waiting) > 0 })
	if !p.idempotent || !waiting || p.world.auditing {
		return
	}
	if !p.connect() {
		p.world.machine.After(patience, p.sendAgain)
		return
	}
	p.sendLanes()
}

// settled takes what a batch's answer says.
func (p *producer) settled(l *lane, b batch, code int16) {
	i := slices.IndexFunc(l.waiting, func(x batch) bool { return &x.bytes[0] == &b.bytes[0] })
	if i < 0 {
		return // it was given up
	}
	switch code {
	case 0:
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.inFlight--
		p.sendLanes()
	case unanswered:
		l.inFlight = 0
	default:
		l.failed = true // so what is in flight behind it fails too
		p.giveUp()
	}
}

// giveUp leaves the fate of what was sent open, and begins with another id.
func (p *producer) giveUp() {
	p.lanes, p.id = nil, -1
}
