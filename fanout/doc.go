// Package fanout is the broker: topics, subscribers, waiting fetches, and the loop that serves them all.
//
// One goroutine, locked to its thread, owns everything in this package: the ring, the sockets, the topics and their
// logs. So there are no locks, and a handler sees no change that it did not make itself. Other goroutines reach the
// loop through an inbox ([Broker.Do]); slow file work that a request needs (making a topic's directory) runs in a
// goroutine of its own and comes back through the same inbox.
//
// # One turn of the loop
//
//	Wait                 one io_uring_enter: submits all that was queued, collects all completions
//	dispatch             one switch over the kinds of completion
//	inbox                what other goroutines handed over
//	groups               the coordinator's records are appended, at once for all requests of the turn, and these answered
//	wake                 fetches whose partitions grew; all their responses are queued before the next Wait
//	expire               fetches that waited long enough; once a second, connections that idle or stall
//	engine.Turn          stages for the flows that wait for one
//
// # The life of a connection
//
// Requests of one connection are answered in order, one at a time: the next frame is looked at when the last
// response has been handed to the socket. Frames are copied out of the ring's receive buffers into the connection's
// own, so that ten thousand waiting subscribers hold ten thousand small requests and no receive buffer. Closing takes
// two steps: shut down and cancel; and when the kernel holds no operation of the connection any more, close and free.
//
// # Who owns the bytes of a response
//
// Header bytes are in memory outside the Go heap: the connection's slab, or a block for the few that are larger.
// Ranges are in the page cache; a response holds their segments from before its size is written until its last byte
// has been handed to the socket. Payload never enters a Go buffer.
//
// # Invariants
//
//   - A response's size is fixed, and its segments are held, before its first byte leaves.
//   - A subscriber gets only bytes below the high watermark.
//   - A slot is freed when no operation of it is in flight, and its generation moves on, so that nothing that arrives
//     late can touch the next connection in it.
//   - A group's commit is answered after its record is as safe as an acknowledged record of a topic is.
//   - Everything that grows has a limit in [Config]: connections, frames, request memory, response memory, pipes, fetch
//     sessions, groups and what they hold.
package fanout
