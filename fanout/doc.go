// Package fanout is the server: it wires its parts together, runs the loop that serves them all, and answers Kafka's requests.
//
// One goroutine, locked to its thread, owns everything: the ring, the sockets, the topics and their logs. So there are no locks,
// and a handler sees no change that it did not make itself. Other goroutines reach the loop by tasks ([Broker.Do]); work
// that may block runs in a goroutine of its own and comes back as a task. The parts, and which may refer to which, are drawn in
// ARCHITECTURE.md.
//
// # One turn of the loop
//
//	Wait                 one io_uring_enter: submits all that was queued, collects all completions
//	dispatch             one switch over the kinds of completion
//	tasks                functions that other goroutines handed over
//	writes that ended    their batches become part of their logs, and their producers are answered
//	groups               the coordinator's records are queued, once for all requests of the turn, and these are answered
//	costly requests      some requests with large answers, within a few milliseconds
//	begin writes, syncs  one for every log with something to write, or to sync, and none in flight
//	wake                 fetches whose partitions advanced; all their responses are queued before the next Wait
//	expire               requests that waited long enough; once a second, connections that idle or stall; retention
//	relieve memory       connections resume that waited for memory
//	transfers            stages for the flows that wait for one
//
// # The life of a request
//
//	conn: a whole frame --> client.Request --> registry --> NN_name.go --> a part --> client.Respond or Send --> conn
//
// A request's file registers its key, its versions, its handler, its error codes and its documentation: see [Request]. Requests of
// one connection are answered in order, one at a time. When a handler returns, its request has its answer, or waits for what answers
// it: memory, its turn, an errand, a pin, a parked fetch or produce, or the coordinator.
//
// Errors reach users and carry no name of a package. Panics begin with theirs.
//
// # Invariants
//
//   - A response's size is fixed, and its segments are held, before its first byte leaves. Payload never enters a Go buffer.
//   - A subscriber gets only bytes below the high watermark.
//   - No file is opened, renamed, cut or written to on the loop's thread, but by an inline write (package commit).
//   - Everything that grows has a limit in [Config]: connections, frames, request memory, response memory, pipes, fetch
//     sessions, groups and what they hold.
package fanout
