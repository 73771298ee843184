package main

var connectionBugs = []mutant{
	{"slot-freed-before-last-completion", "a connection's slot is freed while its recv is in flight", []edit{
		{"fanout/conn/conn.go", `	if c.recvArmed {
		n++
	}
	return n`, `	return n`},
	}},
	{"slot-freed-before-cancel", "a connection's slot is freed while its cancel is in flight", []edit{
		{"fanout/conn/conn.go", `n := c.flow.InFlight() + c.cancels + c.errands + c.in.pins`, `n := c.flow.InFlight() + c.errands + c.in.pins`},
	}},
	{"receive-buffer-kept", "a provided buffer is not given back after its bytes were copied", []edit{
		{"fanout/conn/input.go", `		err := c.receive(c.table.loop.Kernel.Buffer(completion))
		c.table.releaseBuffer(completion)
`, `		err := c.receive(c.table.loop.Kernel.Buffer(completion))
`},
	}},
	{"receive-buffer-kept-at-close", "a provided buffer of a connection that is being closed is not given back", []edit{
		{"fanout/conn/input.go", `	if c.state != open {
		c.table.releaseBuffer(completion)
`, `	if c.state != open {
`},
	}},
	{"enobufs-never-rearmed", "a recv that found no provided buffer is not armed again", []edit{
		{"fanout/conn/input.go", `	case completion.Result == 0:
		c.table.releaseBuffer`, `	case completion.Err() == unix.ENOBUFS:
		return
	case completion.Result == 0:
		c.table.releaseBuffer`},
	}},
	{"multishot-end-not-seen", "a multishot recv that ends with bytes is not armed again", []edit{
		{"fanout/conn/input.go", `	if !completion.More() {
		c.recvArmed = false`, `	if !completion.More() && completion.Result <= 0 {
		c.recvArmed = false`},
	}},
	{"reading-never-resumed", "a client that sent ahead is not read any more", []edit{
		{"fanout/conn/input.go", `	case !hold && c.recvPaused:`, `	case !hold && c.recvPaused && c.stallTimeout() < 0:`},
	}},
	{"pinned-frame-reused", "the buffer of a frame goes back to the pool while other threads read it", []edit{
		{"fanout/conn/input.go", `	if in.pins > 0 {
		in.retired = append(in.retired, old)
		return
	}
	c.table.requests.give(old)`, `	c.table.requests.give(old)`},
	}},
	{"pinned-frame-moved", "a frame that is being written is moved to the front of its buffer", []edit{
		{"fanout/conn/input.go", `	if in.pins > 0 || in.start == 0 {
		return true
	}
	in.end = copy(in.buf, in.pending())`, `	if in.start == 0 {
		return true
	}
	in.end = copy(in.buf, in.pending())`},
	}},
	{"request-goes-on-while-pinned", "the next request begins while the frame of the one before is written", []edit{
		{"fanout/conn/serve.go", `	if c.in.pins > 0 {
		return // Unpin calls again
	}
	c.request = none`, `	c.request = none`},
	}},
	{"spilled-bytes-lost", "bytes that came while there was no memory for their frame are lost", []edit{
		{"fanout/conn/spill.go", `	s.end += copy(s.bytes[s.end:], data)
	return nil`, `	s.end += len(data)
	return nil`},
	}},
	{"request-memory-kept", "the request buffer of a closed connection stays charged", []edit{
		{"fanout/conn/conn.go", `	t.requests.give(c.in.takeBuffer())
	c.in.spill.drop`, `	c.in.takeBuffer()
	c.in.spill.drop`},
	}},
	{"list-memory-kept", "the charge of a request's lists is not given back", []edit{
		{"fanout/conn/charge.go", `	c.lists().Give(c.charged)
	c.charged = 0`, `	c.charged = 0`},
	}},
	{"descriptor-budget-kept", "a closed connection's descriptor stays taken", []edit{
		{"fanout/conn/conn.go", `	t.config.Descriptors.Give(1)
`, ``},
	}},
	{"response-memory-kept", "the memory of a large response is not given back", []edit{
		{"fanout/conn/conn.go", `			c.table.Responses.Release(*b)
			*b = nil`, `			*b = nil`},
	}},
	{"response-memory-waiter-forgotten", "a client that waits for response memory is not told when there is some", []edit{
		{"fanout/conn/shortage.go", `	t.relieveResponses()
}`, `}`},
	}},
	{"request-memory-waiter-forgotten", "a client that waits for request memory is not told when there is some", []edit{
		{"fanout/conn/shortage.go", `l.waiters.Len() > 0 && t.feed(l.waiters.First().Value(), l); {`, `l.waiters.Len() > 1 && t.feed(l.waiters.First().Value(), l); {`},
	}},
	{"accept-error-ends-accepting", "after an accept failed no connection is accepted any more", []edit{
		{"fanout/conn/listener.go", `	if a.paused {
		a.inARow = 0
		a.arm()
	}`, ``},
	}},
	{"stalled-client-kept", "a subscriber that reads nothing is never closed", []edit{
		{"fanout/conn/table.go", `now-c.flow.LastProgress() > c.stallTimeout():`, `now-c.flow.LastProgress() > 1000*c.stallTimeout():`},
	}},
	{"half-frame-kept", "a client that stops in the middle of a frame is never closed", []edit{
		{"fanout/conn/table.go", `			if err := c.frameOverdue(); err != nil {`, `			if err := c.frameOverdue(); err != nil && t.stopping {`},
	}},
	{"close-without-cancel", "the operations of a connection that is closed are not cancelled", []edit{
		{"fanout/conn/conn.go", `		t.loop.Kernel.Queue(ring.Cancel(c.token.As(KindCancel), c.fd))`, `		c.cancels--`},
	}},
	{"descriptor-not-closed", "the socket of a closed connection stays open", []edit{
		{"fanout/conn/conn.go", `	t.loop.Kernel.CloseFD(c.fd)
	t.config`, `	t.config`},
	}},
	{"job-does-not-wake", "the loop is not woken by a background job that ended", []edit{
		{"fanout/loop/loop.go", `			done()
		})
		l.Kernel.Wake()
	})()`, `			done()
		})
	})()`},
	}},
	{"write-does-not-wake", "the loop is not woken by a write that ended", []edit{
		{"fanout/commit/writers.go", `	if before == nil {
		w.loop.Kernel.Wake()
	}`, ``},
	}},
	{"parked-fetches-kept-at-stop", "a server that stops lets parked fetches wait", []edit{
		{"fanout/loop.go", `	b.fetcher.Stop() // a produce has its sync to wait for
`, ``},
	}},
}
