package fetch

import (
	"fmt"

	"oneplusn/fanout/heap"
	"oneplusn/segment"
	"oneplusn/segment/invariants"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// wait is one partition of a parked fetch, linked into the partition's list.
type wait struct {
	node     list.Node[*wait]
	fetch    *Fetch
	want     int           // which of the fetch's partitions
	from     segment.Range // begins at the fetch's offset
	readable int64         // bytes from there on that count towards min_bytes
}

// Before orders parked fetches by their deadlines.
func (f *Fetch) Before(other *Fetch) bool { return f.deadline < other.deadline }

// HeapPlace is where the fetch is among the parked ones.
func (f *Fetch) HeapPlace() *heap.Place { return &f.place }

// park lets a fetch that was just evaluated wait for its partitions to advance, or for its deadline.
func (f *Fetch) park(e *evaluation) {
	f.mustBeUnderWay(e, "parked")
	n := len(e.results)
	grew := cap(f.waits) < n
	if grew {
		f.waits = make([]wait, n)
	}
	f.waits = f.waits[:n]
	for i := range f.waits {
		r, w := &e.results[i], &f.waits[i]
		if w.node.Linked() {
			panic(fmt.Sprintf("fetch: partition %d of a fetch is waited for twice", i))
		}
		*w = wait{fetch: f, want: i, from: r.found, readable: r.readable}
		if !r.repeated {
			r.partition.waiting.PushBack(&w.node, w)
		}
	}
	f.readable = e.readable
	f.lookups.forget()
	f.fetcher.loop.Record(eventPark, int64(n), e.readable)
	f.parked = true
	f.fetcher.parked.Push(f)
	if grew {
		f.conn.ChargeLists()
	}
}

// unpark takes the fetch off every list that it waits on.
func (f *Fetch) unpark() {
	if f.parked != f.place.Linked() {
		panic(fmt.Sprintf("fetch: parked is %v, among the parked ones %v", f.parked, f.place.Linked()))
	}
	if !f.parked {
		return
	}
	if invariants.Enabled {
		f.recount()
	}
	f.parked = false
	f.fetcher.parked.Remove(f)
	for i := range f.waits {
		f.waits[i].node.Remove()
		f.waits[i].from = segment.Range{} // its segment may be gone before the next use
	}
}

// resume answers a parked fetch, or parks it again.
func (f *Fetch) resume() {
	f.unpark()
	f.try()
}

// recount asserts that the readable bytes of the partitions add up to the fetch's sum.
func (f *Fetch) recount() {
	sum := int64(0)
	for i := range f.waits {
		sum += f.waits[i].readable
	}
	if sum != f.readable {
		panic(fmt.Sprintf("fetch: %d bytes are readable for a parked fetch, its partitions have %d", f.readable, sum))
	}
}

// WakeAdvanced answers the fetches for which partitions have advanced far enough. Their operations are only queued here; the
// next Wait submits them all at once.
func (fr *Fetcher) WakeAdvanced() {
	done := 0
	for ; done < len(fr.advanced); done++ {
		p := fr.advanced[done]
		p.advanced = false // it may advance again meanwhile
		if !fr.wake(p) {
			p.advanced = true
			break
		}
	}
	left := copy(fr.advanced, fr.advanced[done:])
	clear(fr.advanced[left:])
	fr.advanced = fr.advanced[:left]
}

// wake reports false if the rest has to wait for the next turn.
func (fr *Fetcher) wake(p *Partition) bool {
	// Those that still have too little go to the end of the list; n stops before they are met again.
	for n := p.waiting.Len(); n > 0 && p.waiting.Len() > 0; n-- {
		if fr.evaluations.enough() {
			return false
		}
		w := p.waiting.First().Value()
		if !p.removed && !w.ready(p) {
			mark.Hit("a parked fetch waited on, it had too little")
			p.waiting.MoveToBack(&w.node)
			continue
		}
		mark.HitIf(p.removed, "a topic was deleted under a parked fetch")
		w.fetch.resume()
	}
	return true
}

// ready adds newly readable bytes to the fetch's sum, and reports whether the fetch can be answered.
func (w *wait) ready(p *Partition) bool {
	f := w.fetch
	want := &f.wants()[w.want]
	switch {
	case want.FetchOffset < p.Log.LogStartOffset():
		mark.Hit("records were deleted under a parked fetch")
		return true
	case f.request.Isolation == readCommitted && p.Log.LastStableOffset() < p.Log.HighWatermark():
		return false // it advances behind what the fetch may have
	case w.from.Segment == nil:
		return true
	}
	readable, ended := p.Log.Behind(w.from)
	readable = max(min(readable, int64(max(want.PartitionMaxBytes, 0))), w.readable)
	f.readable += readable - w.readable
	w.readable = readable
	mark.HitIf(ended, "a segment ended under a parked fetch")
	mark.HitIf(f.readable >= f.minBytes(), "a parked fetch got the bytes that it waited for")
	return ended || f.readable >= f.minBytes()
}

// Expire answers the fetches whose deadline has passed.
func (fr *Fetcher) Expire() {
	for fr.parked.Len() > 0 && fr.parked.First().deadline <= fr.loop.Now() && !fr.evaluations.enough() {
		fr.parked.First().resume()
	}
}
