package main

// Edits that several bugs need: the removal of a topic's mark, and the names before it, may come back after a loss of power.
var (
	markRemovedNotSynced = edit{"fanout/catalog/removal_mark.go", `	err := r.fs.RemoveAll(r.mark)
	if err == nil {
		err = r.fs.SyncDir(r.dir)
	}`, `	err := r.fs.RemoveAll(r.mark)`}
	namesNotSynced = edit{"fanout/catalog/removal_mark.go", `	if err := r.fs.SyncDir(r.dir); err != nil { // first: without the mark the names must be final
		return fmt.Errorf("syncing the data directory: %w", err)
	}
`, ``}
)

var catalogBugs = []mutant{
	{"configuration-not-persisted", "a changed configuration is gone after a restart", []edit{
		{"fanout/catalog/configure.go", `offLoop(c.loop, func() error { return writeTopicConfig(fs, path, config.set) })(func(err error) {`,
			`offLoop(c.loop, func() error { _, _ = fs, path; return nil })(func(err error) {`},
	}},
	{"configuration-not-applied", "a changed configuration counts from the next start on", []edit{
		{"fanout/catalog/configure.go", `		p.Log.Configure(config.Options)
`, ``},
	}},
	{"flush-policy-not-applied", "a changed flush.messages counts from the next start on", []edit{
		{"fanout/catalog/configure.go", `		c.committer.Configure(&p.Commit, config.Flush)
`, ``},
	}},
	{"configuration-replaced", "an incremental change forgets what was set before", []edit{
		{"fanout/catalog/configure.go", `	maps.Copy(set, tp.Config.set)
`, `	maps.Copy(set, map[string]string{})
`},
	}},
	{"check-only-configures", "a request that only asks for validation changes a configuration", []edit{
		{"fanout/catalog/configure.go", `if refused.Code != 0 || onlyCheck {`, `if refused.Code != 0 {`},
	}},
	{"check-only-creates", "a request that only asks for validation creates a topic", []edit{
		{"fanout/catalog/create_checks.go", `	if onlyCheck {
		plan(nil)
		done(refused)
		return
	}
`, ``},
		{"fanout/catalog/create_checks.go", `	if onlyCheck {
		c.room.give(n)
	}
`, ``},
	}},
	{"topic-made-again-with-its-epoch", "a topic that is made again has the leader epoch of the deleted one", []edit{
		{"fanout/catalog/delete.go", `	c.epochs.raise(c.epochs.above(d.topics))
`, ``},
	}},
	{"reserved-epochs-not-written", "after a restart a topic that is made again has the leader epoch of the deleted one", []edit{
		{"fanout/catalog/leader_epochs.go", `	return func() error { return writeNumber(fs, path, int64(until)) }, func()`, `	return func() error { _, _ = fs, path; return nil }, func()`},
	}},
	{"partitions-lost-at-restart", "a start serves the first partition of each topic only", []edit{
		{"fanout/catalog/open.go", `ok && e.IsDir() && !c.isRemoved(name, index) {`, `ok && e.IsDir() && index == 0 && !c.isRemoved(name, index) {`},
	}},
	{"created-topic-removed-by-its-mark", "the mark of a topic that was being made comes back after a loss of power", []edit{
		markRemovedNotSynced,
	}},
	{"created-topic-not-durable", "a topic is answered before its directories are durable", []edit{
		namesNotSynced,
		markRemovedNotSynced,
		{"segment/recover.go", `		if err := l.options.FS.SyncDir(filepath.Dir(l.dir)); err != nil {`, `		if err := error(nil); err != nil {`},
	}},
	{"creation-without-mark", "a topic that is half made when the server ends is served", []edit{
		{"fanout/catalog/create.go", `	if err := m.removal.announce(); err != nil {
		m.fail(parts, err)
		return
	}`, ``},
	}},
	{"deletion-without-mark", "a topic whose deletion was under way when the server ended is half there", []edit{
		{"fanout/catalog/delete.go", `	err := d.removal.announce()
	d.marked = err == nil
	return err`, `	d.marked = true
	return nil`},
	}},
	{"deletion-answered-too-early", "a deletion is answered before it is durable", []edit{
		{"fanout/catalog/removal_mark.go", `	if err := segment.ReplaceFile(r.fs, r.mark, b.Bytes()); err != nil {`, `	if err := error(nil); err != nil {`},
		namesNotSynced,
		markRemovedNotSynced,
	}},
	{"start-of-a-deleted-topic-kept", "a topic that is made again begins where records of the deleted one were deleted", []edit{
		{"fanout/catalog/delete.go", `			delete(c.starts, p.Directory()) // the next log of this name would begin there
`, ``},
	}},
	{"recovery-point-of-a-deleted-topic-kept", "a topic that is made again has the recovery point of the deleted one", []edit{
		{"fanout/catalog/removal_finish.go", `inOrder(c.startsFile.write, c.pointsFile.write, c.epochs`, `inOrder(c.startsFile.write, c.epochs`},
	}},
	{"moved-starts-forgotten", "a start takes no notice of where DeleteRecords moved logs", []edit{
		{"fanout/catalog/open.go", `LogStartOffset: c.starts[directory], RecoveryPoint: point})`, `RecoveryPoint: point})`},
	}},
	{"changes-of-one-name-at-once", "two changes of one topic run at once", []edit{
		{"fanout/catalog/changes.go", `		if len(q.reserved[name]) > 0 {
			ch.ahead++
		}
`, ``},
	}},
	{"waiting-change-forgotten", "a change that waited for another is not begun", []edit{
		{"fanout/catalog/changes.go", `		if line[0].ahead--; line[0].ahead == 0 {
			q.ready`, `		if line[0].ahead--; line[0].ahead == 0 && q.running > 0 {
			q.ready`},
	}},
	{"room-of-a-deleted-topic-kept", "the partitions of a deleted topic stay counted", []edit{
		{"fanout/catalog/delete.go", `		c.room.give(tp.counted())
`, ``},
	}},
	{"room-of-a-failed-topic-kept", "the partitions of a topic that could not be made stay counted", []edit{
		{"fanout/catalog/create.go", `		c.room.give(n.counted())
		c.loop.Log.Error("a topic's partitions could`, `		c.loop.Log.Error("a topic's partitions could`},
	}},
	{"added-partitions-with-defaults", "partitions that are added to a topic have the default configuration", []edit{
		{"fanout/catalog/create_checks.go", `end: int(wanted[i].Count), config: tp.Config,`, `end: int(wanted[i].Count), config: c.config.Defaults,`},
	}},
	{"producer-id-twice", "a producer id is handed out again after a restart", []edit{
		{"fanout/catalog/producer_ids.go", `		err := writeNumber(fs, path, end)`, `		err := writeNumber(fs, path, end-ProducerIDBlock)`},
	}},
	{"producer-id-before-its-reservation", "a producer id is handed out before it is reserved", []edit{
		{"fanout/catalog/producer_ids.go", `	if ids.next < ids.end {
		ids.next++
		done`, `	if ids.next >= 0 {
		ids.next++
		done`},
	}},
	{"log-of-a-deleted-topic-kept", "the files of a deleted topic are not removed", []edit{
		{"fanout/catalog/removal_finish.go", `				errs = append(errs, log.Remove())`, `				errs = append(errs, nil)`},
	}},
}
