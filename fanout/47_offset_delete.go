package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// OffsetDelete deletes a group's offsets of topics that no member subscribes to (KIP-496).
func init() {
	register(coordinated((*group.Coordinator).OffsetDelete), Request{Max: 0,
		Does: "deletes a group's offsets of topics that no member subscribes to (KIP-496)",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeNonEmptyGroup,
			wire.CodeGroupIDNotFound, wire.CodeUnknownTopicOrPartition, wire.CodeGroupSubscribedToTopic},
	})
}
