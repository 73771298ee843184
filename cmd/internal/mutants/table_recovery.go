package main

var recoveryBugs = []mutant{
	{"torn-batch-accepted", "recovery takes a batch whose bytes did not all reach the disk", []edit{
		{"segment/scan.go", `	v := verdict{damage: intact}
	sc := newScanner(r, size, crcWindow)
	sc.checkCRC = true`, `	v := verdict{damage: intact}
	sc := newScanner(r, size, crcWindow)`},
	}},
	{"cut-not-done", "recovery leaves the damaged end of a log in its file", []edit{
		{"segment/recover.go", `		err = s.file.Truncate(found.validBytes)
`, `		err = nil
`},
	}},
	{"cut-one-batch-too-many", "recovery cuts the last whole batch too", []edit{
		{"segment/scan.go", `		at, next = at+int64(h.Size()), h.NextOffset()
	}
	return at, next, nil`, `		if at+int64(h.Size()) < sc.size && sc.checkCRC {
			if _, err := sc.batch(at+int64(h.Size()), base, h.NextOffset()); err != nil {
				return at, next, err
			}
		}
		at, next = at+int64(h.Size()), h.NextOffset()
	}
	return at, next, nil`},
	}},
	{"recovery-serves-unsynced", "a start serves records that it has not made durable", []edit{
		{"segment/recover.go", `	err := s.file.Sync()
	if err != nil || fromDisk {`, `	err := error(nil)
	if err != nil || fromDisk {`},
	}},
	{"recovery-trusts-unfinished", "recovery takes a closed segment without index for one that was durable", []edit{
		{"segment/survey.go", `for v.tail > 0 && v.bases[v.tail-1] > trusted && !found.Clean {`, `for v.tail > 0 && v.bases[v.tail-1] > trusted && v.tail < 0 {`},
	}},
	{"recovery-loses-the-last-segment", "recovery does not read the segment behind the last index", []edit{
		{"segment/recover.go", `		if shorter = did.cut; shorter {`, `		if shorter = did.cut; shorter || did.scanned && i+1 < len(v.bases) {`},
	}},
	{"index-before-sync", "a closed segment's index is written before its data is durable", []edit{
		{"segment/background.go", `	if err := j.worker.sync(j.file); err != nil {`, `	if err := error(nil); err != nil {`},
	}},
	{"stale-index-kept", "the index of a segment that is written to again is kept", []edit{
		{"segment/recover.go", `		if err := l.options.FS.RemoveAll(beside(l.active().path, suffix)); err != nil {`, `		if err := error(nil); err != nil {`},
	}},
	{"recovery-point-ahead", "the recovery point says that everything written is durable", []edit{
		{"segment/sync.go", `func (l *Log) DurableOffset() int64 { return l.durable }`, `func (l *Log) DurableOffset() int64 { return l.LogEndOffset() }`},
		{"segment/synced_acks.go", `	if offset > l.durable && !l.closed {`, `	if offset > l.LogEndOffset() && !l.closed {`},
	}},
	{"recovery-point-forgotten", "a start takes no notice of the recovery point", []edit{
		{"fanout/catalog/open.go", `LogStartOffset: c.starts[directory], RecoveryPoint: point})`, `LogStartOffset: c.starts[directory], RecoveryPoint: segment.AllDurable})`},
	}},
	{"acks-after-fsync-not-marked", "the mark of a log whose acknowledgements wait for syncs is missing", []edit{
		{"segment/synced_acks.go", `	return l.options.ManualCommit && l.worker.acks.state.Load() != markPresent`, `	return false`},
		{"segment/synced_acks.go", `	if l.options.ManualCommit && !present {`, `	if l.options.ManualCommit && !present && l.closed {`},
	}},
	{"failed-sync-mark-ignored", "a start after a failed sync serves pages that the disk never got", []edit{
		{"segment/survey.go", `fromDisk: slices.Contains(names, failedSyncFile)}`, `fromDisk: false}`},
	}},
	{"clean-mark-stays", "the mark of a clean stop outlives the next start", []edit{
		{"segment/datadir.go", `	if err = fsys.RemoveAll(path); err == nil {
		err = fsys.SyncDir(dataDir)
	}
	if err != nil {
		return false`, `	if err != nil {
		return false`},
	}},
	{"clean-mark-comes-back", "the removal of the mark of a clean stop is not durable", []edit{
		{"segment/datadir.go", `	if err = fsys.RemoveAll(path); err == nil {
		err = fsys.SyncDir(dataDir)
	}
	if err != nil {
		return false`, `	err = fsys.RemoveAll(path)
	if err != nil {
		return false`},
	}},
	{"close-without-sync", "a clean stop does not make the active segment durable", []edit{
		{"segment/background.go", `		r := finishJob{*s, l.worker, l.dir}.run()
		l.finish(s, r)
		errs`, `		if s == l.active() {
			continue
		}
		r := finishJob{*s, l.worker, l.dir}.run()
		l.finish(s, r)
		errs`},
	}},
	{"rename-without-directory-sync", "a file is replaced, and the directory is not synced", []edit{
		{"segment/replace_file.go", `	return fsys.SyncDir(filepath.Dir(path))
}

// putFile`, `	_ = filepath.Dir(path)
	return nil
}

// putFile`},
	}},
	{"rename-before-sync", "a file is renamed into place before its content is durable", []edit{
		{"segment/replace_file.go", `	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())`, `	return errors.Join(err, f.Close())`},
	}},
	{"replaced-in-place", "a file is overwritten in place", []edit{
		{"segment/replace_file.go", `	temporary := path + temporarySuffix
`, `	temporary := path
`},
		{"segment/replace_file.go", `		err = fsys.Rename(temporary, path)
`, `		return nil
`},
	}},
	{"new-log-not-named", "the directory of a new log is not synced", []edit{
		{"segment/recover.go", `	if l.dirUnsynced {
		l.dirUnsynced = false
		return l.syncDir()
	}
	return nil`, `	l.dirUnsynced = false
	return nil`},
	}},
	{"snapshot-not-restored", "idempotent producers are forgotten at a start", []edit{
		{"segment/producer_recovery.go", `		l.producers.load(list, l.seenMillis)
`, `		_ = list
`},
	}},
	{"snapshot-not-written", "idempotent producers are not written when a segment ends", []edit{
		{"segment/background.go", `	if j.snapshot != nil {
		if`, `	if len(j.snapshot) < 0 {
		if`},
	}},
	{"snapshot-of-what-was-cut-kept", "a producer snapshot of records that were cut is used", []edit{
		{"segment/producer_recovery.go", `		if snapshot > l.LogEndOffset() {`, `		if snapshot > l.LogEndOffset()+1<<40 {`},
	}},
	{"producers-not-replayed", "the batches behind the last producer snapshot are not replayed", []edit{
		{"segment/producer_recovery.go", `			if h.BaseOffset >= from {
				l.producers.replay(h, s.appendedMillis)
			}`, ``},
	}},
	{"producer-history-lost", "after a start only a producer's last batch is known", []edit{
		{"segment/producer_recovery.go", `	l.producers.fillHistory(slices.Concat(pieces...))
`, ``},
	}},
	{"epoch-not-raised", "after records were lost the leader epoch does not rise", []edit{
		{"segment/recover.go", `return l.openEpochs(!found.Clean || shorter) },`, `return l.openEpochs(false) },`},
	}},
	{"epochs-not-written", "leader epochs are forgotten at every start", []edit{
		{"segment/epoch.go", `	if err := putEpochs(fsys, path, formatEpochs(l.epochs)); err != nil {`, `	if err := error(nil); err != nil {`},
	}},
	{"epoch-of-cut-records-kept", "an epoch whose records were cut keeps its start", []edit{
		{"segment/epoch.go", `n > 0 && l.epochs[n-1].offset > end; n-- {`, `n > 0 && l.epochs[n-1].offset > end+1<<40; n-- {`},
	}},
	{"epoch-end-one-later", "an epoch ends one record later than it did", []edit{
		{"segment/epoch.go", `			return found, e.offset
		}`, `			return found, e.offset + 1
		}`},
	}},
	{"leftover-next-segment-used", "a prepared segment of an earlier run is not removed", []edit{
		{"segment/recover.go", "	`(next\\.log|[0-9]{20}", "	`(never\\.log|[0-9]{20}"},
	}},
}
