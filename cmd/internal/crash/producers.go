package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	rawStreams        = 4
	idempotentStreams = 4
)

func newStreams(random *rand.Rand) []*stream {
	var all []*stream
	for i := range rawStreams + idempotentStreams {
		s := &stream{topic: fmt.Sprintf("raw%d", i), id: random.Uint64(), progress: *newProgress()}
		if s.contiguous = i >= rawStreams; s.contiguous {
			s.topic = fmt.Sprintf("idempotent%d", i-rawStreams)
		}
		all = append(all, s)
	}
	return all
}

// raw are the producers of one round that send batches by hand, one at a time, and end with the server. What was not
// acknowledged is not sent again.
type raw struct {
	group sync.WaitGroup
	mu    sync.Mutex
	err   error
}

func startRaw(address string, streams []*stream, seed uint64) (*raw, error) {
	r := new(raw)
	for i, s := range streams {
		if s.contiguous {
			continue
		}
		c, err := connect(address)
		if err != nil {
			return nil, err
		}
		r.group.Go(func() {
			defer func() { _ = c.Close() }()
			if err := produce(c, s, rand.New(rand.NewPCG(seed, uint64(i)))); err != nil {
				r.mu.Lock()
				r.err = errors.Join(r.err, err)
				r.mu.Unlock()
			}
		})
	}
	return r, nil
}

func (r *raw) wait() error {
	r.group.Wait()
	return r.err
}

// produce sends until the connection ends. Most bytes go in batches so large that a kill often finds one of them half
// written; most batches are small.
func produce(c *connection, s *stream, random *rand.Rand) error {
	for {
		records, valueBytes, codec := 1+random.IntN(50), valueOverhead+random.IntN(200), random.IntN(len(codecs))
		if random.IntN(3) == 0 {
			records, valueBytes, codec = 1+random.IntN(8), 500<<10, 0
		}
		first := s.next
		s.next += int64(records)
		batch, err := makeBatch(s.id, first, records, valueBytes, codec)
		if err != nil {
			return err
		}
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = 7, -1, 30_000
		t := kmsg.NewProduceRequestTopic()
		t.Topic = s.topic
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = s.partition, batch
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		resp, err := c.ask(req)
		if err != nil {
			return nil // killed: whether the batch was written is not known
		}
		if answer := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]; answer.ErrorCode != 0 {
			return fmt.Errorf("%s: a batch of %d bytes was refused with error %d", s, len(batch), answer.ErrorCode)
		} else if err := s.ack(first, answer.BaseOffset, int64(records)); err != nil {
			return err
		}
	}
}

// idempotent are franz-go producers that live through all kills of a directory: they send again what was not
// acknowledged, and the server has to know what it has.
type idempotent struct {
	clients []*kgo.Client
	group   sync.WaitGroup
	ctx     context.Context // ends with stop
	cancel  context.CancelFunc

	mu      sync.Mutex
	writing bool
	err     error
}

func startIdempotent(address string, streams []*stream) (*idempotent, error) {
	p := new(idempotent)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for i, s := range streams {
		if !s.contiguous {
			continue
		}
		client, err := kgo.NewClient(
			kgo.SeedBrokers(address),
			kgo.DefaultProduceTopic(s.topic),
			kgo.ProducerBatchCompression(codecs[1+i%(len(codecs)-1)]),
			kgo.ProducerLinger(time.Millisecond),
			kgo.MaxBufferedRecords(2000),
			kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
			kgo.MetadataMinAge(10*time.Millisecond),
			kgo.UnknownTopicRetries(-1),
			kgo.RetryTimeout(time.Minute),
		)
		if err != nil {
			return nil, err
		}
		p.clients = append(p.clients, client)
		p.group.Go(func() { p.produce(client, s, uint64(i)) })
	}
	return p, nil
}

func (p *idempotent) produce(client *kgo.Client, s *stream, seed uint64) {
	random := rand.New(rand.NewPCG(s.id, seed))
	for p.ctx.Err() == nil {
		if !p.mayWrite() {
			time.Sleep(time.Millisecond)
			continue
		}
		number := s.next
		s.next++
		record := &kgo.Record{Value: appendValue(nil, s.id, number, valueOverhead+random.IntN(2000))}
		client.Produce(p.ctx, record, func(r *kgo.Record, err error) {
			if err == nil {
				err = s.ack(number, r.Offset, 1)
			}
			if err != nil && p.ctx.Err() == nil {
				p.fail(fmt.Errorf("%s: record %d: %w", s, number, err))
			}
		})
		if number%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// begin lets every client write its first record to a server that lives. What a client needs once, its producer id, it
// does not ask for as stubbornly as it repeats records.
func (p *idempotent) begin() error {
	p.write(true)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, client := range p.clients {
		for {
			if id, _, err := client.ProducerID(ctx); err != nil {
				return fmt.Errorf("an idempotent producer gets no id: %w", err)
			} else if id >= 0 {
				break
			}
		}
	}
	return p.drain()
}

func (p *idempotent) mayWrite() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writing
}

// write lets the producers make records, or lets them only repeat what was not acknowledged.
func (p *idempotent) write(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = on
}

func (p *idempotent) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *idempotent) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// drain waits until everything has been acknowledged.
func (p *idempotent) drain() error {
	p.write(false)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, client := range p.clients {
		if err := client.Flush(ctx); err != nil {
			return fmt.Errorf("an idempotent producer's last records are not acknowledged: %w", err)
		}
	}
	return nil
}

func (p *idempotent) stop() {
	p.cancel()
	p.group.Wait()
	for _, client := range p.clients {
		client.Close()
	}
}
