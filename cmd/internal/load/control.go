package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientID names the load generator to servers.
const clientID = "oneplusn-bench"

// controlTimeout bounds each request that is not a fetch.
const controlTimeout = 30 * time.Second

// maxControlResponse bounds the size of a response.
const maxControlResponse = 64 << 20

// Control is a connection for everything but the drain. It sends one request at a time, and never retries.
type Control struct {
	conn net.Conn
	buf  []byte
	sent int32 // the last request's correlation id
}

// Dial connects to a broker.
func Dial(address string) (*Control, error) {
	conn, err := net.DialTimeout("tcp", address, controlTimeout)
	if err != nil {
		return nil, fmt.Errorf("load: cannot connect to %s: %w: is the server running?", address, err)
	}
	return &Control{conn: conn}, nil
}

// Close closes the connection.
func (c *Control) Close() { _ = c.conn.Close() }

// Request sends req in the given version, which must not be a flexible one, and decodes the response.
func (c *Control) Request(req kmsg.Request, version int16) (resp kmsg.Response, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("load: %s: %w", kmsg.NameForKey(req.Key()), err)
		}
	}()
	c.sent++
	req.SetVersion(version)
	c.buf = kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(c.buf[:0], req, c.sent)
	_ = c.conn.SetDeadline(time.Now().Add(controlTimeout))
	if _, err := c.conn.Write(c.buf); err != nil {
		return nil, err
	}
	var head [8]byte // the size of the rest, correlation id
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return nil, fmt.Errorf("no response: %w", err)
	}
	n, id := binary.BigEndian.Uint32(head[:]), int32(binary.BigEndian.Uint32(head[4:]))
	if n < 4 || n > maxControlResponse || id != c.sent {
		return nil, fmt.Errorf("a response of %d bytes to request %d, expected 4 to %d bytes to request %d", n, id, maxControlResponse, c.sent)
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return nil, fmt.Errorf("the response is cut short: %w", err)
	}
	resp = req.ResponseKind()
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("the response cannot be decoded: %w", err)
	}
	return resp, nil
}

// CreateTopic makes a topic with one partition, unless it exists.
func (c *Control) CreateTopic(topic string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(controlTimeout / time.Millisecond)
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, 1
	req.Topics = append(req.Topics, t)
	resp, err := c.Request(req, 4)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("load: creating topic %s: %w", topic, err)
		}
	}
	return nil
}

// DeleteTopic removes a topic.
func (c *Control) DeleteTopic(topic string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(controlTimeout / time.Millisecond)
	req.TopicNames = []string{topic}
	resp, err := c.Request(req, 1)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("load: deleting topic %s: %w", topic, err)
		}
	}
	return nil
}

// Leader is the address of the leader of the topic's partition 0. A broker may need a moment to choose one.
func (c *Control) Leader(topic string) (string, error) {
	for deadline := time.Now().Add(controlTimeout); ; {
		address, err := c.leader(topic)
		if err == nil || time.Now().After(deadline) {
			return address, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *Control) leader(topic string) (string, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, t)
	resp, err := c.Request(req, 5)
	if err != nil {
		return "", err
	}
	md := resp.(*kmsg.MetadataResponse)
	for _, t := range md.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return "", fmt.Errorf("load: topic %s: %w", topic, err)
		}
		for _, p := range t.Partitions {
			for _, b := range md.Brokers {
				if p.Partition == 0 && b.NodeID == p.Leader {
					return net.JoinHostPort(b.Host, fmt.Sprint(b.Port)), nil
				}
			}
		}
	}
	return "", fmt.Errorf("load: topic %s has no leader", topic)
}

// Produce publishes one batch and returns its base offset.
func (c *Control) Produce(topic string, batch []byte) (int64, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(controlTimeout/time.Millisecond)
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := c.Request(req, 7)
	if err != nil {
		return 0, err
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				remedy := ""
				if errors.Is(err, kerr.MessageTooLarge) {
					remedy = fmt.Sprintf(": the batch has %d bytes: choose a smaller --batch-size or --record-size, or raise the server's --max-message-bytes",
						len(batch))
				}
				return 0, fmt.Errorf("load: publishing to %s: %w%s", topic, err, remedy)
			}
			return p.BaseOffset, nil
		}
	}
	return 0, errors.New("load: the response to Produce has no partition")
}

// Offsets is the first offset of partition 0 and the one after its last.
func (c *Control) Offsets(topic string) (start, end int64, err error) {
	if start, err = c.offset(topic, -2); err != nil {
		return 0, 0, err
	}
	end, err = c.offset(topic, -1)
	return start, end, err
}

func (c *Control) offset(topic string, timestamp int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := c.Request(req, 1)
	if err != nil {
		return 0, err
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			return p.Offset, kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return 0, errors.New("load: the response to ListOffsets has no partition")
}

// Publish publishes batches to a topic with no other producer, until it reaches a number of bytes (0 for no limit), or the
// records end, or ctx does. It calls progress after each batch.
func (c *Control) Publish(ctx context.Context, topic string, records *Records, bytes int64, progress func(done int64)) (*Layout, error) {
	layout := new(Layout)
	for bytes == 0 || layout.Bytes < bytes {
		batch, n, err := records.Next(time.Now().UnixMilli())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("load: reading the records to publish: %w", err)
		}
		base, err := c.Produce(topic, batch)
		if err != nil {
			return nil, err
		}
		layout.add(base, n, len(batch))
		progress(layout.Bytes)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if layout.Bytes == 0 {
		return nil, errors.New("load: there is nothing to publish")
	}
	return layout, nil
}
