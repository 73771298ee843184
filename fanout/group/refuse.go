package group

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// RefusePartition refuses every group of a partition of the log that cannot be read: a group that began without its
// committed offsets would read everything again, or skip records. Clients keep looking for the coordinator.
func (c *Coordinator) RefusePartition(partition int32) {
	if t := &c.logs[partition]; !t.refused {
		mark.Hit("the groups of a damaged partition were refused")
		t.refused = true
		c.refusedLogs++
	}
}

// Refused reports whether the group is one of those of [Coordinator.RefusePartition].
func (c *Coordinator) Refused(id string) bool { return c.refusal(id) != 0 }

// refusal is the error of a group whose partition is refused, or 0.
func (c *Coordinator) refusal(id string) int16 {
	if c.refusedLogs > 0 && c.logOf(id).refused {
		return wire.CodeCoordinatorNotAvailable
	}
	return 0
}
