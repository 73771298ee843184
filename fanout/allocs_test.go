package fanout

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/transfer"
)

// rawClient allocates nothing: its requests and buffers are made beforehand, and its socket is none of the runtime's.
type rawClient struct {
	fd      int
	request []byte
	buf     []byte
}

func (s *server) rawDial(request []byte, responseBytes int) (*rawClient, error) {
	addr, err := net.ResolveTCPAddr("tcp", s.broker.Address())
	if err != nil {
		return nil, err
	}
	sa := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { _ = unix.Close(fd) })
	limit := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	return &rawClient{fd, request, make([]byte, responseBytes)}, unix.Connect(fd, sa)
}

func (c *rawClient) send() error {
	_, err := unix.Write(c.fd, c.request)
	return err
}

// receive reads one response, whose size it knows.
func (c *rawClient) receive() error {
	for got := 0; got < len(c.buf); {
		n, err := unix.Read(c.fd, c.buf[got:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return fmt.Errorf("%d of %d bytes came: %w", got, len(c.buf), err)
		}
		got += n
	}
	return nil
}

// The loop allocates nothing per fetch, whether the fetch is answered at once or waits, and whatever moves its bytes.
func TestSteadyStateAllocatesNothingPerFetch(t *testing.T) {
	const rounds = 250
	// The runtime allocates a little by itself in that time: a timer, a sudog, a thread. One allocation for each fetch
	// of either kind would be two hundred and fifty and more.
	const tolerance = rounds / 3
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := start(t, func(c *Config) { c.Transfer.Mode, c.Transfer.CopyBytes = mode, c.Transfer.ChunkBytes })
			publisher := s.dial()
			publisher.create("feed", 1)
			log := &shadow{topic: "feed"}
			for i := range 10 {
				publisher.publish(log, makeBatch(uint64(i), 1, 9000, 0))
			}
			now := publisher.frame(fetchRequest(11, everything(log)))
			// It asks for more than there is, so it waits a millisecond and gets the same bytes.
			later := fetchRequest(11, everything(log))
			later.MinBytes, later.MaxWaitMillis = 1<<20, 1
			size := fetchOverhead("feed") + len(log.from(0))
			immediate, err := s.rawDial(now, size)
			if err != nil {
				t.Fatal(err)
			}
			waiting, err := s.rawDial(publisher.frame(later), size)
			if err != nil {
				t.Fatal(err)
			}
			run := func(n int) {
				for range n {
					err := waiting.send()
					for range 3 {
						if err == nil {
							err = immediate.send()
						}
						if err == nil {
							err = immediate.receive()
						}
					}
					if err == nil {
						err = waiting.receive()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			run(50) // pools and lists grow to their size
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run(rounds)
			runtime.ReadMemStats(&after)
			if n := after.Mallocs - before.Mallocs; n > tolerance {
				t.Errorf("%d allocations in %d fetches", n, 4*rounds)
			}
			if got := int(binary.BigEndian.Uint32(immediate.buf)); got != size-4 {
				t.Errorf("a response has %d bytes, want %d", got, size-4)
			}
			if fetches := s.stats().Requests["Fetch"]; fetches != 4*(rounds+50) {
				t.Errorf("%d fetches were counted, want %d", fetches, 4*(rounds+50))
			}
		})
	}
}

// The loop allocates nothing per produce either, whether its write runs on the loop or off it.
func TestSteadyStateAllocatesNothingPerProduce(t *testing.T) {
	const rounds = 600
	const tolerance = rounds / 3 * raceSlowdown // of the runtime's own, and of the log's index; a sync.Pool drops some under the detector
	for name, inline := range map[string]bool{"writes on the loop": true, "writes off it": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(c *Config) { c.InlineWrites = inline })
			admin := s.dial()
			admin.create("feed", 1)
			request := admin.frame(produceRequest(7, -1, "feed", map[int32][]byte{0: makeBatch(1, 1, 900, 0)}))
			c, err := s.rawDial(request, produceResponseBytes("feed"))
			if err != nil {
				t.Fatal(err)
			}
			run := func(n int) {
				for range n {
					err := c.send()
					if err == nil {
						err = c.receive()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			run(100)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run(rounds)
			runtime.ReadMemStats(&after)
			if n := after.Mallocs - before.Mallocs; n > tolerance {
				t.Errorf("%d allocations in %d produces", n, rounds)
			}
			if end := publisherEnd(t, admin, "feed"); end != rounds+100 {
				t.Errorf("the log ends at %d, want %d", end, rounds+100)
			}
		})
	}
}

// produceResponseBytes is the size of a response of version 7 for one partition.
func produceResponseBytes(topic string) int {
	const size, correlation, topics, name, partitions, partition, throttle = 4, 4, 4, 2, 4, 4 + 2 + 8 + 8 + 8, 4
	return size + correlation + topics + name + len(topic) + partitions + partition + throttle
}
