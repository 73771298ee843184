package fanout

import (
	"golang.org/x/sys/unix"

	"oneplusn/fanout/wire"
)

// readCommitted is the isolation level of consumers that are to see nothing of open and aborted transactions.
const readCommitted = 1

// addAborted adds to the answer for a partition the aborted transactions that have records in its range, or a little
// behind it: a consumer leaves alone what it meets no record of.
func (b *Broker) addAborted(r *fetchResult, fetchOffset int64) {
	to := min(r.LastStableOffset, r.rng.Segment.NextOffset())
	b.aborted = r.partition.log.Aborted(b.aborted[:0], fetchOffset, to)
	b.skipped = b.skipped[:0]
	for _, a := range b.aborted {
		b.skipped = append(b.skipped, wire.AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
	}
	r.Aborted = b.skipped
}

// cutUnstable ends a range at the last stable offset. Where the batch that begins there cannot be found without
// waiting for the disk, the range ends at a batch before it, or is empty until its pages have been read.
func (b *Broker) cutUnstable(r *fetchResult, fetchOffset int64) {
	rng := r.rng
	r.rng.Len, r.RecordsBytes = 0, 0
	if fetchOffset >= r.LastStableOffset {
		return
	}
	end, err := r.partition.log.Read(r.LastStableOffset, 1)
	switch {
	case err != nil:
	case end.Segment != rng.Segment:
		r.rng = rng // it ends with its segment, before the last stable offset
	case end.Pos >= rng.Pos+rng.Len:
		r.rng = rng
	case end.Pos > rng.Pos:
		r.rng = rng
		r.rng.Len = end.Pos - rng.Pos
	default:
		b.warm(r.partition, rng.Segment.Fd(), rng.Segment, rng.Pos)
	}
	r.RecordsBytes = int32(r.rng.Len)
}

// holder is what keeps a file open while somebody reads it.
type holder interface {
	Retain()
	Release()
}

// warmBytes is more than the distance of two entries of an index and a batch's header.
const warmBytes = 1 << 20

// warm reads the pages at a position in the background, and then lets the fetches that wait for the partition be looked
// at again.
func (b *Broker) warm(p *partition, fd int, file holder, at int64) {
	if p.warming {
		return
	}
	p.warming = true
	file.Retain()
	b.background(func() func() {
		buf := make([]byte, 64<<10)
		for from := at; from < at+warmBytes; {
			n, err := unix.Pread(fd, buf, from)
			if n <= 0 || err != nil {
				break
			}
			from += int64(n)
		}
		return func() {
			file.Release()
			p.warming = false
			b.markGrown(p)
		}
	})
}
