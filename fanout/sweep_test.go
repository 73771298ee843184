package fanout

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/offsets"
	"oneplusn/fanout/wire"
)

var (
	sweepPairs = flag.Int("sweep.pairs", 2000, "how many pairs of changed fields the sweep sends to each server; 0 for all")
	sweepTurn  = flag.Duration("sweep.turn", 250*time.Millisecond, "the longest turn of the loop that is allowed; 50ms on a machine that does nothing else")
	sweepSeed  = flag.Uint64("sweep.seed", 0, "which pairs; 0 draws a seed")
)

// sweptServers are the targets of the sweep.
var sweptServers = []struct {
	name    string
	refused int // partitions
	prepare func(t *testing.T, dir string)
}{
	{"empty", 0, func(*testing.T, string) {}},
	{"normal", 0, prepareNormal},
	{"damaged", 1, func(t *testing.T, dir string) {
		prepareNormal(t, dir)
		damage(t, dir, sweptTopic+"-0")
	}},
	{"without its offsets", 1, func(t *testing.T, dir string) {
		prepareNormal(t, dir)
		damage(t, dir, offsets.Topic+"-0")
	}},
}

// prepareNormal leaves a directory with records, a group that has committed, and a clean stop.
func prepareNormal(t *testing.T, dir string) {
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create(sweptTopic, 2)
	for i := range uint64(4) {
		c.publish(&shadow{topic: sweptTopic, end: int64(3 * i)}, makeBatch(i+1, 3, 400, 0))
	}
	for offset := range int64(4) {
		c.commit(sweptGroup, sweptTopic, offset)
	}
	c.close()
	s.stop()
}

// Every field of every request at its extremes, alone and in pairs, is answered or ends its own connection; nothing stops,
// and no memory stays taken.
func TestNoRequestAtTheExtremesOfItsFieldsDisturbsTheServer(t *testing.T) {
	seed := *sweepSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-sweep.seed=%d", seed)
	for _, kind := range sweptServers {
		t.Run(kind.name, func(t *testing.T) {
			dir := t.TempDir()
			kind.prepare(t, dir)
			s := start(t, func(c *Config) {
				c.DataDir = dir
				c.Group.MaxGroups, c.Group.MaxMembers = 100, 20
				c.Group.MemoryBytes, c.RequestMemoryBytes = 16<<20, 128<<20 // a quarter of the latter may stay, for reuse
				c.Group.InitialRebalanceDelay = 0
			})
			w := &sweeper{t: t, s: s, good: s.dial(), random: rand.New(rand.NewPCG(seed, 0))}
			if st := s.stats(); kind.refused != st.PartitionsRefused {
				t.Fatalf("%d partitions are refused, want %d", st.PartitionsRefused, kind.refused)
			}
			before := heapBytes()
			w.singles()
			w.pairs()
			w.checkMemory(before)
			w.checkTurns()
		})
	}
}

// heapBytes is the size of the heap after a collection.
func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sweeper sends requests to one server.
type sweeper struct {
	t      *testing.T
	s      *server
	good   *dialed // is answered throughout
	random *rand.Rand
	conn   *net.TCPConn // of the swept requests; nil after it was closed
	sent   int
}

// sweptVersions are the versions of a request with the fewest and the most fields.
func sweptVersions(r *Request) []int16 {
	if r.AcceptMin == r.Max {
		return []int16{r.Max}
	}
	return []int16{r.AcceptMin, r.Max}
}

func (w *sweeper) singles() {
	for _, r := range Requests() {
		for _, version := range sweptVersions(r) {
			w.send(ordinary(r.Key, version), "ordinary")
			for _, f := range fieldsOf(ordinary(r.Key, version)) {
				for _, c := range extremesOf(f.kind) {
					req := ordinary(r.Key, version)
					if v := f.of(req); v.IsValid() { // the ordinary request may have an empty slice on the way
						c.set(v)
					}
					w.send(req, f.name+" "+c.name)
				}
			}
		}
	}
}

// pairs changes two fields of a request at once: all pairs, or as many as were asked for, drawn evenly.
func (w *sweeper) pairs() {
	type pair struct {
		key, version int16
		a, b         field
		setA, setB   change
	}
	var all []pair
	for _, r := range Requests() {
		version := r.Max
		fields := fieldsOf(ordinary(r.Key, version))
		for i, a := range fields {
			for _, b := range fields[:i] {
				for _, setA := range extremesOf(a.kind) {
					for _, setB := range extremesOf(b.kind) {
						all = append(all, pair{r.Key, version, a, b, setA, setB})
					}
				}
			}
		}
	}
	w.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if n := *sweepPairs; n > 0 {
		all = all[:min(n, len(all))]
	}
	for _, p := range all {
		req := ordinary(p.key, p.version)
		for _, set := range []struct {
			field
			change
		}{{p.a, p.setA}, {p.b, p.setB}} {
			if v := set.of(req); v.IsValid() { // the other change may have emptied a slice on the way
				set.change.set(v)
			}
		}
		w.send(req, p.a.name+" "+p.setA.name+", "+p.b.name+" "+p.setB.name)
	}
	w.t.Logf("%d requests were sent", w.sent)
}

// maxSweptWait is how long an answer is waited for that may depend on other clients.
const maxSweptWait = 10 * time.Millisecond

// send sends one request. It must be answered, or its connection closed, unless it may wait for others.
func (w *sweeper) send(req kmsg.Request, what string) {
	w.t.Helper()
	w.sent++
	if w.conn == nil {
		conn, err := net.Dial("tcp", w.s.broker.Address())
		if err != nil {
			w.t.Fatal(err)
		}
		w.conn = conn.(*net.TCPConn)
	}
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("sweep")).AppendRequest(nil, req, int32(w.sent))
	wait := patience
	if waits(req.Key()) {
		wait = maxSweptWait
	}
	err := w.exchange(frame, wait)
	if errors.Is(err, os.ErrDeadlineExceeded) && wait == patience {
		w.t.Fatalf("%s v%d with %s is neither answered nor refused\nlog:\n%s", wire.Describe(req.Key()), req.GetVersion(), what, w.s.log)
	}
	if err != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
	if w.sent%50 == 0 || err != nil {
		w.good.alive()
	}
}

func (w *sweeper) exchange(frame []byte, wait time.Duration) error {
	if _, err := w.conn.Write(frame); err != nil {
		return err
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(wait))
	var size [wire.FrameSizeBytes]byte
	if _, err := io.ReadFull(w.conn, size[:]); err != nil {
		return err
	}
	n, ok, err := wire.FrameSize(size[:], 1<<30)
	if err != nil || !ok {
		return fmt.Errorf("a response's size: %w", err)
	}
	_, err = io.CopyN(io.Discard, w.conn, int64(n))
	return err
}

// sweptHeapBytes bounds the memory kept by topics and groups that the sweep made.
const sweptHeapBytes = 48 << 20

// checkMemory waits until only the good client is left, and checks that no memory is kept.
func (w *sweeper) checkMemory(before uint64) {
	w.t.Helper()
	if w.conn != nil {
		_ = w.conn.Close()
	}
	w.s.await("the swept connections to end", func(st Stats) bool { return st.Connections == 1 })
	if after := heapBytes(); after > before+sweptHeapBytes {
		w.t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

// checkTurns fails if a turn of the loop took too long.
func (w *sweeper) checkTurns() {
	w.t.Helper()
	times := w.s.stats().TurnTimes
	slow := uint64(0)
	for i, n := range times.Counts {
		if i == len(times.Bounds) || times.Bounds[i] > raceSlowdown*sweepTurn.Seconds() {
			slow += n
		}
	}
	if slow > 0 {
		w.t.Errorf("%d turns took longer than %v\nlog:\n%s", slow, *sweepTurn, w.s.log)
	}
}
