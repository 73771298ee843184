package offsets

import (
	"fmt"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/group"
	"oneplusn/segment/records"
)

// Restore reads the topic, if it exists. It blocks.
//
// A damaged partition does not stop the start. It goes offline, and its groups have no coordinator until it is repaired: they
// must not begin without their acknowledged offsets. Records that cannot be parsed are skipped.
func (l *Log) Restore() {
	tp := l.catalog.Topic(Topic)
	if tp == nil {
		return
	}
	// Records read before the damage was found are dropped by starting over without that partition.
	for !l.restore(tp) {
	}
	counts := l.coordinator.Counts()
	l.loop.Log.Info("committed offsets are read", "groups", counts.Groups, "offsets", counts.Offsets, "members", counts.Members,
		"partitions_refused", tp.Offline())
}

// restore reads the partitions that are not offline. It returns false if another one went offline.
func (l *Log) restore(tp *catalog.Topic) bool {
	l.use(tp)
	for _, p := range tp.Partitions {
		if p.Offline == nil {
			if err := l.restorePartition(p); err != nil {
				p.Offline = fmt.Errorf("reading committed offsets from %s: %w", p.Directory(), err)
				p.Log.Abandon()
				return false
			}
			continue
		}
		l.coordinator.RefusePartition(p.Index)
		l.loop.Log.Error("the groups of a partition have no coordinator: their committed offsets cannot be read", "topic", Topic,
			"partition", p.Index, "error", p.Offline,
			"remedy", "stop the server and restore the directory from a copy, or repair it as the error says, or move it away to begin without them")
	}
	return true
}

func (l *Log) restorePartition(p *catalog.Partition) error {
	read, unknown := 0, 0
	var first error
	leaveOut := func(err error) {
		if unknown++; first == nil {
			first = err
		}
	}
	now := group.Instant{UnixMillis: l.loop.UnixMillis()}
	err := p.Log.EachRecord(l.config.MaxInflatedBytes, func(offset int64, r *records.Record) {
		read++
		if err := l.coordinator.Restore(now, p.Index, offset, r.Key, r.Value); err != nil {
			leaveOut(err)
		}
	}, leaveOut)
	if err == nil && unknown > 0 {
		l.loop.Log.Warn("records of the offsets topic are skipped: they cannot be parsed", "partition", p.Index, "records", read,
			"left_out", unknown, "first_error", first)
	}
	return err
}
