package fanout

import (
	"bytes"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
)

// sharedMetadata is the list of all topics, encoded, one for each version that clients ask in. It is encoded at most once a
// turn, and all who ask while it does not change send it from the same memory: five hundred clients that start together
// cost one list, not five hundred.
type sharedMetadata struct {
	lists [wire.MetadataVersions]sharedList
}

type sharedList struct {
	block *block // nil if there is none; else held once here
	n     int
	turn  uint64 // in which it was encoded
}

// allTopics is the encoded list, and the memory that it lies in, held once for the caller. With an error the list is scratch
// memory.
func (b *Broker) allTopics(c *client) (*block, []byte, error) {
	version := c.header.Version
	l := &b.metadata.lists[version]
	if l.block == nil || l.turn != b.loop.Turn() {
		names := b.catalog.SortedNames()
		list := wire.AppendMetadataTopics(b.scratch[:0], len(names))
		for _, name := range names {
			list = b.appendTopic(list, version, name)
		}
		list = wire.AppendMetadataEnd(list, version)
		b.keepScratch(list)
		if l.block == nil || !bytes.Equal(l.block.bytes[:l.n], list) {
			blk, err := b.blocks.take(c.conn, len(list))
			if err != nil {
				return nil, list, err
			}
			l.drop(&b.blocks)
			l.block, l.n = blk, copy(blk.bytes, list)
		}
		l.turn = b.loop.Turn()
	}
	l.block.holds++
	return l.block, l.block.bytes[:l.n], nil
}

func (l *sharedList) drop(m *responseMemory) {
	if l.block != nil {
		m.release(l.block)
	}
	*l = sharedList{}
}

// drop gives up the lists that nobody is being sent, and says whether there were any.
func (m *sharedMetadata) drop(memory *responseMemory) (dropped bool) {
	for i := range m.lists {
		if l := &m.lists[i]; l.block != nil && l.block.holds == 1 {
			l.drop(memory)
			dropped = true
		}
	}
	return dropped
}

// sendAllTopics answers with the list of all topics, which others may be being sent as well.
func (b *Broker) sendAllTopics(c *client) {
	shared, list, err := b.allTopics(c)
	if err != nil {
		c.refuseBlock(len(list), err)
		return
	}
	c.shared = shared
	head := wire.AppendMetadataHead(b.scratch[:0], c.header.Version, c.header.CorrelationID, b.node(c))
	b.keepScratch(head)
	if err := wire.PatchFrameSize(head, int64(len(head)+len(list))); err != nil {
		c.close(closedByProtocol, err)
		return
	}
	if mem, ok := c.place(head); ok {
		c.send(append(c.flow.Parts(), transfer.Part{Header: mem}, transfer.Part{Header: list}))
	}
}
