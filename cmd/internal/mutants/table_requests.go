package main

var requestBugs = []mutant{
	{"session-forgets-the-wrong-partition", "after a session forgot a partition it answers with the wrong one", []edit{
		{"fanout/fetch/session.go", `		s.topics[string(moved.Topic)].at[moved.Partition] = at
`, ``},
	}},
	{"session-keeps-the-old-offset", "a session ignores how far its client has read", []edit{
		{"fanout/fetch/session.go", `	s.partitions[at] = *p
	s.partitions[at].Topic = t.name`, `	if !known {
		s.partitions[at].Topic = t.name
	}`},
	}},
	{"session-answer-names-the-neighbour", "a session's answer names the number of another partition", []edit{
		{"fanout/fetch/respond.go", `header = wire.AppendFetchPartition(header, f.version, want.Partition, r.FetchResult)`,
			`header = wire.AppendFetchPartition(header, f.version, wants[len(wants)-1].Partition, r.FetchResult)`},
	}},
	{"session-hides-the-high-watermark", "a session's answer leaves a partition out whose offsets have changed", []edit{
		{"fanout/fetch/session.go", `changed := *l != now || r.RecordsBytes > 0`, `changed := r.RecordsBytes > 0`},
	}},
	{"session-takes-a-stale-epoch", "a session answers a request of an older epoch", []edit{
		{"fanout/fetch/session.go", `	case s.epoch != req.SessionEpoch:`, `	case s.epoch < req.SessionEpoch:`},
	}},
	{"session-memory-kept", "the memory of a session is not given back", []edit{
		{"fanout/fetch/session.go", `	f.fetcher.sessions.Give(f.session.charged)
`, ``},
	}},
	{"parked-fetch-not-woken", "a fetch that waits is not told of new records", []edit{
		{"fanout/fetch/park.go", `		w.fetch.resume()
	}
	return true`, `		p.waiting.MoveToBack(&w.node)
	}
	return true`},
	}},
	{"parked-fetch-of-the-next-segment-not-woken", "a fetch at a segment's end is not told of records in the next", []edit{
		{"segment/read.go", `return r.Segment.visible - r.Pos, r.Segment.base < l.segments[i].base`, `return r.Segment.visible - r.Pos, r.Segment.base > l.segments[i].base`},
	}},
	{"fetch-deadline-forgotten", "a fetch that waits is not answered at its deadline", []edit{
		{"fanout/fetch/fetcher.go", `	return fr.parked.First().deadline
}`, `	return fr.parked.First().deadline + loop.Never/2
}`},
		{"fanout/fetch/park.go", `fr.parked.First().deadline <= fr.loop.Now() &&`, `fr.parked.First().deadline < 0 &&`},
	}},
	{"min-bytes-ignored", "a fetch is answered with less than min_bytes before its deadline", []edit{
		{"fanout/fetch/fetch.go", `e.readable >= f.minBytes() ||`, `e.readable >= min(1, f.minBytes()) ||`},
	}},
	{"min-bytes-beyond-by-one", "a fetch waits for one byte more than min_bytes", []edit{
		{"fanout/fetch/fetch.go", `e.readable >= f.minBytes() ||`, `e.readable > f.minBytes() ||`},
		{"fanout/fetch/park.go", `ended || f.readable >= f.minBytes()`, `ended || f.readable > f.minBytes()`},
	}},
	{"max-bytes-ignored", "a response has more than max_bytes, though its first batch has not", []edit{
		{"fanout/fetch/evaluate.go", `		left = max(left-took, 0)
`, ``},
	}},
	{"partition-max-bytes-ignored", "a partition has more than its max_bytes, though its first batch has not", []edit{
		{"fanout/fetch/evaluate.go", `	limit := int64(max(want.PartitionMaxBytes, 0))
	found`, `	limit := left
	found`},
	}},
	{"first-batch-above-the-limit-withheld", "a first batch above the limit is never sent", []edit{
		{"fanout/fetch/evaluate.go", `found.Len > min(limit, left) && !first {`, `found.Len > min(limit, left) {`},
	}},
	{"served-partition-first-again", "the partitions of a fetch are not served in turn", []edit{
		{"fanout/fetch/evaluate.go", `			e.from = i + 1
`, `			e.from = i
`},
	}},
	{"repeated-partition-served-twice", "a partition that a fetch names twice has its records twice", []edit{
		{"fanout/fetch/evaluate.go", `	r.repeated = !f.fetcher.evaluations.first(p)
`, ``},
	}},
	{"fetch-of-a-deleted-topic-kept", "a fetch that waits is not told that its topic was deleted", []edit{
		{"fanout/fetch/fetcher.go", `	p.removed = true
	p.Advanced()`, `	p.removed = true`},
	}},
	{"leader-epoch-not-compared", "a client with an older leader epoch is not fenced", []edit{
		{"fanout/fetch/partition.go", `	case known < current:
		return wire.CodeFencedLeaderEpoch`, `	case known < current:
		return 0`},
	}},
	{"zstd-for-old-clients", "a client that does not know zstd gets it", []edit{
		{"fanout/fetch/evaluate.go", `if f.version < zstdFrom && r.records.Len > 0 {`, `if f.version < 0 && r.records.Len > 0 {`},
	}},
	{"last-stable-offset-ignored", "a reader of committed data gets an open transaction", []edit{
		{"fanout/fetch/evaluate.go", `	if unstable {
		r.cutUnstable()
	}
`, ``},
	}},
	{"aborted-list-missing", "a reader of committed data is not told which transactions were aborted", []edit{
		{"fanout/fetch/respond.go", `				e.addAborted(r, want.FetchOffset)
`, ``},
	}},
	{"lookup-of-another-offset", "two fetches share a lookup though they ask for different offsets", []edit{
		{"segment/lookup.go", `s != k.segment || offset != k.offset || maxBytes > k.maxBytes`, `s != k.segment || maxBytes > k.maxBytes`},
		{"fanout/fetch/lookups.go", `key := lookupKey{search.Segment(), offset, maxBytes, codec}`, `key := lookupKey{search.Segment(), 0, maxBytes, codec}`},
	}},
	{"lookup-on-the-loop", "a lookup waits for the disk on the loop's thread", []edit{
		{"fanout/fetch/lookups.go", `		return search.Run, func() { fr.lookedUp(job) }`, `		search.Run()
		return func() {}, func() { fr.lookedUp(job) }`},
	}},
	{"lookup-answers-the-next-client", "a lookup answers the client that has the slot now", []edit{
		{"fanout/fetch/lookups.go", `return w.fetch.life == w.life`, `return w.fetch.lookups.left > 0 || w.fetch.life == w.life`},
	}},
	{"refused-acks-0-kept", "a producer without acknowledgements does not learn that it was refused", []edit{
		{"fanout/produce/produce.go", `		if r := &p.parts[i]; r.ErrorCode != 0 {`, `		if r := &p.parts[i]; r.ErrorCode < 0 {`},
	}},
	{"produce-part-answered-for-another", "the answer to a produce has its parts in another order", []edit{
		{"fanout/produce/produce.go", `return &p.parts[i].ProduceResult }`, `return &p.parts[len(p.parts)-1-i].ProduceResult }`},
	}},
	{"produce-deadline-forgotten", "a produce that waits for the disk is not answered at its deadline", []edit{
		{"fanout/produce/producer.go", `pr.parked.First().deadline <= pr.loop.Now() {`, `pr.parked.First().deadline <= 0 {`},
		{"fanout/produce/producer.go", `	return pr.parked.First().deadline
}`, `	return loop.Never
}`},
	}},
	{"duplicate-acknowledged-before-its-sync", "a batch that was sent again is acknowledged before the first copy is durable", []edit{
		{"fanout/produce/produce.go", `to.Policy().Waits() && appended.LastOffset`, `to.Policy().Waits() && !appended.Duplicate && appended.LastOffset`},
	}},
	{"acknowledged-before-sync", "a produce is acknowledged before its records are durable, though its topic waits for that", []edit{
		{"fanout/produce/produce.go", `r.produce.request.Acks != 0 && to.Policy().Waits()`, `r.produce.request.Acks > 1 && to.Policy().Waits()`},
	}},
	{"write-error-acknowledged", "a batch is acknowledged whose write failed", []edit{
		{"fanout/produce/produce.go", `	if err != nil {
		r.settle(refusal(err))
		return
	}
	r.ProduceResult = wire`, `	r.ProduceResult = wire`},
	}},
	{"crc-not-checked", "a batch with a wrong CRC is appended", []edit{
		{"segment/produced.go", `	if err := h.CheckCRC(records.UpdateCRC(0, b[records.CRCFrom:])); err != nil {
		return Checked{}, err
	}
	if err := checkHeader`, `	if err := checkHeader`},
	}},
	{"records-not-read", "a batch is appended whose records nobody can read", []edit{
		{"segment/produced.go", `		case err != nil:
			return t, c.recordsError(err, limit < maxInflated)
		case !more`, `		case err != nil:
			return t, nil
		case !more`},
	}},
	{"two-batches-accepted", "a partition of a produce may have two batches, of which one is checked", []edit{
		{"segment/produced.go", `	case h.Size() < len(b):
		return h, fmt.Errorf(`, `	case h.Size() < 0:
		return h, fmt.Errorf(`},
		{"segment/write.go", `in.isProduced() && int64(len(batches)) != int64(in.produced.Size()) {`, `in.isProduced() && int64(len(batches)) < int64(in.produced.Size()) {`},
	}},
	{"batch-above-max-bytes", "max.message.bytes is not compared", []edit{
		{"segment/produced.go", `	case h.Size() > rules.MaxBatchBytes:`, `	case h.Size() > 2*rules.MaxBatchBytes:`},
	}},
	{"future-timestamp-accepted", "message.timestamp.after.max.ms is not compared", []edit{
		{"segment/produced.go", `t.max > nowMillis && t.max-nowMillis > after:`, `t.max > nowMillis && t.max-nowMillis > 1000*after:`},
	}},
	{"time-lookup-one-later", "a search by time skips a record with exactly that timestamp", []edit{
		{"segment/offset_by_time.go", `if timestamp < s.timestampMillis || offset < s.from {`, `if timestamp <= s.timestampMillis || offset < s.from {`},
	}},
	{"time-lookup-one-earlier", "a search by time returns the first record of the batch", []edit{
		{"segment/offset_by_time.go", `		s.Offset, s.Timestamp = offset, timestamp
		return false`, `		s.Offset, s.Timestamp = start, timestamp
		return false`},
	}},
	{"time-index-skips", "a search by time begins behind the entry that it should begin at", []edit{
		{"segment/index.go", `return x.find(x.times[i-1].offset, size, sc).from`, `return x.find(x.times[min(i, len(x.times)-1)].offset, size, sc).from`},
	}},
	{"time-lookup-ends-with-the-segment", "a search by time that finds nothing in one segment does not go on in the next", []edit{
		{"fanout/fetch/by_time.go", `	case s.Offset < 0:
		b.add(*s, s.NextOffset())
`, `	case s.Offset < 0:
`},
	}},
	{"time-lookup-above-the-high-watermark", "a search by time finds records that cannot be read yet", []edit{
		{"segment/offset_by_time.go", `		return s.span(at, s.visible)
	}
	return Range{}`, `		return Range{s, at, s.size - at}
	}
	return Range{}`},
		{"fanout/fetch/by_time.go", `	case s.Offset < p.ReadableEnd(b.isolation):`, `	default:`},
	}},
}
