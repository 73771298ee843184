package main

// formerFaults are faults that the server once had, as far as today's code can be made to have them again. Where an assertion has been
// added since, it may find them.
var formerFaults = []mutant{
	{"former-batch-above-segment", "a batch larger than its segment is taken, and never reaches a subscriber", []edit{
		{"segment/write.go", `in.isProduced() && n > l.options.SegmentBytes {`, `in.isProduced() && n > 1<<40 {`},
		{"segment/segment.go", `n := max(s.capacity, s.size)`, `n := s.capacity`},
		{"segment/segment.go", `if s.mapped != nil && int64(len(s.mapped)) >= s.size {`, `if s.mapped != nil {`},
		{"fanout/transfer/send.go", `		return false, fmt.Errorf("%w: %d bytes at %d are to be sent, %d are mapped", ErrShortFile, take, pos, len(mapped))`,
			`		return false, nil`},
	}},
	{"former-expire-after-delete", "records are deleted, then their topic: the end of the first touches a log that is closed", []edit{
		{"segment/retention.go", `	if l.closed {
		return nil
	}
	l.workFailed = false`, `	l.workFailed = false`},
		{"fanout/catalog/retention.go", `if c.serves(p) { // it may have been deleted meanwhile`, `if p.Offline == nil {`},
	}},
	{"former-wake-after-close", "whoever asks the server while its logs are closed wakes a kernel that is closed", []edit{
		{"fanout/broker.go", `	b.loop.End()
	if cerr := b.catalog.Close(); err == nil {
		err = cerr
	}
`, `	if cerr := b.catalog.Close(); err == nil {
		err = cerr
	}
	b.loop.End()
`},
	}},
	{"former-relative-offsets", "the number of records that a batch claims is believed, and offsets overflow their segment", []edit{
		{"segment/produced.go", `	times, err := c.checkRecords(h, codec, b[records.HeaderSize:], rules.MaxInflatedBytes)`,
			`	times, err := times{h.BaseTimestamp, h.MaxTimestamp}, error(nil)`},
		{"segment/write.go", `size+n <= w.capacity && lastOffset-w.base <= math.MaxInt32 &&`, `size+n <= w.capacity && lastOffset-w.base <= math.MaxInt64 &&`},
	}},
	// Threads of the simulation run a job whole, so this job begins after the deletion; the fault was one that had begun before.
	{"former-index-of-successor", "a job of a deleted log writes its index into the directory of the next topic of that name", []edit{
		{"segment/background.go", `	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone.Load() {
		return nil
	}
	return f()`, `	w.mu.Lock()
	defer w.mu.Unlock()
	return f()`},
	}},
	{"former-offset-below-start", "a search by time finds an offset below the log's start", []edit{
		{"segment/offset_by_time.go", `	from = max(from, l.LogStartOffset())
`, ``},
		{"fanout/fetch/by_time.go", `	case s.Offset < p.Log.LogStartOffset(): // deleted meanwhile
		b.add(*s, 0)
`, ``},
	}},
	{"former-min-above-max", "a fetch whose min_bytes is above its max_bytes waits although there is data", []edit{
		{"fanout/fetch/fetch.go", `return min(int64(f.request.MinBytes), f.maxBytes())`, `return int64(f.request.MinBytes)`},
	}},
	{"former-poisoned-readable", "a new configuration makes records readable whose fsync failed", []edit{
		{"segment/options.go", `l.awaitsSync = l.planned || l.poisoned != nil`, `l.awaitsSync = l.planned`},
		{"segment/sync.go", `	if l.poisoned != nil {
		panic(`, `	if false {
		panic(`},
	}},
	{"former-delete-during-sync", "a topic that is deleted during its group commit counts as a failed fsync", []edit{
		{"segment/sync.go", `return l.worker.named(l.syncDir)`, `return l.syncDir()`},
		{"fanout/commit/sync.go", `	case p.removed != nil:
		p.Log.Synced(plan) // nothing has become durable, and nothing has failed
`, ``},
	}},
}
