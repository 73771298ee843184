package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"oneplusn/segment/records"
)

// LiveOptions say how records are published to subscribers that wait.
type LiveOptions struct {
	// RecordBytes is the size of each record, at least 8 for its time of publication.
	RecordBytes int
	// Rate is how many records are published a second, one each.
	Rate     float64
	Duration time.Duration
	// Waiting is called when all subscribers have sent their first fetch, and Done after the last delivery, while they are
	// still connected: that is where a server's counters are read.
	Waiting, Done func() error
}

// Live is what a live run measured.
type Live struct {
	Published, Deliveries int64
	Seconds, CPUSeconds   float64
	// Latency is in nanoseconds, from before the record is sent to after it has been received.
	Latency *hdrhistogram.Histogram
	// Late counts ticks at which the publisher was behind its pace by more than a period.
	Late int64
}

// nowNanos is the clock of records' times: the same for all processes of a host (clock_gettime(2)).
func nowNanos() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// RunLive publishes at a pace to subscribers that all wait, and measures how long each delivery takes.
func RunLive(ctx context.Context, set *Set, o LiveOptions, progress func(published, deliveries int64)) (*Live, error) {
	if o.RecordBytes < 8 {
		return nil, fmt.Errorf("load: live records carry their time, so they have at least 8 bytes; %d were asked for", o.RecordBytes)
	}
	threads := max(set.options.Threads, 1)
	histograms := make([]*hdrhistogram.Histogram, threads)
	for i := range histograms {
		histograms[i] = newLatency()
	}
	var deliveries atomic.Int64
	setUp := func(thread int, sub *subscriber) {
		buf := make([]byte, 0, 512)
		sub.onPayload = func(s *subscriber, b []byte) error {
			buf = append(buf, b...)
			if s.payload > 0 {
				return nil
			}
			n, err := takeLive(&s.check, buf, o.RecordBytes, histograms[thread])
			deliveries.Add(int64(n))
			buf = buf[:0]
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- set.run(ctx, setUp) }()
	if err := o.Waiting(); err != nil {
		cancel()
		return nil, errors.Join(err, <-drained)
	}
	cpu, started := processCPU(), time.Now()
	live := &Live{Latency: newLatency()}
	err := publishLive(ctx, set.options, o, live, func() { progress(live.Published, deliveries.Load()) })
	if err == nil {
		err = awaitDeliveries(ctx, &deliveries, live.Published*int64(len(set.subs)), drained)
	}
	live.Seconds, live.CPUSeconds = time.Since(started).Seconds(), processCPU()-cpu
	if err == nil {
		err = o.Done()
	}
	cancel()
	if derr := <-drained; err == nil {
		err = derr
	}
	live.Deliveries = deliveries.Load()
	for _, h := range histograms {
		live.Latency.Merge(h)
	}
	return live, err
}

// takeLive takes one or more batches of one record each.
func takeLive(c *checker, b []byte, recordBytes int, h *hdrhistogram.Histogram) (taken int, err error) {
	now := nowNanos()
	for len(b) > 0 {
		header, err := records.ParseBatch(b)
		if err != nil {
			return taken, fmt.Errorf("%w: a live batch: %w", ErrWrongBytes, err)
		}
		size := header.Size()
		if size > len(b) || size < records.HeaderSize+recordBytes+1 {
			return taken, fmt.Errorf("%w: a live batch says it has %d bytes of %d", ErrWrongBytes, size, len(b))
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

// publishLive publishes one record at each tick of the pace.
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

// awaitDeliveries waits for the last deliveries.
func awaitDeliveries(ctx context.Context, deliveries *atomic.Int64, want int64, drained <-chan error) error {
	deadline := time.Now().Add(controlTimeout)
	for deliveries.Load() < want {
		select {
		case err := <-drained:
			return errors.Join(errors.New("load: the subscribers have ended"), err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("load: %d of %d deliveries came within %v", deliveries.Load(), want, controlTimeout)
		}
	}
	return nil
}
