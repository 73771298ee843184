package fetch

import (
	"bytes"
	"fmt"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/invariants"
	"oneplusn/segment/mark"
)

// response has the parts of the last response. The next one reuses the memory.
type response struct {
	cuts    []int // where each partition's end: its records follow
	aborted []segment.AbortedTransaction
	skipped []wire.AbortedTransaction
}

// respond sends the answer of an evaluation. The frame's size is fixed and its segments are held before the first byte leaves.
func (f *Fetch) respond(e *evaluation) {
	f.mustBeUnderWay(e, "answered")
	if e.firstServed != nil {
		f.served = e.firstServed
	}
	header := e.encode()
	size := int64(len(header)) + e.sent
	if err := wire.PatchFrameSize(header, size); err != nil {
		f.conn.Fail(err)
		return
	}
	mem, ok := f.conn.Place(header)
	if !ok {
		return
	}
	f.lookups.forget()
	f.fetcher.loop.Record(eventRespond, int64(len(e.results)), size)
	parts := e.appendParts(f.conn.Parts(), mem)
	mustAddUp(parts, size)
	f.conn.Send(parts)
}

// encode encodes all header bytes, and notes where records come between them. Consecutive partitions of a topic share an entry.
func (e *evaluation) encode() (header []byte) {
	f, wants := e.fetch, e.fetch.wants()
	scratch := &f.fetcher.loop.Scratch
	header = wire.AppendFetchHead(scratch.Empty(), f.version, f.correlationID, e.errorCode, f.answerSession, 0)
	topicsAt, topics, partitionsAt, partitions := len(header), 0, 0, 0
	var topic []byte
	e.cuts = e.cuts[:0]
	for i := range e.results {
		r, want := &e.results[i], &wants[i]
		r.silent = f.answerSession != 0 && !f.session.lastSent[i].update(&r.FetchResult) && f.incremental
		mark.HitIf(r.silent, "a fetch session left out what its client knows")
		if !r.silent {
			if topics == 0 || !bytes.Equal(topic, want.Topic) {
				topic = want.Topic
				header = wire.AppendFetchTopic(header, topic, 0)
				topics, partitionsAt, partitions = topics+1, len(header), 0
			}
			partitions++
			wire.PatchCount(header[:partitionsAt], partitions)
			if f.request.Isolation == readCommitted && r.records.Len > 0 {
				e.addAborted(r, want.FetchOffset)
			}
			header = wire.AppendFetchPartition(header, f.version, want.Partition, r.FetchResult)
		}
		e.cuts = append(e.cuts, len(header))
	}
	wire.PatchCount(header[:topicsAt], topics)
	scratch.Keep(header)
	return header
}

// appendParts joins header bytes and records: one part for each range, with all header bytes before it. Each holds its segment.
func (e *evaluation) appendParts(parts []transfer.Part, mem []byte) []transfer.Part {
	from, wants := 0, e.fetch.wants()
	for i, cut := range e.cuts {
		r := &e.results[i]
		if r.records.Len == 0 {
			continue
		}
		e.mustBeSendable(r, wants[i].FetchOffset)
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

// mustBeUnderWay panics if an evaluation is not of this fetch, or if the fetch still waits.
func (f *Fetch) mustBeUnderWay(e *evaluation, what string) {
	if e.fetch != f || f.parked || f.lookups.left != 0 {
		panic(fmt.Sprintf("fetch: a fetch that was just evaluated is %s; evaluated was another %v, parked %v, %d lookups have not ended",
			what, e.fetch != f, f.parked, f.lookups.left))
	}
}

// mustAddUp panics if the parts of a response have another size than its frame says.
func mustAddUp(parts []transfer.Part, size int64) {
	sum := int64(0)
	for i := range parts {
		sum += int64(len(parts[i].Header)) + parts[i].Len
	}
	if sum != size {
		panic(fmt.Sprintf("fetch: the parts of a response have %d bytes, its frame says %d", sum, size))
	}
}

// mustBeSendable panics if a partition's records may not be sent for the offset.
func (e *evaluation) mustBeSendable(r *result, offset int64) {
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
