package fetch

import (
	"bytes"
	"fmt"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/invariants"
)

// response is the memory in which responses are encoded, one after the other.
type response struct {
	header  []byte // all header bytes
	cuts    []int  // where each partition's end: its records follow
	aborted []segment.AbortedTransaction
	skipped []wire.AbortedTransaction
}

// respond sends what was evaluated. The frame's size is fixed and its segments are held before the first byte leaves.
func (f *Fetch) respond(e *evaluation) {
	if f.answerSession != 0 {
		for i := range e.results {
			r := &e.results[i]
			r.silent = !f.session.lastSent[i].update(&r.FetchResult) && f.incremental
		}
	}
	if e.firstServed != nil {
		f.served = e.firstServed
	}
	size := int64(len(e.encode())) + e.sent
	if err := wire.PatchFrameSize(e.header, size); err != nil {
		f.conn.Fail(err)
		return
	}
	mem, ok := f.conn.Place(e.header)
	if !ok {
		return
	}
	f.lookups.forget()
	parts := e.appendParts(f.conn.Parts(), mem)
	if sum := sizeOf(parts); sum != size {
		panic(fmt.Sprintf("fetch: the parts of a response have %d bytes, its frame says %d", sum, size))
	}
	f.conn.Send(parts)
}

// respondError answers the whole request with an error.
func (f *Fetch) respondError(code int16) {
	header := wire.AppendFetchHead(f.fetcher.evaluation.header[:0], f.version, f.correlationID, code, 0, 0)
	f.fetcher.evaluation.header = header
	if err := wire.PatchFrameSize(header, int64(len(header))); err != nil {
		f.conn.Fail(err)
		return
	}
	if mem, ok := f.conn.Place(header); ok {
		f.conn.Send(append(f.conn.Parts(), transfer.Part{Header: mem}))
	}
}

// encode encodes all header bytes, and notes where records come between them.
func (e *evaluation) encode() []byte {
	f := e.fetch
	wants := f.wants()
	header := wire.AppendFetchHead(e.header[:0], f.version, f.correlationID, 0, f.answerSession, e.topicRuns(wants))
	e.cuts = e.cuts[:0]
	run := 0 // partitions left in the topic's entry
	for i := range wants {
		r := &e.results[i]
		if !r.silent {
			if run == 0 {
				run = e.runFrom(wants, i)
				header = wire.AppendFetchTopic(header, wants[i].Topic, run)
			}
			run--
			if f.request.Isolation == readCommitted && r.records.Len > 0 {
				e.addAborted(r, wants[i].FetchOffset)
			}
			header = wire.AppendFetchPartition(header, f.version, wants[i].Partition, r.FetchResult)
		}
		e.cuts = append(e.cuts, len(header))
	}
	e.header = header
	return header
}

// topicRuns is the number of topics in the response: neighbours of the same topic share an entry.
func (e *evaluation) topicRuns(wants []wire.FetchPartition) (n int) {
	last := -1
	for i := range wants {
		if e.results[i].silent {
			continue
		}
		if last < 0 || !bytes.Equal(wants[i].Topic, wants[last].Topic) {
			n++
		}
		last = i
	}
	return n
}

// runFrom is the number of partitions in the entry that begins with partition i.
func (e *evaluation) runFrom(wants []wire.FetchPartition, i int) (n int) {
	for j := i; j < len(wants); j++ {
		if e.results[j].silent {
			continue
		}
		if !bytes.Equal(wants[j].Topic, wants[i].Topic) {
			break
		}
		n++
	}
	return n
}

// appendParts joins header bytes and records: one part for each range, with all header bytes before it. Each holds its segment.
func (e *evaluation) appendParts(parts []transfer.Part, mem []byte) []transfer.Part {
	from, wants := 0, e.fetch.wants()
	for i, cut := range e.cuts {
		r := &e.results[i]
		if r.records.Len == 0 {
			continue
		}
		e.check(r, wants[i].FetchOffset)
		r.records.Segment.Retain()
		parts = append(parts, transfer.Part{Header: mem[from:cut], Source: r.records.Segment, Pos: r.records.Pos, Len: r.records.Len})
		from = cut
		r.records.Segment = nil
	}
	if from < len(mem) {
		parts = append(parts, transfer.Part{Header: mem[from:]})
	}
	return parts
}

func sizeOf(parts []transfer.Part) (bytes int64) {
	for i := range parts {
		bytes += int64(len(parts[i].Header)) + parts[i].Len
	}
	return bytes
}

// check holds that a partition's records may be sent.
func (e *evaluation) check(r *result, offset int64) {
	log, s := r.partition.Log, r.records.Segment
	readable, _ := log.Behind(r.records)
	if r.silent || r.RecordsBytes != int32(r.records.Len) || r.records.Pos < 0 || r.records.Len > readable || offset >= s.NextOffset() {
		panic(fmt.Sprintf("fetch: %d bytes at %d of a segment are sent for offset %d, %d of them are readable, it ends with %d, the header says %d, silent %v",
			r.records.Len, r.records.Pos, offset, readable, s.NextOffset(), r.RecordsBytes, r.silent))
	}
	if e.fetch.request.Isolation == readCommitted && log.Stable(r.records) != r.records {
		panic(fmt.Sprintf("fetch: %d bytes at %d for offset %d are sent to a reader of committed data, %d are stable (last stable offset %d)",
			r.records.Len, r.records.Pos, offset, log.Stable(r.records).Len, log.LastStableOffset()))
	}
	if invariants.Enabled {
		if again, err := log.Read(offset, 1); err == nil && (again.Segment != s || again.Pos != r.records.Pos) {
			panic(fmt.Sprintf("fetch: the records for offset %d begin at %d, the batch with it at %d", offset, r.records.Pos, again.Pos))
		}
	}
}
