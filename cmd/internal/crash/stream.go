package main

import (
	"fmt"
	"sync"
)

// stream is one partition and its only producer. Its records are numbered from 0.
type stream struct {
	topic string // with one partition
	id    uint64
	// contiguous says that the producer is idempotent and retries unacknowledged records: the log may miss no number.
	contiguous bool

	mu       sync.Mutex
	next     int64 // the number of the next record to send
	acked    []run
	progress progress
}

// run is a row of acknowledged records with consecutive numbers and offsets.
type run struct{ number, offset, count int64 }

// progress is how far a log has been read.
type progress struct {
	offset int64 // the next one to read
	number int64 // the last record read; -1 before the first
	run    int   // the first acknowledged run that has not been read whole
	// early are the offsets of records that were read before their acknowledgement arrived, by number.
	early map[int64]int64
}

func newProgress() *progress { return &progress{number: -1, early: make(map[int64]int64)} }

func (s *stream) String() string { return s.topic + "-0" }

// ack notes that count records from a number on got consecutive offsets.
func (s *stream) ack(number, offset, count int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.acked) - 1
	if last >= 0 && s.acked[last].number+s.acked[last].count == number && s.acked[last].offset+s.acked[last].count == offset {
		s.acked[last].count += count
	} else {
		s.acked = append(s.acked, run{number, offset, count})
	}
	for i := range min(count, s.progress.number+1-number) {
		at, read := s.progress.early[number+i]
		if !read || at != offset+i {
			return fmt.Errorf("%s: record %d was acknowledged with offset %d, but was read at %d (found: %v)", s, number+i, offset+i, at, read)
		}
		delete(s.progress.early, number+i)
	}
	return nil
}

func (s *stream) ackedRecords() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.acked {
		n += r.count
	}
	return n
}

// lastAcked is the highest acknowledged offset, -1 if there is none.
func (s *stream) lastAcked() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acked) == 0 {
		return -1
	}
	r := s.acked[len(s.acked)-1]
	return r.offset + r.count - 1
}

// lastPromised is the highest offset that must stay: it was acknowledged or read.
func (s *stream) lastPromised() int64 {
	acked := s.lastAcked()
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(acked, s.progress.offset-1)
}

// saw checks a record from the log against the acknowledgements and the producer's order.
func (s *stream) saw(p *progress, offset, number int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case number <= p.number:
		return fmt.Errorf("%s: record %d is at offset %d, behind record %d: a duplicate, or out of order", s, number, offset, p.number)
	case s.contiguous && number != p.number+1:
		return fmt.Errorf("%s: record %d is at offset %d, behind record %d: a gap", s, number, offset, p.number)
	}
	p.number = number
	for p.run < len(s.acked) {
		r := s.acked[p.run]
		if number < r.number {
			break
		}
		if number >= r.number+r.count {
			if p.offset <= r.offset+r.count-1 {
				return fmt.Errorf("%s: acknowledged records are lost: %d to %d at offset %d", s, r.number, r.number+r.count-1, r.offset)
			}
			p.run++
			continue
		}
		if want := r.offset + number - r.number; want != offset {
			return fmt.Errorf("%s: record %d was acknowledged with offset %d and is at %d", s, number, want, offset)
		}
		p.offset = offset + 1
		return nil
	}
	p.offset = offset + 1
	p.early[number] = offset
	return nil
}
