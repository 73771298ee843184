package fanout

import (
	"bytes"

	"oneplusn/fanout/conn"
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
	block *conn.Block // nil if there is none; else held once here
	n     int
	turn  uint64 // in which it was encoded
}

// allTopics is the encoded list, and the memory that it lies in, held once for the caller. With an error the list is scratch
// memory.
func (b *Broker) allTopics(c *client) (*conn.Block, []byte, error) {
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
		if l.block == nil || !bytes.Equal(l.block.Bytes()[:l.n], list) {
			blk, err := b.conns.Responses.Take(c.Conn, len(list))
			if err != nil {
				return nil, list, err
			}
			l.drop(&b.conns.Responses)
			l.block, l.n = blk, copy(blk.Bytes(), list)
		}
		l.turn = b.loop.Turn()
	}
	l.block.Hold()
	return l.block, l.block.Bytes()[:l.n], nil
}

func (l *sharedList) drop(m *conn.ResponseMemory) {
	if l.block != nil {
		m.Release(l.block)
	}
	*l = sharedList{}
}

// drop gives up the lists that nobody is being sent, and says whether there were any.
func (m *sharedMetadata) drop(memory *conn.ResponseMemory) (dropped bool) {
	for i := range m.lists {
		if l := &m.lists[i]; l.block != nil && l.block.Holds() == 1 {
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
		c.AwaitBlock(len(list), err)
		return
	}
	header := wire.AppendMetadataHead(b.scratch[:0], c.header.Version, c.header.CorrelationID, b.node(c))
	b.keepScratch(header)
	if err := wire.PatchFrameSize(header, int64(len(header)+len(list))); err != nil {
		b.conns.Responses.Release(shared)
		c.Close(conn.ByProtocol, err)
		return
	}
	if mem, ok := c.Place(header); !ok {
		b.conns.Responses.Release(shared) // it is asked for again
	} else {
		c.Share(shared)
		c.Send(append(c.Parts(), transfer.Part{Header: mem}, transfer.Part{Header: list}))
	}
}
