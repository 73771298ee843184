package main

var transferBugs = []mutant{
	{"short-send-counted-whole", "a send or splice that moved less than was asked for counts as whole", []edit{
		{"fanout/transfer/engine.go", `	headers := f.advance(n)`, `	n = f.writeBytes
	headers := f.advance(n)`},
	}},
	{"sendfile-advances-as-planned", "a sendfile that moved less than was asked for counts as whole", []edit{
		{"fanout/transfer/sendfile.go", `f.advance(sent)`, `f.advance(int(n))`},
	}},
	{"ledger-counts-as-planned", "the ledger counts bytes when they are asked for", []edit{
		{"fanout/transfer/engine.go", `e.Ledger.countOp(f.writeCode, f.writeOrigin, n, headers)`, `e.Ledger.countOp(f.writeCode, f.writeOrigin, f.writeBytes, headers)`},
	}},
	{"pipe-returned-with-residue", "a pipe goes back to the pool with bytes in it", []edit{
		{"fanout/transfer/stage.go", `f.stage.pool.give(f.stage, dirty || f.staged > 0)`, `f.stage.pool.give(f.stage, false)`},
	}},
	{"pipe-reclaimed-with-residue", "a pipe that is taken from a stalled subscriber keeps its bytes", []edit{
		{"fanout/transfer/pool.go", `	p.reclaimed++
	return p.emptied(s)`, `	p.reclaimed++
	return s`},
	}},
	{"flow-cleaned-up-before-completion", "the stage and segments of a closed connection are given back while the kernel uses them", []edit{
		{"fanout/transfer/engine.go", `	f.node.Remove()
	if f.InFlight() == 0 {
		e.cleanUp(f)
	}`, `	f.node.Remove()
	e.cleanUp(f)`},
	}},
	{"stalled-after-poll", "a flow whose socket has room again still counts as stalled, so its stage is taken", []edit{
		{"fanout/transfer/engine.go", `		f.node.Remove() // from the stalled flows, unless its stage was reclaimed`, ``},
	}},
	{"poll-queued-twice", "two polls of one socket are in flight, and both go on with the response", []edit{
		{"fanout/transfer/engine.go", `	e.kernel.Queue(ring.Poll(f.Token.As(KindPoll), f.Socket, unix.POLLOUT))`,
			`	e.kernel.Queue(ring.Poll(f.Token.As(KindPoll), f.Socket, unix.POLLOUT))
	e.kernel.Queue(ring.Poll(f.Token.As(KindPoll), f.Socket, unix.POLLOUT))`},
	}},
	{"full-socket-not-polled", "a flow whose socket was filled by half a sendfile waits for ever", []edit{
		{"fanout/transfer/sendfile.go", `		if int64(sent) < n {
			e.poll(f)
			return
		}`, `		if int64(sent) < n {
			return
		}`},
	}},
	{"interruption-taken-for-failure", "an interrupted operation closes the connection", []edit{
		{"fanout/transfer/engine.go", `	if !ring.Interrupted(errno) {
		return false
	}`, `	if ring.Interrupted(errno) {
		return false
	}`},
	}},
	{"stage-waiters-forgotten", "a flow that waits for a pipe is not told when one is free", []edit{
		{"fanout/transfer/engine.go", `	e.serveWaiters(&e.pipes)
`, ``},
	}},
	{"stage-never-given-up", "a flow keeps its pipe between two chunks although others wait", []edit{
		{"fanout/transfer/stage.go", `	case f.stage.pool.waiters.Len() > 0:
		e.giveStage(f, false)
`, ``},
	}},
	{"cold-sendfile-on-the-loop", "sendfile reads from the disk on the loop's thread", []edit{
		{"fanout/transfer/sendfile.go", `} else if !e.resident(p.Source, pos, n) {`, `} else if false {`},
	}},
	{"cold-send-on-the-loop", "a send from pages that are not resident is not left to a worker", []edit{
		{"fanout/transfer/send.go", `	op.Async = m.cold
`, ``},
	}},
	{"next-part-keeps-position", "the next range of a response begins where the one before it ended", []edit{
		{"fanout/transfer/flow.go", `	f.cur++
	f.headerSent, f.moved = 0, 0`, `	f.cur++
	f.headerSent = 0`},
	}},
}
