package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// connection speaks the protocol without a client library in between, which would retry and hide.
type connection struct {
	net.Conn
	next int32
}

// answerTimeout is how long an answer may take before the server is thought to hang.
const answerTimeout = 30 * time.Second

func connect(address string) (*connection, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c}, nil
}

func (c *connection) ask(req kmsg.Request) (kmsg.Response, error) {
	c.next++
	_ = c.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := c.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("crash")).AppendRequest(nil, req, c.next)); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != c.next {
		return nil, fmt.Errorf("the answer is to request %d, not %d", got, c.next)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(body)
}

// fetch reads batches from an offset on. end is the high watermark.
func (c *connection) fetch(topic string, partition int32, offset int64) (batches []byte, end int64, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxBytes, req.MinBytes = 11, -1, 16<<20, 1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 16<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := c.ask(req)
	if err != nil {
		return nil, 0, fmt.Errorf("fetching %s-%d from %d: %w", topic, partition, offset, err)
	}
	r := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if r.ErrorCode != 0 {
		return nil, 0, fmt.Errorf("fetching %s-%d from %d: error %d, the log has %d to %d", topic, partition, offset, r.ErrorCode, r.LogStartOffset, r.HighWatermark)
	}
	return r.RecordBatches, r.HighWatermark, nil
}

// create makes a topic, or finds it there.
func (c *connection) create(topic string, partitions int32) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 4
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
	req.Topics = append(req.Topics, t)
	resp, err := c.ask(req)
	if err != nil {
		return fmt.Errorf("creating %s: %w", topic, err)
	}
	const alreadyExists = 36
	if r := resp.(*kmsg.CreateTopicsResponse).Topics[0]; r.ErrorCode != 0 && r.ErrorCode != alreadyExists {
		return fmt.Errorf("creating %s: error %d", topic, r.ErrorCode)
	}
	return nil
}
