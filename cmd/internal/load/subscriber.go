package load

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

const (
	fetchVersion = 11
	// lowWaterBytes is how many bytes of a payload must have arrived to wake a subscriber.
	lowWaterBytes = 256 << 10
	// discardBytes limits what one receive discards.
	discardBytes = 16 << 20
)

// subscriber is one consumer of partition 0, driven by the readiness of its socket.
type subscriber struct {
	fd      int
	options *DrainOptions
	request []byte // whose offset is written in place
	at      int    // the place of the offset in it

	header  []byte // of the response, whose length is known beforehand
	have    int
	payload int // bytes of the current payload that have not arrived yet
	size    int // of the current payload
	low     int // the current SO_RCVLOWAT

	offset   int64   // the next to fetch
	base     [8]byte // when discarding: the first 8 bytes of the payload, its first batch's offset
	check    checker
	received int64
	started  time.Time
	finished time.Time
	done     bool

	onPayload  func(b []byte) error // live: receives the payload
	onAnswered func()               // paced: is called in place of the next fetch
	http       bool                 // the protocol is HTTP and not Kafka's
}

// responseHeaderBytes is the size of a Fetch v11 response up to its records, for one partition: size, correlation id,
// throttle time, error, session, topics, name, partitions, index, error, three offsets, aborted transactions, preferred
// replica, length of the records.
func responseHeaderBytes(topic string) int {
	return 4 + 4 + 4 + 2 + 4 + 4 + 2 + len(topic) + 4 + 4 + 2 + 24 + 4 + 4 + 4
}

func newSubscriber(fd int, o *DrainOptions) *subscriber {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(fetchVersion)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(o.MaxWait/time.Millisecond), 1, int32(o.FetchBytes)
	req.SessionID, req.SessionEpoch = 0, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = o.Topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.PartitionMaxBytes = -1, int32(o.FetchBytes)
	const mark = 0x0102030405060708
	p.FetchOffset = mark
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	s := &subscriber{fd: fd, options: o, low: 1, header: make([]byte, responseHeaderBytes(o.Topic))}
	s.request = kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, req, 1)
	for s.at = 0; binary.BigEndian.Uint64(s.request[s.at:]) != mark; {
		s.at++
	}
	s.offset, s.check.next = o.start(), o.start()
	return s
}

// fetch sends the next request. It is small and the socket's buffer is empty, so it fits.
func (s *subscriber) fetch() error {
	s.have = 0
	if s.http {
		s.header = make([]byte, maxHTTPHeader)
	} else {
		binary.BigEndian.PutUint64(s.request[s.at:], uint64(s.offset))
		s.check.fresh = true
	}
	n, err := unix.Write(s.fd, s.request)
	if err == nil && n < len(s.request) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("load: sending a request: %w", err)
	}
	return nil
}

// ready receives until the socket is empty.
func (s *subscriber) ready(p *poller) error {
	for !s.done {
		if s.http && s.payload == 0 {
			if more, err := s.readHTTPHeader(); err != nil || !more {
				return err
			}
			continue
		}
		if s.have < len(s.header) {
			n, err := s.receive(s.header[s.have:], 0)
			if n <= 0 || err != nil {
				return err
			}
			s.have += n
			if s.have < len(s.header) {
				continue
			}
			if err := s.parseHeader(); err != nil {
				return err
			}
		}
		if more, err := s.takePayload(p); err != nil || !more {
			return err
		}
	}
	return nil
}

// receive is recv(2). It returns 0 when the socket is empty; the end of the connection is an error.
func (s *subscriber) receive(b []byte, flags int) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), uintptr(flags), 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return 0, nil
		case errno != 0:
			return 0, fmt.Errorf("load: receiving: %w", errno)
		case n == 0:
			return 0, fmt.Errorf("load: the server closed the connection at offset %d: %w", s.offset, io.ErrUnexpectedEOF)
		}
		return int(n), nil
	}
}

func (s *subscriber) parseHeader() error {
	h := s.header
	if code := int16(binary.BigEndian.Uint16(h[12:])); code != 0 {
		return fmt.Errorf("load: fetching: %w", kerr.ErrorForCode(code))
	}
	part := len(h) - 46 // from the partition's index on
	if code := int16(binary.BigEndian.Uint16(h[part+4:])); code != 0 {
		return fmt.Errorf("load: fetching offset %d: %w", s.offset, kerr.ErrorForCode(code))
	}
	s.payload = int(int32(binary.BigEndian.Uint32(h[len(h)-4:])))
	s.size = s.payload
	if total := int(binary.BigEndian.Uint32(h)) + 4; total != len(h)+s.payload {
		return fmt.Errorf("load: a response of %d bytes has a header of %d and a payload of %d: its layout is not the expected one",
			total, len(h), s.payload)
	}
	return nil
}

// takePayload receives the payload. more is false when the socket is empty.
func (s *subscriber) takePayload(p *poller) (more bool, err error) {
	for s.payload > 0 {
		var n int
		if taken := s.size - s.payload; s.options.Discard && taken < len(s.base) && !s.http {
			n, err = s.receive(s.base[taken:min(len(s.base), s.size)], 0)
		} else if s.options.Discard {
			n, err = s.receive(p.void[:min(s.payload, discardBytes)], unix.MSG_TRUNC)
		} else {
			n, err = s.receive(p.read[:min(s.payload, len(p.read))], 0)
		}
		if err != nil {
			return false, err
		}
		if n == 0 {
			s.wakeAt(min(s.payload, lowWaterBytes))
			return false, nil
		}
		s.payload -= n
		s.received += int64(n)
		p.total.Add(int64(n))
		switch {
		case s.options.Discard:
		case s.onPayload != nil:
			err = s.onPayload(p.read[:n])
		default:
			err = s.check.feed(p.read[:n])
		}
		if err != nil {
			return false, err
		}
	}
	s.wakeAt(1)
	return true, s.answered()
}

// wakeAt sets how many bytes make the socket readable.
func (s *subscriber) wakeAt(n int) {
	if n != s.low {
		s.low = n
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
	}
}

// answered checks a whole response and sends the next fetch.
func (s *subscriber) answered() error {
	asked := s.offset
	switch {
	case s.http:
		s.offset = s.options.Layout.End
	case s.options.Discard:
		if s.size == 0 {
			break
		}
		// The payload was discarded, so the layout has to tell the offset after so many bytes from its start.
		l := s.options.Layout
		s.offset, _ = l.after(l.before(int64(binary.BigEndian.Uint64(s.base[:]))) + int64(s.size))
	default:
		if !s.check.whole() {
			return fmt.Errorf("%w: a response ends in the middle of a batch at offset %d", ErrWrongBytes, s.check.next)
		}
		s.offset = s.check.next
	}
	if s.size > 0 && s.offset <= asked {
		return fmt.Errorf("%w: a response of %d bytes has no whole batch from offset %d on", ErrWrongBytes, s.size, asked)
	}
	if s.onAnswered != nil {
		s.have = 0
		s.onAnswered()
		return nil
	}
	if s.options.Layout != nil && s.offset >= s.options.Layout.End {
		s.done, s.finished = true, time.Now()
		return nil
	}
	return s.fetch()
}
