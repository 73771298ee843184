// Package scenario runs the whole server on a simulated machine, with clients of all kinds, faults of all kinds, and a model of what every
// client must see. One seed decides everything.
package scenario

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"oneplusn/fanout"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/transfer"
	"oneplusn/ring/sim"
)

// World is one run.
type World struct {
	seed     uint64
	random   *rand.Rand
	machine  *sim.Machine
	kernel   *sim.Kernel // of the life under way
	broker   *fanout.Broker
	address  string
	model    *model
	failed   []string
	log      *ringLog
	lines    []string // the trace
	auditing bool     // the only client left is the auditor
	quiet    bool     // no faults any more: what is asked for must happen
	fsync    string
}

// New draws a world from a seed.
func New(seed uint64) *World {
	draw := rand.New(rand.NewPCG(seed, 2))
	m := sim.NewMachine(seed, sim.Options{
		SendBufferBytes: 1 << (11 + draw.IntN(7)), ReceiveBufferBytes: 1 << (11 + draw.IntN(7)),
		ShortOneIn: draw.IntN(6), RetryOneIn: 40 * draw.IntN(3), EndOneIn: 20 * draw.IntN(2), AcceptOneIn: 5 * draw.IntN(2),
		PipesMax: 4 + draw.IntN(20),
		Disk:     sim.DiskOptions{FileBytes: 256 << 10, EvictOneIn: 20 * draw.IntN(3)},
	})
	w := &World{random: m.Random(), machine: m, log: new(ringLog), fsync: []string{"always", "interval=100ms", "never"}[draw.IntN(3)]}
	w.model = newModel(w)
	return w
}

// Run lives some lives, and says what was wrong.
func (w *World) Run() []string {
	lives := 1 + w.random.IntN(4)
	for life := range lives {
		w.live(life == lives-1)
		if len(w.failed) > 0 {
			break
		}
	}
	w.failed = append(w.failed, w.machine.Violations()...)
	w.machine.Disk().Close()
	return w.failed
}

func (w *World) fail(format string, args ...any) {
	w.failed = append(w.failed, fmt.Sprintf("at %v: ", w.machine.Now())+fmt.Sprintf(format, args...))
}

// trace notes a step of the run.
func (w *World) trace(format string, args ...any) {
	w.lines = append(w.lines, fmt.Sprintf("%v ", w.machine.Now())+fmt.Sprintf(format, args...))
}

// live starts the server, lets clients at it for a while, and ends it in one of the ways there are.
func (w *World) live(last bool) {
	w.kernel = w.machine.Start()
	w.kernel.InlineWrites = w.random.IntN(2) == 0
	config, err := w.config()
	if err != nil {
		w.fail("%v", err)
		return
	}
	if w.broker, err = fanout.Open(config); err != nil {
		w.fail("the server does not start: %v", err)
		return
	}
	w.address = w.broker.Address()
	w.clients()
	how := w.random.IntN(3)
	if last {
		how = 0
	}
	w.quiet = false
	w.machine.After(time.Duration(200+w.random.IntN(3000))*time.Millisecond, func() {
		w.trace("end %d", how)
		switch {
		case last:
			w.quiet = true
			w.machine.After(drainTime, w.audit)
		case how == 0:
			w.broker.Stop()
		default:
			w.kernel.Kill()
		}
	})
	err = w.broker.Run()
	if how == 0 && err != nil && !w.kernel.Killed() {
		w.fail("the server ended with %v", err)
	}
	if how != 0 && !errors.Is(err, sim.ErrKilled) {
		w.fail("the server was killed and ended with %v", err)
	}
	w.machine.Disk().FailAt(-1, nil)
	switch how {
	case 0:
		if w.kernel.Killed() {
			break
		}
		for _, left := range w.kernel.Leaked() {
			w.fail("the server left %s", left)
		}
	case 2:
		w.machine.LosePower()
		w.model.powerLost()
	}
}

// drainTime is how long the last life goes on without producers before the log is compared with the model.
const drainTime = 2 * time.Second

// audit reads everything that there is, and compares it with what was acknowledged. Then the server is stopped.
func (w *World) audit() {
	w.auditing = true
	a := &auditor{subscriber: subscriber{world: w, name: "auditor"}, found: make(map[string]place)}
	a.done = func() {
		w.model.audit(a.found)
		w.broker.Stop()
	}
	a.connect()
	w.machine.After(auditTime, func() {
		if !a.over {
			w.fail("the auditor waits at offset %d of the log: %v", a.at, a.session)
			w.kernel.Kill()
		}
	})
}

// auditTime is long enough to read everything.
const auditTime = time.Minute

func (w *World) config() (fanout.Config, error) {
	c := fanout.DefaultConfig()
	c.Listen, c.DataDir = "127.0.0.1:0", "/data"
	c.Ring.Entries, c.Ring.RecvBuffers, c.Ring.RecvBufferBytes = 64, 1<<w.random.IntN(5), 512<<w.random.IntN(4)
	c.Limits.MaxConnections = 4 + w.random.IntN(60)
	c.Log.SegmentBytes = 16 << 10 << w.random.IntN(4)
	c.Log.MaxBatchBytes = 16 << 10
	c.DrainTimeout = time.Second
	c.Transfer.Mode = []transfer.Mode{transfer.Auto, transfer.Splice, transfer.Send, transfer.Sendfile, transfer.Copy}[w.random.IntN(5)]
	c.Group.InitialRebalanceDelay, c.Group.LoneMemberDelay = 20*time.Millisecond, 5*time.Millisecond
	c.InlineWrites = w.kernel.InlineWrites
	c.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	var err error
	if c.Fsync, err = commit.ParseFsync(w.fsync); err != nil {
		return c, err
	}
	c.Machine, c.Log.FS = w.fanoutMachine(), w.kernel.FileSystem()
	return c, nil
}

// ringLog keeps the last lines that the server logged.
type ringLog struct{ lines []string }

var _ io.Writer = (*ringLog)(nil)

func (l *ringLog) Write(b []byte) (int, error) {
	if l.lines = append(l.lines, strings.TrimSpace(string(b))); len(l.lines) > 50 {
		l.lines = l.lines[1:]
	}
	return len(b), nil
}

// LastLog is the last lines that the server logged.
func (w *World) LastLog() string { return strings.Join(w.log.lines, "\n") }
