package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"oneplusn/cmd/internal/load"
)

const (
	rawStreams        = 4
	idempotentStreams = 4
)

// newStreams makes the streams of raw producers first, then those of idempotent ones.
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

// startRaw starts the raw producers of one round. They end with the server, and never retry unacknowledged batches. wait
// returns when all have ended.
func startRaw(address string, streams []*stream, seed uint64) (wait func() error, err error) {
	ended := make(chan error, rawStreams)
	for i, s := range streams[:rawStreams] {
		c, err := load.Dial(address)
		if err != nil {
			return nil, err
		}
		go func() {
			defer c.Close()
			ended <- produce(c, s, rand.New(rand.NewPCG(seed, uint64(i))))
		}()
	}
	return func() (err error) {
		for range rawStreams {
			err = errors.Join(err, <-ended)
		}
		return err
	}, nil
}

// produce sends one batch at a time until the connection ends. Most batches are small, but most bytes go in batches so
// large that a kill often leaves one of them half written.
func produce(c *load.Control, s *stream, random *rand.Rand) error {
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
		offset, err := c.Produce(s.topic, batch)
		var refused *kerr.Error
		switch {
		case errors.As(err, &refused):
			return fmt.Errorf("%s: a batch of %d bytes was refused: %w", s, len(batch), err)
		case err != nil:
			return nil // killed: nobody knows whether the batch was written
		}
		if err := s.ack(first, offset, int64(records)); err != nil {
			return err
		}
	}
}

// idempotent are franz-go producers that live through all kills of a directory. They retry unacknowledged batches, and the
// server has to recognize duplicates.
type idempotent struct {
	clients []*kgo.Client
	group   sync.WaitGroup
	ctx     context.Context // ends with stop, or with the first failure as its cause
	cancel  context.CancelCauseFunc
	writing atomic.Bool // else they only retry unacknowledged records
}

func startIdempotent(address string, streams []*stream) (*idempotent, error) {
	p := new(idempotent)
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	for i, s := range streams[rawStreams:] {
		client, err := kgo.NewClient(
			kgo.SeedBrokers(address),
			kgo.DefaultProduceTopic(s.topic),
			kgo.ProducerBatchCompression(codecs[1+(rawStreams+i)%(len(codecs)-1)]),
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
		if !p.writing.Load() {
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
			if err != nil {
				p.cancel(fmt.Errorf("%s: record %d: %w", s, number, err))
			}
		})
		if number%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// begin lets every client write its first record to a server that lives: a client retries its request for a producer id
// less stubbornly than it retries records.
func (p *idempotent) begin() error {
	p.writing.Store(true)
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

func (p *idempotent) failed() error { return context.Cause(p.ctx) }

// drain waits until everything has been acknowledged.
func (p *idempotent) drain() error {
	p.writing.Store(false)
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
	p.cancel(nil)
	p.group.Wait()
	for _, client := range p.clients {
		client.Close()
	}
}
