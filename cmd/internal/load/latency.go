package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms have latencies in nanoseconds, from 1 us to a minute, with three digits.
const minLatency, maxLatency = time.Microsecond, time.Minute

func newLatency() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(minLatency), int64(maxLatency), 3)
}

func recordLatency(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(int64(min(max(d, minLatency), maxLatency))) // in range, so it cannot fail
}
