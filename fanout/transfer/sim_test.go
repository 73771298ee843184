package transfer

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"oneplusn/fanout/transfer/pagecache"
	"oneplusn/ring"
	"oneplusn/ring/sim"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this one seed of the simulation")
	simSeeds = flag.Int("sim.seeds", 2000, "how many seeds to run")
)

// simSource is a simulated segment with a count of its holds.
type simSource struct {
	*sim.File
	held int
}

func (s *simSource) Map() ([]byte, error) { return s.Content(), nil }
func (s *simSource) Retain()              { s.held++ }
func (s *simSource) Release()             { s.held-- }
func (s *simSource) Held() bool           { return true }
func (s *simSource) Size() int64          { return int64(len(s.Content())) }

// simSubscriber is a flow, its reader, and the bytes that the reader must receive.
type simSubscriber struct {
	flow      *Flow
	socket    *sim.Socket
	want      []byte
	got       int
	wrong     bool
	responses int // still to be started
	failed    error
}

func (s *simSubscriber) received(b []byte) {
	if s.got+len(b) > len(s.want) || !bytes.Equal(b, s.want[s.got:s.got+len(b)]) {
		s.wrong = true
	}
	s.got += len(b)
}

// simulation is one run.
type simulation struct {
	kernel *sim.Kernel
	random *rand.Rand
	engine *Engine
	config Config
	source *simSource
	arena  *ring.Arena
	subs   []*simSubscriber
	resets int
	failed []string
	cache  pagecache.Config
	warm   bool // the segment was in the page cache at first
	kind   bool // the kernel drops nothing by itself
}

func (s *simulation) fail(format string, args ...any) {
	s.failed = append(s.failed, fmt.Sprintf(format, args...))
}

func (s *simulation) FlowDone(f *Flow) { s.next(s.subs[f.Token.Slot()]) }

func (s *simulation) FlowFailed(f *Flow, err error) {
	sub := s.subs[f.Token.Slot()]
	sub.failed = err
	if !sub.socket.Dead() {
		s.fail("subscriber %d failed though its peer is there: %v", f.Token.Slot(), err)
	}
	s.end(sub)
}

func (s *simulation) end(sub *simSubscriber) {
	s.engine.Abort(sub.flow)
	s.kernel.Shutdown(sub.socket.Fd())
	s.kernel.Queue(ring.Cancel(ring.NewToken(0xee, 0, 0), sub.socket.Fd()))
}

// next starts the subscriber's next response.
func (s *simulation) next(sub *simSubscriber) {
	if sub.responses == 0 {
		return
	}
	sub.responses--
	parts := sub.flow.Parts()
	for i := range s.random.IntN(5) {
		head := s.arena.Take(1 + s.random.IntN(100))
		for j := range head {
			head[j] = byte('a' + i)
		}
		part := Part{Header: head}
		sub.want = append(sub.want, head...)
		if s.random.IntN(4) > 0 {
			size := int64(len(s.source.Content()))
			part.Pos = s.random.Int64N(size)
			part.Len = 1 + s.random.Int64N(min(size-part.Pos, 1<<(6+s.random.IntN(10))))
			part.Source = s.source
			s.source.held++
			sub.want = append(sub.want, s.source.Content()[part.Pos:part.Pos+part.Len]...)
		}
		parts = append(parts, part)
	}
	s.engine.Start(sub.flow, parts)
}

// newSimulation draws a configuration, a segment and subscribers.
func newSimulation(seed uint64) (*simulation, error) {
	draw := rand.New(rand.NewPCG(seed, 1))
	k := sim.New(seed, sim.Options{SendBufferBytes: 1 << (10 + draw.IntN(8)), ShortOneIn: draw.IntN(6), RetryOneIn: 20 * draw.IntN(3),
		PipesMax: 1 + draw.IntN(6)})
	s := &simulation{kernel: k, random: k.Random()}
	s.config = Config{Mode: movingModes[draw.IntN(len(movingModes))], PipeBytes: 4096 << draw.IntN(6), MaxPipes: 1 + draw.IntN(6),
		ChunkBytes: 1 + draw.IntN(1<<(10+draw.IntN(8))), SpliceFromBytes: 1 << draw.IntN(18)}
	s.config.CopyBytes = s.config.ChunkBytes * (1 + draw.IntN(4))
	var err error
	if s.arena, err = ring.NewArena(4 << 20); err != nil {
		return nil, err
	}
	s.warm, s.kind = draw.IntN(2) == 0, draw.IntN(2) == 0
	file, err := k.NewFile(1+draw.IntN(100_000), s.warm)
	if err != nil {
		return nil, err
	}
	s.source = &simSource{File: file}
	if s.engine, err = NewEngine(k, s.config, s); err != nil {
		return nil, err
	}
	if draw.IntN(3) > 0 && s.config.Mode != Sendfile {
		limit, ahead, kernelAhead := draw.IntN(8), draw.IntN(3), draw.IntN(2)
		block := int64(4096) << draw.IntN(3) // the segment has some of them
		s.cache = pagecache.Config{LimitBytes: int64(1+limit) * block, ReadaheadBytes: int64(ahead) * block,
			KernelReadaheadBytes: int64(kernelAhead) * block, BlockBytes: block}
		s.engine.PageCache = pagecache.New(k, KindAdvice, s.cache)
	}
	for i := range 1 + draw.IntN(12) {
		sub := &simSubscriber{flow: new(Flow), responses: 1 + draw.IntN(5)}
		peer := sim.Peer{Received: sub.received, BytesPerTick: 1 << (7 + draw.IntN(11)), ResetAfter: -1}
		switch draw.IntN(6) {
		case 0:
			peer.ResetAfter = 1 + draw.IntN(20_000)
		case 1:
			peer.IdleUntil = time.Duration(draw.IntN(int(50 * time.Millisecond)))
		}
		sub.socket = k.NewSocket(peer)
		sub.flow.Open(ring.NewToken(0, uint32(i), 1), sub.socket.Fd(), ring.MessageAt(s.arena.Take(ring.MessageBytes)))
		s.subs = append(s.subs, sub)
	}
	return s, nil
}

// turnUntil turns the loop, as the broker does.
func (s *simulation) turnUntil(what string, ready func() bool) {
	for turn := 0; !ready(); turn++ {
		if turn > 300_000 {
			s.fail("%s: nothing more happens; pipes %+v, %d operations in flight", what, s.engine.Pipes(), s.kernel.InFlight())
			return
		}
		if s.random.IntN(50) == 0 && !s.kind {
			s.source.Chill()
		}
		timeout := time.Second
		if s.engine.Pending() {
			timeout = 0
		}
		got, err := s.kernel.Wait(timeout)
		if err != nil {
			s.fail("%s: %v", what, err)
			return
		}
		for _, c := range slices.Clone(got) {
			switch {
			case c.Token.Kind() == KindAdvice:
				s.engine.PageCache.Advised(c)
			case ofFlow(c.Token):
				s.engine.Complete(s.subs[c.Token.Slot()].flow, c)
			}
		}
		s.engine.Turn(s.kernel.Now())
	}
}

// settled says that a subscriber has all that it can get.
func (s *simSubscriber) settled() bool {
	return s.failed != nil || s.socket.Dead() || !s.flow.active && s.responses == 0 && s.got == len(s.want)
}

func (s *simulation) run() {
	for _, sub := range s.subs {
		s.next(sub)
	}
	s.engine.Turn(s.kernel.Now())
	s.turnUntil("delivering", func() bool {
		return !slices.ContainsFunc(s.subs, func(sub *simSubscriber) bool { return !sub.settled() })
	})
	for i, sub := range s.subs {
		if sub.wrong {
			s.fail("subscriber %d received wrong bytes within its first %d", i, sub.got)
		}
		if sub.socket.Dead() {
			s.resets++
		}
		if sub.failed == nil {
			s.end(sub)
		}
	}
	s.turnUntil("winding up", func() bool { return s.kernel.InFlight() == 0 })
	s.checkLedger()
	s.checkPages()
	if err := s.engine.Close(); err != nil {
		s.fail("%v", err)
	}
	if s.kernel.OpenPipes() != 0 || s.source.held != 0 {
		s.fail("%d pipes and %d holds on the segment are left", s.kernel.OpenPipes(), s.source.held)
	}
	if v := s.kernel.Violations(); len(v) > 0 {
		s.fail("%s", strings.Join(v[:min(len(v), 3)], "\n"))
	}
}

// checkPages compares what is in the page cache with what is tracked of it.
func (s *simulation) checkPages() {
	c := s.engine.PageCache
	if !c.On() {
		return
	}
	size := int64(len(s.source.Content()))
	for at := int64(0); at < size; at += 4096 {
		resident := s.kernel.Resident(s.source.Fd(), at, 1)
		switch tracked := c.Holds(s.source, at, 1); {
		case s.warm && s.kind && !resident:
			s.fail("the page at %d was dropped, but it was hot", at)
		case !s.warm && s.kind && resident && !tracked:
			s.fail("the page at %d was read from the disk, and nobody knows", at)
		}
	}
	// Blocks that subscribers came to while they were being evicted are kept.
	n, block := c.Counts(), s.cache.BlockBytes
	most := 2*n.LimitBytes + s.cache.ReadaheadBytes + int64(len(s.subs))*(int64(s.config.ChunkBytes)/block+2)*block
	if n.HeldBytes > most {
		s.fail("%d bytes of the page cache are tracked, %d are allowed and %d can be in use", n.HeldBytes, n.LimitBytes, most)
	}
}

// checkLedger compares what the ledger counted with what the sockets took.
func (s *simulation) checkLedger() {
	l := s.engine.Ledger
	var sent uint64
	for _, sub := range s.subs {
		sent += sub.flow.Sent()
	}
	if counted := l.UserToSocketBytes + l.CacheToSocketBytes + l.ByReferenceBytes + l.HeaderBytes; counted != sent {
		s.fail("the ledger counted %d bytes, the sockets took %d", counted, sent)
	}
	if read := l.CacheToUserBytes; read < l.UserToSocketBytes {
		s.fail("%d bytes were sent from buffers, %d were read into them", l.UserToSocketBytes, read)
	}
	wrongWay := l.CacheToUserBytes
	switch s.config.Mode {
	case Copy:
		wrongWay = l.ByReferenceBytes + l.CacheToSocketBytes
	case Send:
		wrongWay += l.ByReferenceBytes
	case Splice, Sendfile:
		wrongWay += l.CacheToSocketBytes
	}
	if wrongWay != 0 {
		s.fail("%v moved %d bytes in another way", s.config.Mode, wrongWay)
	}
}

// Each subscriber receives exactly the bytes of its responses, whatever the kernel does and whichever subscribers stall or
// leave; nothing blocks the loop; and nothing is left behind.
func TestSimulatedSubscribersReceiveExactlyTheirBytes(t *testing.T) {
	first, last := uint64(1), uint64(*simSeeds)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var resets, reclaimed, modes, dropped, ahead, busy int
	seen := make(map[Mode]bool)
	for seed := first; seed <= last; seed++ {
		s, err := newSimulation(seed)
		if err != nil {
			t.Fatal(err)
		}
		s.run()
		if len(s.failed) > 0 {
			t.Fatalf("seed %d, %+v:\n%s\nagain: make sim-transfers SEED=%d", seed, s.config, strings.Join(s.failed, "\n"), seed)
		}
		resets += s.resets
		n := s.engine.PageCache.Counts()
		dropped += int(n.DroppedBytes)
		ahead += int(n.ReadaheadBytes)
		busy += int(n.BusyBytes)
		reclaimed += int(s.engine.pipes.reclaimed + s.engine.buffers.reclaimed)
		seen[s.config.Mode] = true
		_ = s.source.Close()
		_ = s.arena.Close()
	}
	modes = len(seen)
	t.Logf("%d seeds, %d modes, %d connections reset, %d stages taken from stalled subscribers; page cache: %d bytes dropped, %d busy, %d read ahead",
		last-first+1, modes, resets, reclaimed, dropped, busy, ahead)
	if *simSeed == 0 && *simSeeds >= 100 && (min(resets, reclaimed, dropped, busy, ahead) == 0 || modes != len(movingModes)) {
		t.Error("the simulation is too kind: it does not reach the cases that it is for")
	}
}
