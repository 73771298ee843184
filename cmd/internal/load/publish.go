package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Published has the figures of producers.
type Published struct {
	// Batches counts the acknowledged batches, one per request.
	Batches, Bytes int64
	Seconds        float64
	// Latency is the time from a request to its acknowledgement, in nanoseconds.
	Latency *hdrhistogram.Histogram
}

func (p *Published) add(batch []byte, took time.Duration) {
	p.Batches++
	p.Bytes += int64(len(batch))
	recordLatency(p.Latency, took)
}

// PublishFor lets producers send batches to a topic with acks=all for a time. Each has its own connection and its own source
// of batches, and sends the next batch when the last is acknowledged.
func PublishFor(ctx context.Context, address, topic string, sources []*Records, d time.Duration) (*Published, error) {
	controls := make([]*Control, 0, len(sources))
	defer func() {
		for _, c := range controls {
			c.Close()
		}
	}()
	for range sources {
		c, err := Dial(address)
		if err != nil {
			return nil, err
		}
		controls = append(controls, c)
	}
	results, errs := make([]*Published, len(sources)), make([]error, len(sources))
	var group sync.WaitGroup
	start := time.Now()
	for i, source := range sources {
		group.Go(func() { results[i], errs[i] = publishUntil(ctx, controls[i], topic, source, start.Add(d)) })
	}
	group.Wait()
	all := &Published{Latency: newLatency(), Seconds: time.Since(start).Seconds()}
	for _, own := range results {
		all.Batches += own.Batches
		all.Bytes += own.Bytes
		all.Latency.Merge(own.Latency)
	}
	return all, errors.Join(errs...)
}

func publishUntil(ctx context.Context, c *Control, topic string, source *Records, end time.Time) (*Published, error) {
	p := &Published{Latency: newLatency()}
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		batch, _, err := source.Next(now.UnixMilli())
		if err != nil {
			return p, err
		}
		sent := time.Now()
		if _, err := c.Produce(topic, batch); err != nil {
			return p, err
		}
		now = time.Now()
		p.add(batch, now.Sub(sent))
	}
	return p, ctx.Err()
}

// FsyncEach writes batches to a file with one pwrite(2) and one fdatasync(2) each: the disk without a server.
func FsyncEach(ctx context.Context, dir string, source *Records, d time.Duration) (*Published, error) {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer func() { _ = f.Close() }()
	p := &Published{Latency: newLatency()}
	start := time.Now()
	for end := start.Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		batch, _, err := source.Next(time.Now().UnixMilli())
		if err != nil {
			return nil, err
		}
		began := time.Now()
		_, err = f.WriteAt(batch, p.Bytes)
		if err == nil {
			err = unix.Fdatasync(int(f.Fd()))
		}
		if err != nil {
			return nil, fmt.Errorf("load: writing and syncing a file: %w", err)
		}
		p.add(batch, time.Since(began))
	}
	p.Seconds = time.Since(start).Seconds()
	return p, ctx.Err()
}
