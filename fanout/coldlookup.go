package fanout

import (
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// coldLookups are the searches for where fetches begin and end that have to read the disk, because the pages that tell are
// not in the page cache. They run in the background, some at a time. Fetches that ask for the same share one.
//
//	evaluate --cold--> lookUp --> queue --> running --> lookedUp --> evaluate, with what was found
//
// A fetch whose connection ends is forgotten; a search that nobody waits for any more is not begun. What was found is
// compared with the log again before it is used, which may have changed meanwhile: see [segment.Log.Looked].
type coldLookups struct {
	running int
	queue   []*coldLookup
	byKey   map[lookupKey]*coldLookup // those that have not ended
	begun   uint64
}

// lookupKey is what a lookup is about.
type lookupKey struct {
	segment          *segment.Segment
	offset, maxBytes int64
	codec            records.Codec
}

type coldLookup struct {
	key     lookupKey
	search  *segment.Lookup
	waiting []connID
}

// connID names a connection for as long as it lives.
type connID struct{ slot, generation uint32 }

const (
	// maxColdLookups run at once: enough for the queue of a disk. Each has a thread that waits.
	maxColdLookups = 32
	// maxFetchLookups are made for one fetch at once, so that a request of many partitions takes no more than its share of
	// memory. The others come first the next time.
	maxFetchLookups = 16
	// maxFetchRounds is how often a fetch is looked up without a record to send, which happens only if the log changes under it.
	maxFetchRounds = 8
)

// fetchLookups are those of one fetch. What was looked up is kept until the fetch is answered, or waits for more to be
// published.
type fetchLookups struct {
	list   []partitionLookup
	left   int // that have not ended
	rounds int
}

type partitionLookup struct {
	partition int // its place in the fetch
	search    *segment.Lookup
}

// waits says that the fetch waits for the disk.
func (l *fetchLookups) waits() bool { return l.left > 0 }

// made says that the disk was asked for this fetch already.
func (l *fetchLookups) made() bool { return l.rounds > 0 }

func (l *fetchLookups) addTo(results []fetchResult) {
	for i := range l.list {
		results[l.list[i].partition].looked = l.list[i].search
	}
}

func (l *fetchLookups) forget() {
	clear(l.list)
	*l = fetchLookups{list: l.list[:0]}
}

// lookUp begins to look up the cold partitions of a fetch that was evaluated, in the order in which it takes them. It
// reports false if that has been tried often enough, or the server stops.
func (b *Broker) lookUp(c *client, from int) bool {
	l := &c.lookups
	if b.stopping || l.rounds == maxFetchRounds {
		return false
	}
	l.rounds++
	clear(l.list)
	l.list = l.list[:0]
	wants := c.fetches()
	codec := records.None
	if c.header.Version < zstdFrom {
		codec = records.Zstd
	}
	for n := 0; n < len(wants) && l.left < maxFetchLookups; n++ {
		i := (from + n) % len(wants)
		r, want := &b.results[i], &wants[i]
		if r.cold {
			limit := min(int64(max(want.PartitionMaxBytes, 0)), b.maxBytes(c))
			l.left++
			l.list = append(l.list, partitionLookup{i, b.lookups.join(c, r.partition.log, want.FetchOffset, limit, codec)})
		}
	}
	b.beginLookups()
	return true
}

// join lets the connection wait for a lookup, which is begun unless there is one.
func (l *coldLookups) join(c *client, log *segment.Log, offset, maxBytes int64, codec records.Codec) *segment.Lookup {
	search := log.Lookup(offset, maxBytes, codec)
	key := lookupKey{search.Segment(), offset, maxBytes, codec}
	job := l.byKey[key]
	if job == nil {
		if l.byKey == nil {
			l.byKey = make(map[lookupKey]*coldLookup)
		}
		job = &coldLookup{key: key, search: search}
		l.byKey[key] = job
		l.queue = append(l.queue, job)
	} else {
		search.Release()
	}
	job.waiting = append(job.waiting, connID{c.slot, c.generation})
	return job.search
}

// beginLookups runs what waits in the queue, as far as there is room.
func (b *Broker) beginLookups() {
	l := &b.lookups
	for len(l.queue) > 0 && l.running < maxColdLookups {
		job := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		if !b.anybodyWaits(job) {
			b.endLookup(job)
			continue
		}
		l.running++
		l.begun++
		b.loop.Go(job.search.Run, func() {
			l.running--
			b.lookedUp(job)
		})
	}
}

func (b *Broker) anybodyWaits(job *coldLookup) bool {
	for _, id := range job.waiting {
		if b.stillOpen(id.slot, id.generation) != nil {
			return true
		}
	}
	return false
}

func (b *Broker) endLookup(job *coldLookup) {
	delete(b.lookups.byKey, job.key)
	job.search.Release()
}

// lookedUp goes on with the fetches that have waited for a lookup.
func (b *Broker) lookedUp(job *coldLookup) {
	b.endLookup(job)
	for _, id := range job.waiting {
		c := b.stillOpen(id.slot, id.generation)
		if c == nil {
			continue
		}
		if c.lookups.left--; c.lookups.left > 0 {
			continue
		}
		b.tryFetch(c)
		if c.state == connOpen {
			if err := c.chargeLists(); err != nil {
				c.close(closedByMemory, err)
			}
		}
	}
	b.beginLookups()
}
