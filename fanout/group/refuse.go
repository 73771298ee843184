package group

import "oneplusn/fanout/wire"

// RefusePartition refuses every group whose records go to a partition of the log that cannot be read: what they have
// committed is not known, and a group that begins without it would read everything again or skip what it has not read.
// Clients look for the coordinator until it is there again.
func (c *Coordinator) RefusePartition(partition int32) {
	if t := &c.trails[partition]; !t.refused {
		t.refused = true
		c.refusedTrails++
	}
}

// Refused says that the group is one of those of [Coordinator.RefusePartition].
func (c *Coordinator) Refused(id string) bool { return c.refusal(id) != 0 }

// refusal is the error of a group whose records are not known, or 0.
func (c *Coordinator) refusal(id string) int16 {
	if c.refusedTrails > 0 && c.trailOf(id).refused {
		return wire.CodeCoordinatorNotAvailable
	}
	return 0
}

// checkGroup is the error of a request for a group, whatever it asks for, or 0. Every request for one begins with it.
func (c *Coordinator) checkGroup(id string, mayBeEmpty bool) int16 {
	if code := checkGroupID(id, mayBeEmpty); code != 0 {
		return code
	}
	return c.refusal(id)
}
