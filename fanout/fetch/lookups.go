package fetch

import (
	"fmt"
	"slices"

	"oneplusn/fanout/loop"
	"oneplusn/segment"
	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// lookups find where records begin and end when the pages of the index or of the batch headers are not in the page cache. They read
// the disk in the background, some at a time, and fetches that need the same lookup share it.
//
//	evaluate --cold--> lookUp --> queue --> running --> lookedUp --> evaluate, with what was found
//
// A lookup whose fetches are all gone is not begun. Its result is compared with the log again before use, because the log may have
// changed meanwhile: see [segment.Log.Looked].
type lookups struct {
	queue loop.Bounded
	byKey map[lookupKey]*lookup // those that have not ended
	begun uint64
}

// lookupKey identifies a lookup; fetches with the same one share it.
type lookupKey struct {
	segment          *segment.Segment
	offset, maxBytes int64
	codec            records.Codec
}

type lookup struct {
	key     lookupKey
	search  *segment.Lookup
	waiting []waiter
}

// waiter is a fetch and its life number: the slot may get another client.
type waiter struct {
	fetch *Fetch
	life  uint64
}

func (w waiter) waits() bool { return w.fetch.life == w.life }

const (
	// maxLookups run at once: enough for the queue of a disk. Each has a thread that waits.
	maxLookups = 32
	// maxFetchLookups are made for one fetch at once, so that a request of many partitions takes no more than its share of
	// memory. The others come first the next time.
	maxFetchLookups = 16
	// maxFetchRounds is how many lookups a fetch may need without a record to send, which happens only if the log changes under it.
	maxFetchRounds = 8
)

// fetchLookups are those of one fetch. They are kept until the fetch is answered or parked.
type fetchLookups struct {
	list   []partitionLookup
	left   int // that have not ended
	rounds int
}

type partitionLookup struct {
	partition int // which of the fetch's
	search    *segment.Lookup
}

func (l *fetchLookups) forget() {
	clear(l.list)
	*l = fetchLookups{list: l.list[:0]}
}

// mayLookUp reports whether the fetch has lookups left.
func (f *Fetch) mayLookUp() bool { return !f.fetcher.stopping && f.lookups.rounds < maxFetchRounds }

// lookUp begins to look up the cold partitions, in the order in which they are served.
func (f *Fetch) lookUp(e *evaluation) {
	f.mustBeUnderWay(e, "looked up")
	l := &f.lookups
	mark.HitIf(l.rounds > 0, "a fetch asked the disk once more")
	l.rounds++
	clear(l.list)
	l.list = l.list[:0]
	codec := records.None
	if f.version < zstdFrom {
		codec = records.Zstd
	}
	wants := f.wants()
	for n := 0; n < len(wants) && l.left < maxFetchLookups; n++ {
		i := (e.from + n) % len(wants)
		if r, want := &e.results[i], &wants[i]; r.cold {
			limit := min(int64(max(want.PartitionMaxBytes, 0)), f.maxBytes())
			l.left++
			l.list = append(l.list, partitionLookup{i, f.join(r.partition.Log, want.FetchOffset, limit, codec)})
		}
	}
	if l.left == 0 {
		panic(fmt.Sprintf("fetch: a fetch of %d partitions is looked up, none of them is cold", len(wants)))
	}
	f.fetcher.loop.Record(eventLookUp, int64(l.left), int64(l.rounds))
}

// join makes the fetch wait for a lookup, and queues it if it is new.
func (f *Fetch) join(log *segment.Log, offset, maxBytes int64, codec records.Codec) *segment.Lookup {
	fr := f.fetcher
	search := log.Lookup(offset, maxBytes, codec)
	key := lookupKey{search.Segment(), offset, maxBytes, codec}
	job := fr.lookups.byKey[key]
	if job != nil {
		mark.Hit("two fetches shared a lookup")
		search.Release()
		job.waiting = append(job.waiting, waiter{f, f.life})
		return job.search
	}
	job = &lookup{key: key, search: search, waiting: []waiter{{f, f.life}}}
	fr.lookups.byKey[key] = job
	fr.lookups.queue.Go(fr.loop, func() (work, done func()) {
		if !job.wanted() {
			mark.Hit("a lookup was not wanted any more")
			fr.endLookup(job)
			return nil, nil
		}
		fr.lookups.begun++
		return search.Run, func() { fr.lookedUp(job) }
	})
	return search
}

// wanted says that a fetch waits for the lookup.
func (job *lookup) wanted() bool {
	return slices.ContainsFunc(job.waiting, waiter.waits)
}

func (fr *Fetcher) endLookup(job *lookup) {
	delete(fr.lookups.byKey, job.key)
	job.search.Release()
}

// lookedUp goes on with the fetches that have waited for a lookup.
func (fr *Fetcher) lookedUp(job *lookup) {
	fr.endLookup(job)
	for _, w := range job.waiting {
		if !w.waits() {
			mark.Hit("a client left while its fetch was looked up")
			continue
		}
		if w.fetch.lookups.left--; w.fetch.lookups.left < 0 {
			panic("fetch: more lookups of a fetch ended than it waited for")
		}
		if w.fetch.lookups.left == 0 {
			w.fetch.try()
		}
	}
}
