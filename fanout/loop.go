package fanout

import (
	"time"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// serveTurns turns until the broker has stopped.
func (b *Broker) serveTurns() error {
	b.nextSweep = b.loop.Now() + b.config.pace.sweep
	for !b.stopped() {
		completions, err := b.loop.Kernel.Wait(b.timeout())
		if err != nil {
			return err
		}
		b.loop.BeginTurn()
		b.conns.Engine.BeginTurn(b.loop.Now())
		b.fetcher.BeginTurn()
		b.turn(completions)
	}
	return nil
}

// turn is one turn of the loop, in the order of the package comment.
func (b *Broker) turn(completions []ring.Completion) {
	t := b.turns
	t.Begin()
	for i := range completions {
		b.dispatch(completions[i])
	}
	t.Stepped("completions")
	b.loop.RunTasks()
	t.Stepped("background jobs that ended")
	b.committer.EndWrites()
	t.Stepped("writes that ended")
	b.offsets.Turn()
	t.Stepped("consumer groups")
	b.conns.AnswerCostly()
	t.Stepped("costly requests")
	b.committer.BeginWrites() // before the rest of the turn: the disk works meanwhile
	t.Stepped("begin writes")
	b.committer.BeginSyncs()
	t.Stepped("begin syncs")
	b.fetcher.WakeAdvanced()
	t.Stepped("wake fetches")
	b.expire()
	t.Stepped("expire and sweep")
	b.conns.Relieve()
	t.Stepped("relieve memory")
	b.conns.Engine.Turn(b.loop.Now())
	b.config.Log.Files.Trim()
	t.Stepped("transfers")
	b.committer.BeginWrites()
	t.End()
}

// dispatch hands one completion to its owner.
func (b *Broker) dispatch(completion ring.Completion) {
	kind := completion.Token.Kind()
	b.loop.Record(eventCompletion, int64(completion.Token), int64(completion.Result))
	current := true
	switch kind {
	case conn.KindAccept:
		b.conns.Accepted()
	case conn.KindRecv, conn.KindCancel, transfer.KindWrite, transfer.KindFill, transfer.KindPoll:
		b.conns.Complete(completion)
	case transfer.KindAdvice:
		current = b.conns.Engine.PageCache.Advised(completion)
	case kindSync:
		current = b.committer.Complete(completion)
	}
	if !current {
		b.counters.stale++
	}
}

// timeout is how long the next wait may last.
func (b *Broker) timeout() time.Duration {
	if b.conns.Pending() || b.fetcher.Pending() {
		return 0
	}
	until := min(b.nextSweep, b.committer.Next(), b.offsets.Next(), b.producer.Next(), b.fetcher.Next())
	// At least a microsecond: with 0 Wait only polls, and the loop would spin until the deadline.
	return max(until-b.loop.Kernel.Now(), time.Microsecond)
}

// expire answers requests whose deadline has passed, and sweeps once a second.
func (b *Broker) expire() {
	b.fetcher.Expire()
	b.producer.Expire()
	if b.loop.Now() >= b.nextSweep {
		b.nextSweep = b.loop.Now() + b.config.pace.sweep
		b.sweep()
	}
	b.catalog.Turn()
}

// sweep closes connections that are idle or stalled, and frees memory that was kept for reuse.
func (b *Broker) sweep() {
	b.conns.Sweep()
	b.metadata.drop(&b.conns.Responses)
	b.loop.Scratch.Trim()
	if b.stopping && b.loop.Now() >= b.stopBy {
		mark.HitIf(!b.conns.Drained(), "clients that did not read in time were cut off when the server stopped")
		b.conns.CloseAll(conn.ByShutdown)
	}
}

// beginStop runs on the loop: see [Broker.Stop].
func (b *Broker) beginStop() {
	if b.stopping {
		return
	}
	b.stopping = true
	mark.HitIf(b.committer.Pending() > 0, "the server was stopped while appends were under way")
	b.stopBy = b.loop.Now() + b.config.DrainTimeout
	b.nextSweep = min(b.nextSweep, b.stopBy)
	b.offsets.Shutdown()
	b.fetcher.Stop() // a produce has its sync to wait for
	b.conns.Drain()
}

// stopped reports whether nothing is left to wait for.
func (b *Broker) stopped() bool {
	if !b.stopping || !b.conns.Drained() || b.loop.Working() || b.committer.Pending() > 0 || b.loop.Kernel.InFlight() > 0 {
		return false
	}
	return b.offsets.Settled() || b.loop.Now() >= b.stopBy
}
