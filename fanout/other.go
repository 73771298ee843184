package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// handleOther answers the requests that are not on the path of records. They are decoded from a copy of their frame, so
// a handler may keep them.
func (b *Broker) handleOther(c *client) error {
	if ok, err := c.chargeDecoded(len(c.header.Body)); !ok {
		if err != nil {
			c.close(closedByMemory, err)
		}
		return nil
	}
	if len(c.header.Body) > costlyBytes && c.putOff(len(c.header.Body)) {
		return nil
	}
	decoded, err := wire.DecodeRequest(c.header)
	if err != nil {
		return err
	}
	switch req := decoded.(type) {
	case *kmsg.ListOffsetsRequest:
		b.handleListOffsets(c, req)
	case *kmsg.MetadataRequest:
		b.handleMetadata(c, req)
	case *kmsg.FindCoordinatorRequest:
		b.handleFindCoordinator(c, req)
	case *kmsg.CreateTopicsRequest:
		b.handleCreateTopics(c, req)
	case *kmsg.DeleteTopicsRequest:
		b.handleDeleteTopics(c, req)
	case *kmsg.InitProducerIDRequest:
		b.handleInitProducerID(c, req)
	case *kmsg.DeleteRecordsRequest:
		b.handleDeleteRecords(c, req)
	case *kmsg.DescribeConfigsRequest:
		b.handleDescribeConfigs(c, req)
	case *kmsg.IncrementalAlterConfigsRequest:
		b.handleIncrementalAlterConfigs(c, req)
	case *kmsg.OffsetForLeaderEpochRequest:
		b.reply(c, b.handleOffsetForLeaderEpoch(req))
	case *kmsg.DescribeLogDirsRequest:
		b.handleDescribeLogDirs(c, req)
	case *kmsg.CreatePartitionsRequest:
		b.handleCreatePartitions(c, req)
	default:
		return b.handleGroup(c, decoded)
	}
	return nil
}

// handleGroup answers the requests that are about consumer groups.
func (b *Broker) handleGroup(c *client, decoded kmsg.Request) error {
	switch req := decoded.(type) {
	case *kmsg.OffsetCommitRequest:
		b.handleOffsetCommit(c, req)
	case *kmsg.OffsetFetchRequest:
		b.handleOffsetFetch(c, req)
	case *kmsg.JoinGroupRequest:
		b.handleJoinGroup(c, req)
	case *kmsg.HeartbeatRequest:
		b.handleHeartbeat(c, req)
	case *kmsg.LeaveGroupRequest:
		b.handleLeaveGroup(c, req)
	case *kmsg.SyncGroupRequest:
		b.handleSyncGroup(c, req)
	case *kmsg.DescribeGroupsRequest:
		b.handleDescribeGroups(c, req)
	case *kmsg.ListGroupsRequest:
		b.handleListGroups(c, req)
	case *kmsg.DeleteGroupsRequest:
		b.handleDeleteGroups(c, req)
	case *kmsg.OffsetDeleteRequest:
		b.handleOffsetDelete(c, req)
	default:
		return wire.ErrUnknownKey
	}
	return nil
}

// reply encodes and sends a response of kmsg's. While there is no room for it, it is kept if it says what the request has
// done, and its size is bounded by the request's; a request that only asks is answered again.
func (b *Broker) reply(c *client, response kmsg.Response) {
	c.respond(wire.AppendResponse(b.scratch[:0], c.header.CorrelationID, response))
	if c.forResponse.waits() && !onlyAsks(c.header.Key) {
		c.kept = response
	}
}

// onlyAsks says that a request changes nothing, so that it can be answered twice.
func onlyAsks(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetFetch, kmsg.DescribeGroups, kmsg.ListGroups, kmsg.DescribeConfigs,
		kmsg.OffsetForLeaderEpoch, kmsg.DescribeLogDirs:
		return true
	}
	return false
}
