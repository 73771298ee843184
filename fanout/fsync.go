package fanout

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Fsync says when written records are put on disk (fdatasync(2)), unless a topic's flush.messages or flush.ms say
// otherwise. The zero value is never: then the kernel writes in its own time, within about 30 s.
//
// Whatever it is, an acknowledged record survives the end of the process, for it is in the page cache. What it decides
// is what the loss of power can take.
type Fsync struct {
	// Always lets every acknowledgement wait for an fsync that covers it, and so does every subscriber.
	Always bool
	// Every is the longest time that a record is not on disk; 0 without that limit. Acknowledgements do not wait.
	Every time.Duration
}

const (
	minFsyncEvery = time.Millisecond
	maxFsyncEvery = 24 * time.Hour
)

const fsyncForms = "write never, always, or interval=D such as interval=1s"

// ParseFsync reads never, always or interval=DURATION.
func ParseFsync(text string) (Fsync, error) {
	switch text {
	case "never":
		return Fsync{}, nil
	case "always":
		return Fsync{Always: true}, nil
	}
	interval, ok := strings.CutPrefix(text, "interval=")
	if !ok {
		return Fsync{}, fmt.Errorf("--fsync %q: %s", text, fsyncForms)
	}
	every, err := time.ParseDuration(interval)
	if err != nil {
		return Fsync{}, fmt.Errorf("--fsync %q: %q is not a duration: %s", text, interval, fsyncForms)
	}
	if every < minFsyncEvery || every > maxFsyncEvery {
		return Fsync{}, fmt.Errorf("--fsync %q: the interval must be from %v to %v", text, minFsyncEvery, maxFsyncEvery)
	}
	return Fsync{Every: every}, nil
}

// String is what [ParseFsync] reads.
func (f Fsync) String() string {
	switch {
	case f.Always:
		return "always"
	case f.Every > 0:
		return "interval=" + f.Every.String()
	}
	return "never"
}

func (f Fsync) validate() error {
	if f.Every != 0 && (f.Always || f.Every < minFsyncEvery || f.Every > maxFsyncEvery) {
		return fmt.Errorf("fanout: fsync is %v every %v, allowed are %v to %v, or always", f, f.Every, minFsyncEvery, maxFsyncEvery)
	}
	return nil
}

// flushPolicy is when a partition is synced, in the terms of Apache Kafka's flush.messages and flush.ms: the three
// values of --fsync are three of its points.
type flushPolicy struct {
	messages int64
	every    time.Duration
}

const noFlushEvery = time.Duration(math.MaxInt64)

func (f Fsync) flushPolicy() flushPolicy {
	p := flushPolicy{messages: math.MaxInt64, every: noFlushEvery}
	switch {
	case f.Always:
		p.messages = 1
	case f.Every > 0:
		p.every = f.Every
	}
	return p
}

// waits says that no record is acknowledged or readable before it is on disk.
func (p flushPolicy) waits() bool { return p.messages == 1 }

// never says that nothing is synced but by the kernel.
func (p flushPolicy) never() bool { return p.messages == math.MaxInt64 && p.every == noFlushEvery }

// everyMillis is the interval as flush.ms has it, where the largest number stands for never.
func (p flushPolicy) everyMillis() int64 {
	if p.every >= millis(maxMillis) {
		return math.MaxInt64
	}
	return p.every.Milliseconds()
}
