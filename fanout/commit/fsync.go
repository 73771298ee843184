package commit

import (
	"fmt"
	"math"
	"strings"
	"time"

	"oneplusn/fanout/loop"
)

// Fsync says when written records are synced (fdatasync(2)), unless a topic's flush.messages or flush.ms override it. The
// zero value is never: then the kernel writes them back in its own time, within about 30 s.
//
// With any policy an acknowledged record survives the end of the process, because it is in the page cache. The policy
// decides how much a loss of power can take.
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

// String formats the policy as [ParseFsync] reads it.
func (f Fsync) String() string {
	switch {
	case f.Always:
		return "always"
	case f.Every > 0:
		return "interval=" + f.Every.String()
	}
	return "never"
}

// Validate checks a policy that was not parsed.
func (f Fsync) Validate() error {
	if f.Every != 0 && (f.Always || f.Every < minFsyncEvery || f.Every > maxFsyncEvery) {
		return fmt.Errorf("fsync is %v every %v, allowed are %v to %v, or always", f, f.Every, minFsyncEvery, maxFsyncEvery)
	}
	return nil
}

// FlushPolicy is when a partition is synced, in terms of Apache Kafka's flush.messages and flush.ms. Each value of
// --fsync is such a policy.
type FlushPolicy struct {
	Messages int64
	Every    time.Duration
}

// Policy returns the same in Kafka's terms.
func (f Fsync) Policy() FlushPolicy {
	p := FlushPolicy{Messages: math.MaxInt64, Every: loop.Never}
	switch {
	case f.Always:
		p.Messages = 1
	case f.Every > 0:
		p.Every = f.Every
	}
	return p
}

// Waits says that no record is acknowledged or readable before it is on disk.
func (p FlushPolicy) Waits() bool { return p.Messages == 1 }

// Never reports whether syncing is left to the kernel.
func (p FlushPolicy) Never() bool { return p.Messages == math.MaxInt64 && p.Every == loop.Never }

// EveryMillis is the interval as a value of flush.ms, where the largest number stands for never.
func (p FlushPolicy) EveryMillis() int64 {
	if ms := p.Every.Milliseconds(); ms < loop.Never.Milliseconds() {
		return ms
	}
	return math.MaxInt64
}
