package fanout

import (
	"fmt"

	"oneplusn/fanout/group"
	"oneplusn/segment/records"
)

// restoreGroups reads the offsets topic, if there is one. It blocks.
//
// A partition of it that is damaged does not stop the start, and its groups do not begin without their offsets, which
// were acknowledged: they have no coordinator until it is mended. A record that cannot be understood is left out.
func (b *Broker) restoreGroups() {
	tp := b.topics.byName[offsetsTopic]
	if tp == nil {
		return
	}
	// What was read of a partition before its damage was met is forgotten by beginning again without it.
	for !b.restoreFrom(tp) {
	}
	counts := b.groups.coordinator.Counts()
	b.loop.Log.Info("committed offsets are read", "groups", counts.Groups, "offsets", counts.Offsets, "members", counts.Members,
		"partitions_refused", tp.offline())
}

// restoreFrom reads the partitions that are not refused. It is false if another one has to be.
func (b *Broker) restoreFrom(tp *topic) bool {
	b.useTopic(tp)
	for _, p := range tp.partitions {
		if p.refused == nil {
			if err := b.restorePartition(p); err != nil {
				p.refused = fmt.Errorf("fanout: reading committed offsets from %s: %w", p.directory(), err)
				p.log.Abandon()
				return false
			}
			continue
		}
		b.groups.coordinator.RefusePartition(p.index)
		b.loop.Log.Error("the groups of a partition have no coordinator: what they have committed cannot be read", "topic", tp.name,
			"partition", p.index, "error", p.refused,
			"remedy", "stop the server and restore the directory from a copy, or mend it as the error says, or move it away to begin without them")
	}
	return true
}

func (b *Broker) restorePartition(p *partition) error {
	read, unknown := 0, 0
	var first error
	leaveOut := func(err error) {
		if unknown++; first == nil {
			first = err
		}
	}
	err := p.log.EachRecord(b.config.MaxInflatedBytes, func(offset int64, r *records.Record) {
		read++
		if err := b.groups.coordinator.Restore(group.Instant{UnixMillis: b.loop.UnixMillis()}, p.index, offset, r.Key, r.Value); err != nil {
			leaveOut(err)
		}
	}, leaveOut)
	if err == nil && unknown > 0 {
		b.loop.Log.Warn("records of the offsets topic are left out: they cannot be understood", "partition", p.index, "records", read,
			"left_out", unknown, "first_error", first)
	}
	return err
}
