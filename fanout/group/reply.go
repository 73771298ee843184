package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// replySize bounds a reply that can be many times as large as its request. Items that do not fit become errors.
type replySize struct{ bytes, limit int64 }

func (c *Coordinator) newReplySize() replySize { return replySize{limit: c.config.MaxReplyBytes} }

// add reports whether there is room for some more bytes.
func (s *replySize) add(bytes int) bool {
	if s.limit > 0 && s.bytes+int64(bytes) > s.limit {
		return false
	}
	s.bytes += int64(bytes)
	return true
}

// Asked estimates how many offsets, members or groups the answer to a read-only request lists; long texts count as several.
func (c *Coordinator) Asked(req kmsg.Request) (items int) {
	const itemBytes = 128
	switch r := req.(type) {
	case *kmsg.ListGroupsRequest:
		return c.groups.len() + int(c.budget.Used()/(64*itemBytes))
	case *kmsg.DescribeGroupsRequest:
		for _, id := range r.Groups {
			if g := c.groups.get(id); g != nil {
				items += g.list.Len() + g.described()/itemBytes
			}
		}
	case *kmsg.OffsetFetchRequest:
		for i := range r.Topics {
			items += len(r.Topics[i].Partitions)
		}
		if g := c.groups.get(r.Group); g != nil && r.Topics == nil && r.Version >= 2 {
			items = g.commits.Len()
		}
	}
	return items
}

// listedBytes is the size of a group in ListGroups beside its id.
const listedBytes = 32

// noMetadata is shared: a request may name a hundred thousand offsets without metadata.
var noMetadata = kmsg.StringPtr("")

// fetchedOffset is the answer for a partition; o is nil for one without a commit.
func (s *replySize) fetchedOffset(partition int32, o *committed) kmsg.OffsetFetchResponseTopicPartition {
	const fixed = 4 + 8 + 4 + 2 + 2 // partition, offset, epoch, the text's length, error
	r := kmsg.OffsetFetchResponseTopicPartition{Partition: partition, Offset: -1, LeaderEpoch: -1, Metadata: noMetadata}
	switch {
	case o == nil:
		s.add(fixed)
	case !s.add(fixed + len(o.metadata)):
		r.ErrorCode = wire.CodePolicyViolation
	default:
		r.Offset, r.LeaderEpoch = o.offset, o.leaderEpoch
		if o.metadata != "" {
			r.Metadata = kmsg.StringPtr(o.metadata)
		}
	}
	return r
}

// described bounds a group's bytes in DescribeGroups.
func (g *group) described() int { return int(g.recordBytes) + 64*g.list.Len() + len(g.id) }
