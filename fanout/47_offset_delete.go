package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleOffsetDelete, Request{Max: 0,
		Does: "forgets a group's offsets of topics that no member subscribes to (KIP-496)",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeNonEmptyGroup,
			wire.CodeGroupIDNotFound, wire.CodeUnknownTopicOrPartition, wire.CodeGroupSubscribedToTopic},
	})
}

// handleOffsetDelete forgets a group's offsets of topics that no member subscribes to (KIP-496).
func handleOffsetDelete(b *base, c *client, req *kmsg.OffsetDeleteRequest) {
	coordinate(c, req, (*group.Coordinator).OffsetDelete)
}
