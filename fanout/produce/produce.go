package produce

import (
	"fmt"
	"slices"
	"time"
	"unsafe"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/heap"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// Conn is the connection that a produce came from.
type Conn interface {
	// Open says that the client is still there.
	Open() bool
	// Pin keeps the frame where it is, and the connection from starting another request, until as many Unpins.
	Pin()
	Unpin()
	// Respond sends a response, which it copies. If there is no room for it, it calls [Produce.SendAgain] when there is. Like
	// RespondNothing it may start the next request at once.
	Respond(encoded []byte)
	RespondNothing()
	// Refuse closes the connection of a produce that has no response.
	Refuse(err error)
}

// Produce is the produce of one connection. It serves one request after the other, and must not move.
type Produce struct {
	producer *Producer
	conn     Conn

	// The request under way, whose topics and batches alias the frame.
	request       wire.ProduceRequest
	version       int16
	correlationID int32
	parts         []part
	unsettled     int // parts without an answer
	writing       int // parts that wait for their write, or for its end
	deadline      time.Duration
	place         heap.Place // in Producer.parked
}

// part is one partition of a produce: its batch, its append, and its result.
type part struct {
	wire.ProduceResult
	produce *Produce
	settled bool // the answer is known

	partition *commit.Partition // nil once the check is over, or if the batch is refused whatever it is
	rules     segment.Rules
	unchecked bool
	err       error // of the check
	append    commit.Append
	wait      commit.Waiter // for the high watermark
}

// Open begins the produces of a connection.
func (p *Produce) Open(pr *Producer, c Conn) { p.producer, p.conn = pr, c }

// Close ends the wait of the request under way, whose client has gone.
func (p *Produce) Close() { p.unpark() }

// Start serves a request. It returns an error if the request cannot be parsed; room bounds its partitions.
func (p *Produce) Start(h *wire.Header, room int) error {
	if p.writing > 0 || p.place.Linked() {
		panic(fmt.Sprintf("produce: a produce starts while %d parts of the one before are written (parked: %v)", p.writing, p.place.Linked()))
	}
	p.request.Room = room
	if err := p.Parse(h); err != nil {
		return err
	}
	p.version, p.correlationID = h.Version, h.CorrelationID
	n := len(p.request.Partitions)
	p.parts = slices.Grow(p.parts[:0], n)[:n]
	clear(p.parts)
	for i := range p.parts {
		p.parts[i].produce = p
	}
	p.unsettled = n
	if p.check() {
		p.write()
	}
	return nil
}

// Parse reads the request under way, again if its frame was moved.
func (p *Produce) Parse(h *wire.Header) error { return p.request.Parse(h.Version, h.Body) }

// Named is how many partitions the request names, though there may be no room for them.
func (p *Produce) Named() int { return p.request.Named }

// ListBytesPerPartition is the most list memory for a partition of a request: twice its size, because a list that grows is copied.
const ListBytesPerPartition = 2 * int64(unsafe.Sizeof(wire.ProducePartition{})+unsafe.Sizeof(part{}))

// ListBytes is the size of the lists.
func (p *Produce) ListBytes() int64 {
	const partition, own = int64(unsafe.Sizeof(wire.ProducePartition{})), int64(unsafe.Sizeof(part{}))
	return partition*int64(cap(p.request.Partitions)) + own*int64(cap(p.parts))
}

// DropLists frees the lists between two requests.
func (p *Produce) DropLists() {
	if p.writing > 0 || p.place.Linked() {
		panic(fmt.Sprintf("produce: the lists are dropped while %d parts are written (parked: %v)", p.writing, p.place.Linked()))
	}
	p.request, p.parts = wire.ProduceRequest{}, nil
}

// write appends the valid batches, and answers if there are none.
func (p *Produce) write() {
	pr := p.producer
	for i := range p.parts {
		r := &p.parts[i]
		to := r.partition
		r.partition = nil
		switch {
		case to == nil: // refused already
			r.settled = true
			p.unsettled--
		case r.err != nil:
			pr.failed(to, r.err)
			r.ProduceResult, r.settled = refusal(r.err), true
			p.unsettled--
		default:
			if p.writing++; p.writing == 1 {
				p.conn.Pin()
			}
			r.append.Owner = r
			pr.committer.Append(to, &r.append)
		}
	}
	switch {
	case p.unsettled == 0:
		p.answer()
	case p.request.Acks != 0:
		p.park()
	}
}

// Appended implements [commit.AppendOwner]: a part was written, or its write failed.
func (r *part) Appended(to *commit.Partition, appended segment.Appended, err error) {
	p := r.produce
	pr := p.producer
	switch {
	case err != nil:
		pr.failed(to, err)
	case appended.Duplicate:
		pr.stats.Duplicates++
	default:
		pr.stats.PublishedBytes += uint64(appended.Bytes)
		pr.stats.PublishedRecords += uint64(appended.Records)
	}
	if p.writing--; p.writing < 0 {
		panic("produce: more parts of a produce were written than appended")
	}
	last := p.writing == 0
	mark.HitIf(!p.conn.Open(), "a client left before its batch was written")
	if p.conn.Open() && !r.settled { // else nobody waits for it
		r.appended(to, appended, err)
	}
	if last {
		p.conn.Unpin()
	}
}

// appended settles a part whose append has ended, unless it has to wait for the sync.
func (r *part) appended(to *commit.Partition, appended segment.Appended, err error) {
	if err != nil {
		r.settle(refusal(err))
		return
	}
	r.ProduceResult = wire.ProduceResult{
		BaseOffset:          appended.BaseOffset,
		LogAppendTimeMillis: appended.AppendTimeMillis,
		LogStartOffset:      appended.LogStartOffset,
	}
	// A duplicate waits too: its first copy may not be synced yet.
	if r.produce.request.Acks != 0 && to.Policy().Waits() && appended.LastOffset >= to.Log.HighWatermark() {
		mark.HitIf(appended.Duplicate, "a batch that came again waited for the sync of the first")
		r.wait.Owner = r
		r.produce.producer.committer.Await(to, &r.wait, appended.LastOffset)
		return
	}
	r.settle(r.ProduceResult)
}

// Committed implements [commit.WaitOwner].
func (r *part) Committed(err error) {
	if err != nil {
		r.ProduceResult = refusal(err)
	}
	r.settle(r.ProduceResult)
}

// settle records one part's result, and answers the produce with the last.
func (r *part) settle(result wire.ProduceResult) {
	p := r.produce
	if r.settled || p.unsettled < 1 {
		panic(fmt.Sprintf("produce: a part is settled that was settled before (%v), or of a produce that was answered: %d are left",
			r.settled, p.unsettled))
	}
	r.ProduceResult, r.settled = result, true
	if p.unsettled--; p.unsettled == 0 {
		p.unpark()
		p.answer()
	}
}

// answer answers a produce whose parts are settled.
func (p *Produce) answer() {
	if p.request.Acks != 0 {
		p.SendAgain()
		return
	}
	for i := range p.parts {
		if r := &p.parts[i]; r.ErrorCode != 0 {
			mark.Hit("a produce that wants no answer was refused")
			p.conn.Refuse(fmt.Errorf("a produce with acks=0 was refused with error %d: %s", r.ErrorCode, r.ErrorMessage))
			return
		}
	}
	mark.Hit("a produce that wants no answer was written")
	p.conn.RespondNothing()
}

// SendAgain sends the response, again if there was no room for it.
func (p *Produce) SendAgain() {
	if p.unsettled != 0 || p.place.Linked() {
		panic(fmt.Sprintf("produce: a produce is answered, %d of its parts are not settled", p.unsettled))
	}
	result := func(i int) *wire.ProduceResult { return &p.parts[i].ProduceResult }
	scratch := &p.producer.loop.Scratch
	encoded := wire.AppendProduceResponse(scratch.Empty(), p.version, p.correlationID, &p.request, result)
	scratch.Keep(encoded)
	p.conn.Respond(encoded)
}
