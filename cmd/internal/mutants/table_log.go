package main

var logBugs = []mutant{
	{"base-offset-not-patched", "a batch keeps the base offset of its producer", []edit{
		{"segment/append.go", `records.Assign(batches[at:], base, l.LeaderEpoch())`, `records.Assign(batches[at:], h.BaseOffset, l.LeaderEpoch())`},
	}},
	{"leader-epoch-not-patched", "a batch has leader epoch 0", []edit{
		{"segment/append.go", `records.Assign(batches[at:], base, l.LeaderEpoch())`, `records.Assign(batches[at:], base, 0)`},
	}},
	{"max-timestamp-believed", "a wrong latest timestamp in a batch's header is kept", []edit{
		{"segment/append.go", `in.produced.MaxTimestamp != in.maxTimestamp {`, `in.produced.MaxTimestamp < 0 {`},
	}},
	{"append-time-not-set", "records of a topic with LogAppendTime keep their producer's time", []edit{
		{"segment/append.go", `			records.SetAppendTime(batches[at:at+h.Size()], nowMillis)
`, ``},
	}},
	{"duplicate-appended", "a batch that an idempotent producer sends again is appended again", []edit{
		{"segment/write.go", `	if in.producer.id >= 0 {
		if again`, `	if in.producer.id >= 1<<60 {
		if again`},
	}},
	{"duplicate-refused", "a batch that was sent again is known only if it was the last", []edit{
		{"segment/producer.go", `	for _, b := range p.batches[:p.n] {`, `	for _, b := range p.batches[max(p.n-1, 0):p.n] {`},
	}},
	{"gap-in-sequence-accepted", "a batch is appended although one before it is missing", []edit{
		{"segment/producer.go", `	case q.epoch == p.epoch && p.n > 0 && q.first != (p.lastSequence()+1)&math.MaxInt32:`, `	case q.epoch == p.epoch && p.n > 0 && q.first < p.lastSequence():`},
	}},
	{"fenced-producer-accepted", "a batch of an older instance of a producer is appended", []edit{
		{"segment/producer.go", `	case q.epoch < p.epoch:
		return`, `	case q.epoch < 0:
		return`},
	}},
	{"reader-stuck-at-the-segment-end", "a reader at the end of a segment is not sent on to the next", []edit{
		{"segment/read.go", `for l.segments[i].next <= offset && i+1 < len(l.segments) {`, `for l.segments[i].next < offset && i+1 < len(l.segments) {`},
		{"segment/log.go", `return l.segments[i].base > offset })`, `return l.segments[i].base >= offset })`},
	}},
	{"segment-ends-one-batch-late", "a segment takes a batch beyond its size", []edit{
		{"segment/write.go", `return size+n <= w.capacity && lastOffset`, `return size <= w.capacity && lastOffset`},
	}},
	{"batch-boundary-by-one", "a range ends in the middle of a batch", []edit{
		{"segment/search.go", `		if at+int64(h.Size()) > limit {
			break
		}`, `		if at+int64(h.Size()) > limit {
			return limit, nil
		}`},
	}},
	{"index-entry-by-one", "an entry of the index has the offset behind its batch", []edit{
		{"segment/index.go", `x.entries = append(x.entries, indexEntry{last, uint32(position)})`, `x.entries = append(x.entries, indexEntry{last + 1, uint32(position)})`},
	}},
	{"tail-search-by-one", "a search among the last batches finds the one behind", []edit{
		{"segment/index.go", `return x.tail[i].last >= offset })`, `return x.tail[i].last > offset })`},
	}},
	{"read-above-the-high-watermark", "a read goes on behind the high watermark", []edit{
		{"segment/search.go", `v := view{s.file, s.path, s.base, s.visible, &s.index, s.visible, sc}`, `v := view{s.file, s.path, s.base, s.size, &s.index, s.size, sc}`},
		{"segment/assert.go", `if start < 0 || end < start || end > s.visible {`, `if start < 0 || end < start || end > s.size {`},
	}},
	{"mapping-not-outgrown", "a mapping that became too small is unmapped while sends read it", []edit{
		{"segment/segment.go", `		s.outgrown = append(s.outgrown, s.mapped)`, `		s.fs.Unmap(s.mapped)`},
	}},
	{"deleted-records-return", "the start that DeleteRecords moved is not on disk when it is answered", []edit{
		{"fanout/catalog/retention.go", `	c.startsFile.write(func(err error) {
		if err != nil {
			c.loop.Log.Error("the start`, `	func(next func(error)) { next(nil) }(func(err error) {
		if err != nil {
			c.loop.Log.Error("the start`},
	}},
	{"deleted-records-readable", "records below the start can still be read", []edit{
		{"segment/read.go", `if offset < l.LogStartOffset() || offset > l.highWatermark {`, `if offset < l.segments[0].base || offset > l.highWatermark {`},
		{"fanout/fetch/evaluate.go", `if want.FetchOffset < r.LogStartOffset || want.FetchOffset > r.HighWatermark {`, `if want.FetchOffset > r.HighWatermark {`},
	}},
	{"delete-records-above-the-high-watermark", "records can be deleted that are not readable yet", []edit{
		{"segment/retention.go", `if offset < 0 || offset > l.highWatermark {`, `if offset < 0 || offset > l.LogEndOffset() {`},
	}},
	{"retention-one-segment-too-many", "retention by size deletes a segment that the size needs", []edit{
		{"segment/retention.go", `	return excess >= s.size ||`, `	return excess > 0 ||`},
	}},
	{"retention-ignores-readers", "retention deletes a segment whose records cannot be read yet", []edit{
		{"segment/retention.go", `if s.next > l.highWatermark || l.working && !s.finished() {`, `if l.working && !s.finished() {`},
	}},
	{"retention-deletes-the-active-segment", "retention deletes the active segment", []edit{
		{"segment/retention.go", `		if len(l.segments) == 1 {
			l.rollDue = s.size > 0 // the next Expire finds it closed
			break
		}`, `		if len(l.segments) == 1 && s.size == 0 {
			break
		}`},
	}},
	{"retention-by-time-never", "a segment is kept beyond retention.ms", []edit{
		{"segment/retention.go", `nowMillis-s.latest(s.index.maxTimestamp) > l.options.RetentionAge.Milliseconds() ||`,
			`nowMillis-s.latest(s.index.maxTimestamp) > 1000*l.options.RetentionAge.Milliseconds() ||`},
	}},
	{"expired-segment-not-held", "retention closes a file that a response reads", []edit{
		{"fanout/fetch/respond.go", `		r.records.Segment.Retain()
`, ``},
	}},
	{"segment-of-a-range-closed", "a segment's file is closed with its first release", []edit{
		{"segment/segment.go", `	if s.holds--; s.holds > 0 {
		return
	}`, `	if s.holds--; s.holds > 1 {
		return
	}`},
	}},
}
