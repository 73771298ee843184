package fanout

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/offsets"
	"oneplusn/fanout/produce"
	"oneplusn/ring"
	"oneplusn/segment"
)

const kindSync = conn.KindsEnd // an fdatasync of the committer

// Broker is the server. [Open] makes it, [Broker.Run] serves until [Broker.Stop].
type Broker struct {
	base
	newKernel func(ring.Config) (ring.Kernel, error)

	// Everything below belongs to the loop's thread.
	descriptors descriptors
	listener    *conn.Listener
	nextSweep   time.Duration
	stopping    bool
	stopBy      time.Duration
}

// Open checks the configuration, reserves the address and recovers the data directory, which may take long. Nothing is
// served yet, and clients are refused.
func Open(config Config) (*Broker, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config.Log.Files = segment.NewFiles(finishedFiles(&config), unfinishedSegments(&config))
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		base:      base{config: config, loop: loop.New(config.Logger, config.Machine.Machine)},
		newKernel: config.Machine.NewKernel,
	}
	b.loop.KeepEvents(config.FlightRecorderEvents)
	var err error
	if b.listener, err = config.Machine.Bind(config.Listen, config.SendBufferBytes, config.pace.busyPort); err != nil {
		return nil, err
	}
	if b.catalog, err = catalog.Open(b.loop, config.catalog()); err != nil {
		b.listener.Close()
		return nil, err
	}
	b.fetcher = fetch.New(b.loop, fetch.Config{
		MaxBytes: config.FetchMaxBytes, SessionMemoryBytes: config.FetchSessionMemoryBytes, MostPartitions: b.mostPartitions,
		MaxInflatedBytes: config.Log.MaxInflatedBytes, Inflating: &b.inflating,
	}, b.findToRead)
	b.descriptors = newDescriptors(&b.config, b.catalog.PartitionCount(), b.loop.Log)
	b.config.Transfer.MaxPipes = b.descriptors.pipes
	inline := config.InlineWrites && (config.Log.FS == nil || config.pace.inlineWrites || config.Machine.OneThread) &&
		config.Machine.InlineWrites(config.DataDir)
	b.committer = commit.New(b.loop, commit.Config{Dir: config.DataDir, InlineWrites: inline, SyncKind: kindSync})
	produces := produce.Config{LeastWait: config.pace.produceWait, Background: &b.inflating}
	b.producer = produce.New(b.loop, produces, b.committer, b.findToAppend)
	b.config.settleColdCache()
	b.offsets = offsets.New(b.loop, b.config.offsets(), b.committer, b.catalog, b.replyTo)
	b.catalog.Serve(b.descriptors.files, b.committer, b.fetcher, b.offsets.TopicDeleted)
	b.offsets.Restore()
	b.catalog.Settle()
	return b, nil
}

// Address is the host:port that the broker listens on.
func (b *Broker) Address() string { return b.listener.Address() }

// Ready is closed when the loop runs and clients are accepted.
func (b *Broker) Ready() <-chan struct{} { return b.loop.Started() }

// Run serves until Stop is called and all that was in flight has ended, or the ring fails. It must be called once.
func (b *Broker) Run() error {
	// The thread is never unlocked: it exits with this goroutine, which frees what the kernel keeps for each thread.
	runtime.LockOSThread()
	ended := false
	defer b.loop.Guard(&ended)
	err := b.run()
	// No task runs from here on: fail callers now, before the slow close of the logs.
	b.loop.End()
	if cerr := b.catalog.Close(); err == nil {
		err = cerr
	}
	ended = true
	return err
}

func (b *Broker) run() error {
	defer b.listener.Close()
	k, err := b.newKernel(b.config.Ring)
	if err != nil {
		return err
	}
	defer func() { _ = k.Close() }()
	if err := b.prepare(k); err != nil {
		return err
	}
	b.loop.Start()
	if err := b.serveTurns(); err != nil {
		return err
	}
	return b.tearDown()
}

// prepare sets up the parts that need the kernel, and listens.
func (b *Broker) prepare(k ring.Kernel) error {
	b.loop.Use(k)
	b.turns = loop.NewTurns(b.loop, b.config.SlowTurnLog, b.describeSlowest)
	b.offsets.Start(b.catalog.RemovedAtStart)
	b.conns = conn.New(b.loop, conn.Config{
		Handler: b.clientOf, Spare: func() bool { return b.metadata.drop(&b.conns.Responses) },
		Descriptors: b.descriptors.connections, ReclaimEvery: b.config.pace.sweep, Transfer: b.config.Transfer, Limits: b.config.Limits,
	}, b.listener)
	b.clients = make([]client, b.config.MaxConnections)
	b.config.Log.Files.Started()
	return b.conns.Start()
}

// tearDown runs after the loop: no operation may be in flight, and all memory that was lent must be back.
func (b *Broker) tearDown() error {
	if !b.catalog.Idle() {
		return errors.New("changes of the data directory are still under way after shutdown")
	}
	if n := b.loop.Kernel.InFlight(); n != 0 {
		return fmt.Errorf("%d operations are still in flight after shutdown", n)
	}
	b.metadata.drop(&b.conns.Responses)
	return b.conns.Close()
}

// Do runs f on the loop's thread, some time soon. After the loop has ended it does nothing and reports false.
func (b *Broker) Do(f func()) bool { return b.loop.Do(f) }

// Stop begins the shutdown: no new connections; parked fetches are answered with the data at hand; responses in flight have
// DrainTimeout to finish; then the other connections are closed. Run returns when all of that has ended.
func (b *Broker) Stop() { b.Do(b.beginStop) }
