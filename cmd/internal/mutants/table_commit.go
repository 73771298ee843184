package main

var commitBugs = []mutant{
	{"watermark-before-write", "records can be read before they are written", []edit{
		{"segment/write.go", `	w.take(batches, in, last, nowMillis)
	return Appended`, `	w.take(batches, in, last, nowMillis)
	if !l.options.ManualCommit {
		l.highWatermark = w.next
	}
	return Appended`},
	}},
	{"watermark-before-sync", "records can be read before they are durable, though their topic waits for that", []edit{
		{"segment/end_write.go", `if !l.options.ManualCommit && !l.awaitsSync {`, `if !l.awaitsSync {`},
	}},
	{"watermark-follows-the-end", "a sync makes records readable that were written after it began", []edit{
		{"segment/sync.go", `		l.raiseHighWatermark(p.Offset)
	}
	l.endPlan(p)`, `		l.raiseHighWatermark(l.LogEndOffset())
		l.showWritten()
	}
	l.endPlan(p)`},
	}},
	{"waiter-one-early", "the record at the high watermark counts as committed", []edit{
		{"fanout/commit/waiter.go", `n.Value().offset < to;`, `n.Value().offset <= to;`},
	}},
	{"flush-messages-by-one", "a sync waits for one record more than flush.messages", []edit{
		{"fanout/commit/sync.go", `case f.unsynced >= f.policy.Messages:`, `case f.unsynced > f.policy.Messages:`},
	}},
	{"flush-interval-forgotten", "records stay unsynced beyond the interval", []edit{
		{"fanout/commit/sync.go", `		s.next = min(s.next, f.since+f.policy.Every)`, `		s.next = min(s.next, f.since+1000*f.policy.Every)`},
	}},
	{"fsync-error-swallowed", "a failed fdatasync counts as done", []edit{
		{"fanout/commit/sync.go", `		c.partSynced(p, fmt.Errorf("fdatasync of a segment of %s: %w", p, errno))`, `		c.partSynced(p, nil)`},
	}},
	{"finishing-fsync-error-swallowed", "a failed fsync of a closed segment counts as done", []edit{
		{"segment/background.go", `		w.syncErr = f.Sync()`, `		_ = f.Sync()`},
	}},
	{"sync-retried", "a sync that failed is repeated, and the log goes on", []edit{
		{"segment/sync.go", `		l.poison(err)
	}
	l.endPlan(p)`, `		l.dirUnsynced = true
	}
	l.endPlan(p)`},
	}},
	{"poisoned-log-takes-writes", "a log takes writes after a failed sync", []edit{
		{"segment/write.go", `	case l.poisoned != nil:
		return nil, l.poisoned
`, ``},
		{"segment/end_write.go", `	case l.poisoned != nil: // meanwhile: the file has batches that the log does not
		s.leftovers = true
		return l.poisoned
`, ``},
	}},
	{"interrupted-sync-poisons", "an fdatasync that was interrupted counts as failed", []edit{
		{"fanout/commit/sync.go", `p.flush.retries <= maxSyncRetries {`, `p.flush.retries < 0 {`},
	}},
	{"interrupted-sync-counts", "an fdatasync that was interrupted counts as done", []edit{
		{"fanout/commit/sync.go", `			c.syncFiles(p)
			c.partSynced(p, nil)
			return true`, `			c.partSynced(p, nil)
			return true`},
	}},
	{"sync-of-the-last-segment-only", "a group commit does not sync the segment that was closed meanwhile", []edit{
		{"segment/sync.go", `		case s.synced == s.size:
		case s == l.finishing:`, `		case s.synced == s.size || s != l.active():
		case s == l.finishing:`},
	}},
	{"new-segment-not-named", "a group commit does not make the name of a new segment durable", []edit{
		{"segment/sync.go", `		p.SyncDir = l.syncNamed
`, ``},
	}},
	{"removed-topic-keeps-its-waiters", "a produce that waits for a sync is not told that its topic was deleted", []edit{
		{"fanout/commit/committer.go", `	p.refuseWaiters(err)
	c.RefuseQueued(p, err)`, `	c.RefuseQueued(p, err)`},
	}},
	{"failed-sync-keeps-its-waiters", "a produce that waits for a sync is not told that it failed", []edit{
		{"fanout/commit/sync.go", `	p.refuseWaiters(err)
	c.Work(p)`, `	c.Work(p)`},
	}},
	{"write-repeated", "a write that failed half way is repeated behind what it wrote", []edit{
		{"segment/write.go", `	n, err := file.WriteAt(w.pieces, w.at)
`, `	n, err := file.WriteAt(w.pieces, w.at)
	if err != nil && n > 0 {
		if _, err = file.WriteAt(w.pieces, w.at+int64(n)); err == nil {
			n = int(w.bytes)
		}
	}
`},
	}},
	{"leftovers-not-cut", "what a failed write left stays behind the next, shorter one", []edit{
		{"segment/write.go", `w.remains = n > 0 && (w.inline || cutFile(file, w.at, w.path) != nil) // then before the next write`, `w.remains = false`},
	}},
	{"full-disk-never-heals", "a log takes no more writes after the disk was full for a moment", []edit{
		{"segment/end_write.go", `	case w.err != nil:
		return w.err`, `	case w.err != nil:
		l.poison(w.err)
		return w.err`},
	}},
	{"failed-write-leaves-a-gap", "the records of a failed write keep their offsets", []edit{
		{"segment/end_write.go", `	case w.err != nil:
		return w.err`, `	case w.err != nil:
		s.next = w.next
		return w.err`},
	}},
	{"write-on-the-loop", "a write that may block runs on the loop's thread", []edit{
		{"fanout/commit/append.go", `if c.syncs.slots.Taken() == 0 && c.inline.takes(p, w, c.loop.Now()) {`, `if c.syncs.slots.Taken() == 0 {`},
	}},
	{"configuration-written-on-the-loop", "a topic's configuration is written on the loop's thread", []edit{
		{"fanout/catalog/configure.go", `offLoop(c.loop, func() error { return writeTopicConfig(fs, path, config.set) })(func(err error) {`,
			`func(next func(error)) { next(writeTopicConfig(fs, path, config.set)) }(func(err error) {`},
	}},
	{"appends-behind-a-roll-forgotten", "appends that waited for a background job are not begun after it", []edit{
		{"fanout/commit/committer.go", `		c.Work(p)
		c.scheduleWrite(p) // appends may have waited for it`, `		c.Work(p)`},
	}},
	{"stop-before-appends-end", "a server stops while writes are under way", []edit{
		{"fanout/loop.go", `b.loop.Working() || b.committer.Pending() > 0 ||`, `b.loop.Working() ||`},
	}},
}
