package fetch

import (
	"fmt"
	"time"
	"unsafe"

	"oneplusn/fanout/heap"
	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// Conn is the connection of a fetch.
type Conn interface {
	// Place copies header bytes to where the kernel may read them. If there is no room ok is false: the connection calls
	// [Fetch.SendAgain] when there is, or closes.
	Place(header []byte) (mem []byte, ok bool)
	// Parts is the empty list of the parts of a response.
	Parts() []transfer.Part
	// Send sends a response. It may end the fetch and start the next at once.
	Send(parts []transfer.Part)
	// Fail closes the connection.
	Fail(err error)
	// ChargeLists charges what [Fetch.ListBytes] has grown to, or closes the connection.
	ChargeLists()
}

// Fetch is the fetch of one connection. It is used for one request after the other, and must not move.
type Fetch struct {
	fetcher *Fetcher
	conn    Conn
	life    uint64 // counts connections: what comes back late compares it

	// The request under way. Its topics' names alias the frame.
	request       wire.FetchRequest
	version       int16
	correlationID int32
	deadline      time.Duration // when the client has waited for long enough
	incremental   bool          // the request names only what has changed in the session
	answerSession int32         // the session id to answer with
	lookups       fetchLookups

	// While it is parked: see park.
	parked   bool
	place    heap.Place
	waits    []wait // one for each partition
	readable int64  // the sum over its partitions

	// State that outlives a request.
	session session
	served  *Partition // came first in the last response with records
}

// ListBytesPerPartition is the most that a partition of a request adds to [Fetch.ListBytes], twice: a list that grows is copied.
const ListBytesPerPartition = 2 * (partitionBytes + forgottenBytes + waitBytes)

const (
	partitionBytes = int64(unsafe.Sizeof(wire.FetchPartition{}))
	forgottenBytes = int64(unsafe.Sizeof(wire.ForgottenPartition{}))
	waitBytes      = int64(unsafe.Sizeof(wait{}))
)

// maxWait caps how long a fetch may wait, so that each connection is answered now and then.
const maxWait = 5 * time.Minute

// Open readies the fetch for a new connection.
func (f *Fetch) Open(fr *Fetcher, c Conn) { f.fetcher, f.conn = fr, c }

// End ends the fetch under way and the session: the connection ends. Memory for lists stays.
func (f *Fetch) End() {
	f.life++
	f.unpark()
	f.lookups.forget()
	f.endSession()
	f.served = nil
}

// Start answers a request, or lets it wait. It fails with [wire.ErrNoRoom] if the request names more than room partitions.
func (f *Fetch) Start(h *wire.Header, room int) error {
	if f.Waits() {
		panic("fetch: a request starts while the connection's last one waits")
	}
	f.request.Room = room
	if err := f.Parse(h); err != nil {
		return err
	}
	f.version, f.correlationID = h.Version, h.CorrelationID
	f.deadline = f.fetcher.loop.Now() + min(time.Duration(f.request.MaxWaitMillis)*time.Millisecond, maxWait)
	if code := f.enterSession(); code != 0 {
		e := &f.fetcher.evaluation
		e.begin(f, nil)
		e.errorCode = code
		f.respond(e)
		return nil
	}
	f.try()
	return nil
}

// Parse reads the request again after its frame has moved.
func (f *Fetch) Parse(h *wire.Header) error { return f.request.Parse(h.Version, h.Body) }

// try answers the fetch, or lets it wait: for the disk, or for its partitions to advance.
func (f *Fetch) try() {
	if f.parked {
		panic("fetch: a parked fetch is evaluated")
	}
	switch e := f.evaluate(); {
	case e.cold && (e.sent == 0 || f.lookups.rounds == 0) && f.mayLookUp():
		f.lookUp(e)
	case e.cold || e.final || e.readable >= f.minBytes() || f.fetcher.loop.Now() >= f.deadline || f.fetcher.stopping:
		mark.HitIf(!e.cold && !e.final && e.readable < f.minBytes(), "a fetch ended by its time with less than it waited for")
		f.respond(e)
	default:
		f.park(e)
	}
}

// SendAgain answers the fetch again, after there was no memory for its response.
func (f *Fetch) SendAgain() {
	f.session.forgetSent()
	f.try()
}

// HurryParked answers a parked fetch with the data at hand, and reports whether it was parked.
func (f *Fetch) HurryParked() bool {
	if !f.parked {
		return false
	}
	f.unpark()
	f.deadline = f.fetcher.loop.Now()
	f.try()
	return true
}

// Waits says that the fetch waits for its partitions or for lookups, which answer it.
func (f *Fetch) Waits() bool { return f.parked || f.lookups.left > 0 }

// wants are the partitions to answer: with a session those of the session, also for the full request that begins it, since a
// request may name a partition twice and a session has it once.
func (f *Fetch) wants() []wire.FetchPartition {
	if f.incremental || f.answerSession != 0 {
		return f.session.partitions
	}
	return f.request.Partitions
}

// maxBytes is how many bytes of records the response may have.
func (f *Fetch) maxBytes() int64 {
	return int64(min(max(f.request.MaxBytes, 0), f.fetcher.config.MaxBytes))
}

// minBytes is how many a fetch waits for, at most as many as its response may have.
func (f *Fetch) minBytes() int64 { return min(int64(f.request.MinBytes), f.maxBytes()) }

// Named is how many partitions the last request named.
func (f *Fetch) Named() int { return f.request.Named }

// ListBytes is the memory of the lists of partitions.
func (f *Fetch) ListBytes() int64 {
	return partitionBytes*int64(cap(f.request.Partitions)) + forgottenBytes*int64(cap(f.request.Forgotten)) + waitBytes*int64(cap(f.waits))
}

// DropLists frees the lists of partitions. No request may be under way.
func (f *Fetch) DropLists() {
	if f.parked {
		panic(fmt.Sprintf("fetch: the lists of a parked fetch of %d partitions are dropped", len(f.waits)))
	}
	f.request, f.waits = wire.FetchRequest{}, nil
}
