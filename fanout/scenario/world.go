// Package scenario runs the whole server on a simulated machine, with clients of all kinds, faults of all kinds, and a model of what every
// client must see. A [Script] says what happens, and its seed decides everything else.
package scenario

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"oneplusn/fanout"
	"oneplusn/ring/sim"
	"oneplusn/segment/records"
)

// World is one run.
type World struct {
	script  *Script
	draw    *rand.Rand // for what is drawn when the world is made, and by new clients
	shape   shape
	machine *sim.Machine
	kernel  *sim.Kernel // of the life under way
	broker  *fanout.Broker
	address string
	lives   int
	ending  ending
	losses  int // of power
	reader  records.Reader
	log     *lastLines

	model       *model
	clients     []*client
	producers   []*producer
	subscribers []*subscriber
	admins      []*client
	calm        bool // nothing new is asked for, and no fault happens: what was asked for must be answered
	auditing    bool // only the auditor is left
	over        bool // the last life is being stopped

	failed    []string
	lines     []string // the trace
	answers   int
	delivered int // records
}

// ending is how a life ends.
type ending int

const (
	byStop ending = iota + 1
	byKill
	byPowerLoss
)

// New makes the world of a script.
func New(s *Script) *World {
	w := &World{script: s, draw: rand.New(rand.NewPCG(s.Seed, 2)), log: new(lastLines), reader: records.Reader{Contents: true}}
	w.shape = drawShape(w.draw)
	w.machine = sim.NewMachine(s.Seed, w.shape.machine)
	w.model = newModel(w)
	for i := range w.shape.topics {
		w.model.addTopic(fmt.Sprintf("topic%d", i))
	}
	return w
}

// Run runs the script, and says what was wrong.
func (w *World) Run() (failed []string) {
	end := time.Duration(0)
	for _, s := range w.script.Steps {
		w.machine.After(s.At, func() { w.do(s) })
		end = max(end, s.At)
	}
	w.machine.After(end+time.Second, w.beCalm)
	w.machine.After(time.Second, w.watch)
	for !w.over && len(w.failed) == 0 {
		w.live()
	}
	w.failed = append(w.failed, w.machine.Violations()...)
	w.machine.Disk().Close()
	return w.failed
}

func (w *World) do(s Step) {
	w.trace("%v", s)
	verbNamed(s.Verb).do(w, rand.New(rand.NewPCG(s.Seed, 5)))
}

func (w *World) fail(format string, args ...any) {
	w.failed = append(w.failed, fmt.Sprintf("at %v: ", w.machine.Now())+fmt.Sprintf(format, args...))
	w.log.over = true
	w.kernel.Kill()
}

// trace notes a step of the run.
func (w *World) trace(format string, args ...any) {
	if w.log.over {
		return
	}
	w.lines = append(w.lines, fmt.Sprintf("%v ", w.machine.Now())+fmt.Sprintf(format, args...))
}

// live is one life of the server, from its start to its end.
func (w *World) live() {
	defer func() {
		if p := recover(); p != nil {
			w.failed = append(w.failed, fmt.Sprintf("at %v: panic: %v\n%s", w.machine.Now(), p, debug.Stack()))
		}
	}()
	w.kernel = w.machine.Start()
	w.lives++
	w.ending = 0
	w.trace("start %d", w.lives)
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
	if w.lives == 1 {
		w.createTopics()
	}
	w.lifeEnded(w.broker.Run())
}

// createTopics asks for the topics of the run.
func (w *World) createTopics() {
	c := w.newClient("creator", 0)
	w.machine.After(0, func() {
		for i, t := range w.model.topics {
			w.createTopic(c, t, w.shape.partitions[i])
		}
	})
}

// endLife ends the life under way.
func (w *World) endLife(how ending) {
	if w.ending != 0 || w.calm {
		return
	}
	w.ending = how
	if how == byStop {
		w.stopServer()
	} else {
		w.kernel.Kill()
	}
}

// stopTime is how long a server may take to stop: more than it lets responses in flight finish.
const stopTime = 30 * time.Second

// stopServer stops the server, which must end.
func (w *World) stopServer() {
	life := w.lives
	w.broker.Stop()
	w.machine.After(stopTime, func() {
		if w.lives == life {
			w.fail("the server has not stopped in %v", stopTime)
		}
	})
}

// lifeEnded checks what the server left.
func (w *World) lifeEnded(err error) {
	if w.kernel.Killed() {
		if !errors.Is(err, sim.ErrKilled) {
			w.fail("the server was killed and ended with %v", err)
		}
	} else {
		if err != nil {
			w.fail("the server ended with %v", err)
		}
		for _, left := range w.kernel.Leaked() {
			w.fail("the server left %s", left)
		}
	}
	w.machine.Disk().FailAt(-1, nil)
	if w.ending == byPowerLoss {
		w.losses++
		w.machine.LosePower()
		w.model.powerLost()
	}
	w.model.lifeEnded()
}

// watch looks now and then at what must not take long.
func (w *World) watch() {
	for _, c := range w.clients {
		c.checkProgress()
	}
	w.machine.After(time.Second, w.watch)
}

// deletions counts what took records away, all topics together.
func (w *World) deletions() (n int) {
	for _, t := range w.model.topics {
		n += t.deletions
	}
	return n + w.losses
}

// lastLines keeps the last lines that the server logged.
type lastLines struct {
	lines []string
	over  bool // something was wrong: what comes later is of no use
}

func (l *lastLines) Write(b []byte) (int, error) {
	if l.over {
		return len(b), nil
	}
	if l.lines = append(l.lines, strings.TrimSpace(string(b))); len(l.lines) > 50 {
		l.lines = l.lines[1:]
	}
	return len(b), nil
}
