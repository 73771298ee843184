package fetch

import (
	"errors"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// evaluation is a possible answer to a fetch, as of now. The fetcher has one: evaluate fills it, and the caller reads it before the
// next evaluation.
type evaluation struct {
	fetch   *Fetch
	results []result // one for each of the partitions that the fetch wants
	// readable counts towards min_bytes; sent is the part of it that fits the response.
	readable, sent int64
	// final says that waiting is useless: no partition, one with an error, or one whose records continue in another segment.
	final bool
	// cold says that a partition's records cannot be located without reading the disk.
	cold        bool
	from        int        // the partition that is served first
	firstServed *Partition // the first with records
	errorCode   int16      // of the whole request

	response
}

// result is one partition's part of the answer.
type result struct {
	wire.FetchResult
	partition *Partition // nil if there is none: then missing says why
	missing   int16
	records   segment.Range // to be sent
	// found begins at the fetch's offset. Its segment is nil after an error, or if the partition was passed over.
	found segment.Range
	// readable is how many bytes count towards min_bytes; ended says that more follow in another segment.
	readable int64
	ended    bool
	cold     bool            // the disk has to be asked
	looked   *segment.Lookup // what it answered
	repeated bool            // the fetch named the partition before: it has no records here
	silent   bool            // the session's client knows all of this already
}

// evaluate finds the answer for each partition. It begins behind the one that came first in the last response, so that none is
// starved by those before it.
func (f *Fetch) evaluate() *evaluation {
	fr := f.fetcher
	e := &fr.evaluation
	wants := f.wants()
	e.begin(f, wants)
	fr.evaluations.fetches++
	fr.evaluations.partitions += uint64(len(wants))
	left, first := f.maxBytes(), true
	for n := range wants {
		i := e.from + n
		if i >= len(wants) {
			i -= len(wants)
		}
		r, want := &e.results[i], &wants[i]
		e.evaluateOne(r, want, left, first)
		took := r.records.Len
		switch {
		case r.cold: // leave room for it, so that no lookup is made for what will not fit
			e.cold = true
			took = min(left, int64(max(want.PartitionMaxBytes, 1)))
		case took > 0 && first:
			e.firstServed = r.partition
		}
		first = first && took == 0
		left = max(left-took, 0)
		e.sent += r.records.Len
		e.readable += r.readable
		e.final = e.final || r.ErrorCode != 0 || r.ended
	}
	return e
}

// begin finds the partitions of a fetch, and the one that is served first.
func (e *evaluation) begin(f *Fetch, wants []wire.FetchPartition) {
	*e = evaluation{fetch: f, results: e.results[:0], response: e.response, final: len(wants) == 0}
	for i := range wants {
		p, code := f.fetcher.find(wants[i].Topic, wants[i].Partition)
		if p != nil && p == f.served && i+1 < len(wants) {
			e.from = i + 1
		}
		e.results = append(e.results, result{partition: p, missing: code})
	}
	for _, l := range f.lookups.list {
		e.results[l.partition].looked = l.search
	}
}

// evaluateOne evaluates a partition for a response with room for left bytes. Its first batch may be larger.
func (e *evaluation) evaluateOne(r *result, want *wire.FetchPartition, left int64, first bool) {
	f, p := e.fetch, r.partition
	r.FetchResult = wire.FetchResult{ErrorCode: r.missing, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1}
	if p == nil {
		return
	}
	if r.ErrorCode = p.CheckLeaderEpoch(want.CurrentLeaderEpoch); r.ErrorCode != 0 {
		return
	}
	r.HighWatermark = p.Log.HighWatermark()
	r.LastStableOffset = p.Log.LastStableOffset()
	r.LogStartOffset = p.Log.LogStartOffset()
	if want.FetchOffset < r.LogStartOffset || want.FetchOffset > r.HighWatermark {
		mark.HitIf(want.FetchOffset < r.LogStartOffset, "a fetch asked for an offset below the start of the log")
		mark.HitIf(want.FetchOffset > r.HighWatermark, "a fetch asked for an offset above the high watermark")
		r.ErrorCode = wire.CodeOffsetOutOfRange
		return
	}
	unstable := f.request.Isolation == readCommitted && r.LastStableOffset < r.HighWatermark
	r.repeated = !f.fetcher.evaluations.first(p)
	mark.HitIf(r.repeated, "a fetch named a partition twice")
	if r.repeated || left == 0 && !first || unstable && want.FetchOffset >= r.LastStableOffset {
		return
	}
	limit := int64(max(want.PartitionMaxBytes, 0))
	found, err := r.read(want.FetchOffset, min(limit, left))
	if err != nil {
		e.unread(r, err)
		return
	}
	behind, ended := p.Log.Behind(found)
	r.found, r.readable, r.ended = found, max(min(behind, limit), found.Len), ended
	mark.HitIf(found.Len > min(limit, left) && first, "a first batch was larger than the limit of its fetch")
	mark.HitIf(found.Len > min(limit, left) && !first, "a batch was left for the next fetch")
	if found.Len == 0 || found.Len > min(limit, left) && !first {
		return
	}
	r.records = found
	if unstable {
		r.cutUnstable()
	}
	if f.version < zstdFrom && r.records.Len > 0 {
		e.cutZstd(r)
	}
	r.RecordsBytes = int32(r.records.Len)
}

// read reads at an offset, with the result of the lookup for it.
func (r *result) read(offset, maxBytes int64) (segment.Range, error) {
	if r.looked != nil {
		return r.partition.Log.Looked(r.looked, offset, maxBytes)
	}
	return r.partition.Log.Read(offset, maxBytes)
}

// unread notes why a partition has no records.
func (e *evaluation) unread(r *result, err error) {
	r.records = segment.Range{}
	switch {
	case errors.Is(err, segment.ErrCold):
		r.cold = true
	case errors.Is(err, segment.ErrOffsetOutOfRange):
		r.ErrorCode = wire.CodeOffsetOutOfRange
	default:
		mark.Hit("a fetch failed because its segment could not be read")
		r.ErrorCode = wire.CodeKafkaStorageError
		fr := e.fetch.fetcher
		fr.warnings.Warn(fr.loop, "fetch failed", "topic", r.partition.Topic, "partition", r.partition.Index, "error", err)
	}
}
