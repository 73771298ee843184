package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"oneplusn/segment/records"
)

// LiveOptions say how to publish to waiting subscribers.
type LiveOptions struct {
	// RecordBytes is the size of each record, at least 8 for the time of its publication.
	RecordBytes int
	// Rate is how many records a second are published, each in a batch of its own.
	Rate     float64
	Duration time.Duration
	// Waiting is called before the first record is published, and Done after the last delivery, while the subscribers are
	// still connected: these are the places to read the server's counters.
	Waiting, Done func() error
}

// Live has the figures of a live run.
type Live struct {
	Published, Deliveries int64
	Seconds, CPUSeconds   float64
	// Latency is in nanoseconds, from just before a record is sent until it has been received.
	Latency *hdrhistogram.Histogram
	// Late counts the records that were published more than a period too late.
	Late int64
}

// nowNanos is the clock of the records' times, which all processes of a host share (clock_gettime(2)).
func nowNanos() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// RunLive publishes at a pace to waiting subscribers, and measures how long each delivery takes.
func RunLive(ctx context.Context, set *Set, o LiveOptions, progress func(published, deliveries int64)) (*Live, error) {
	if o.RecordBytes < 8 {
		return nil, fmt.Errorf("load: a record of %d bytes is too small for the time of its publication: choose 8 bytes or more", o.RecordBytes)
	}
	threads := max(set.options.Threads, 1)
	histograms := make([]*hdrhistogram.Histogram, threads)
	for i := range histograms {
		histograms[i] = newLatency()
	}
	var deliveries atomic.Int64
	setUp := func(thread int, sub *subscriber) {
		buf := make([]byte, 0, 512)
		sub.onPayload = func(b []byte) error {
			buf = append(buf, b...)
			if sub.payload > 0 {
				return nil
			}
			n, err := takeLive(&sub.check, buf, o.RecordBytes, histograms[thread])
			deliveries.Add(int64(n))
			buf = buf[:0]
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	drained := make(chan error, 1)
	go func() {
		drained <- set.run(ctx, setUp)
		cancel() // nobody is left to publish to
	}()
	live := &Live{Latency: newLatency()}
	err := o.Waiting()
	cpu, started := processCPU(), time.Now()
	if err == nil {
		err = publishLive(ctx, set.options, o, live, func() { progress(live.Published, deliveries.Load()) })
	}
	if err == nil {
		err = awaitDeliveries(ctx, &deliveries, live.Published*int64(len(set.subs)))
	}
	live.Seconds, live.CPUSeconds = time.Since(started).Seconds(), processCPU()-cpu
	if err == nil {
		err = o.Done()
	}
	cancel()
	if failed := <-drained; failed != nil {
		err = failed // else err may only say that it was cancelled
	}
	live.Deliveries = deliveries.Load()
	for _, h := range histograms {
		live.Latency.Merge(h)
	}
	return live, err
}

// takeLive checks one or more batches of one record each, and records their latencies.
func takeLive(c *checker, b []byte, recordBytes int, h *hdrhistogram.Histogram) (taken int, err error) {
	now := nowNanos()
	for len(b) > 0 {
		header, err := records.ParseBatch(b)
		if err != nil {
			return taken, fmt.Errorf("%w: a live batch: %w", ErrWrongBytes, err)
		}
		size := header.Size()
		if size > len(b) || size < records.HeaderSize+recordBytes+1 {
			return taken, fmt.Errorf("%w: a live batch of %d bytes, %d arrived", ErrWrongBytes, size, len(b))
		}
		if err := c.feed(b[:size]); err != nil {
			return taken, err
		}
		sent := int64(binary.BigEndian.Uint64(b[size-1-recordBytes:]))
		recordLatency(h, time.Duration(now-sent))
		taken++
		b = b[size:]
	}
	return taken, nil
}

// publishLive publishes one record in each period.
func publishLive(ctx context.Context, to DrainOptions, o LiveOptions, live *Live, tick func()) error {
	control, err := Dial(to.Address)
	if err != nil {
		return err
	}
	defer control.Close()
	period := time.Duration(float64(time.Second) / o.Rate)
	value := make([]byte, o.RecordBytes)
	batch := make([]byte, 0, records.HeaderSize+o.RecordBytes+32)
	started := time.Now()
	for n := int64(0); ; n++ {
		due := started.Add(time.Duration(n) * period)
		if due.Sub(started) >= o.Duration {
			return nil
		}
		wait := time.Until(due)
		if wait < -period {
			live.Late++
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		binary.BigEndian.PutUint64(value, uint64(nowNanos()))
		batch = records.AppendRecord(append(batch[:0], make([]byte, records.HeaderSize)...), 0, nil, value)
		records.Seal(batch, records.NewBatch(1, time.Now().UnixMilli()))
		if _, err := control.Produce(to.Topic, batch); err != nil {
			return err
		}
		live.Published++
		tick()
	}
}

// awaitDeliveries waits until the subscribers have received everything.
func awaitDeliveries(ctx context.Context, deliveries *atomic.Int64, want int64) error {
	deadline := time.Now().Add(controlTimeout)
	for deliveries.Load() < want {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("load: only %d of %d deliveries arrived within %v", deliveries.Load(), want, controlTimeout)
		}
	}
	return nil
}
