// Package fanout is the broker: topics, subscribers, waiting fetches, and the loop that serves them all.
//
// One goroutine, locked to its thread, owns everything in this package: the ring, the sockets, the topics and their
// logs. So there are no locks, and a handler sees no change that it did not make itself. Other goroutines reach the
// loop by tasks ([Broker.Do]); slow file work that a request needs (making a topic's directory) runs in a
// goroutine of its own and comes back as a task.
//
// # One turn of the loop
//
//	Wait                 one io_uring_enter: submits all that was queued, collects all completions
//	dispatch             one switch over the kinds of completion
//	tasks                what other goroutines handed over
//	writes that ended    their batches become part of their logs, and their producers are answered
//	groups               the coordinator's records are queued, at once for all requests of the turn, and these answered
//	begin writes         one for every log with something to write and no write in flight: all that waits gets its offsets
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
// # The life of an append
//
// A produce puts the batch of each partition into the partition's queue, and its frame is pinned: it stays where it is,
// whatever its client sends or does, until the write has ended. When the turn has seen all requests, each log with no write
// in flight begins one: what waits is held against the producers' sequences and gets its offsets, in the order in which it
// came, and a goroutine writes it with one pwritev. What comes meanwhile waits for the next one, without offsets, so a write
// that fails leaves no gap. The end of the write makes its batches part of the log, wakes fetches, and answers, or begins to
// wait for a sync. The groups' records go the same way, one output of the coordinator at a time.
//
// Handing a write to another thread and hearing of its end costs 10 to 40 us where a write to the page cache takes 1, on
// 2 processors: with one producer 17,000 to 35,000 acknowledgements a second become 10,000 to 15,000, and a live record
// reaches 100 subscribers 0.1 to 0.6 ms later; with 32 producers nothing changes. So a small write to a local file system
// whose writes were fast stays on the loop (see inlineWrites), which brings all of that back; one that waits all the same
// ends that for a minute and more. An operation of the ring's own would cost the same two hand-offs, share its few workers
// with the splices, and need frames outside the Go heap. RWF_NOWAIT, which would settle it, is refused by ext4 and tmpfs
// (Linux 6.18).
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
//   - No file is opened, renamed, cut or written to on the loop's thread, but by an inline write.
//   - A slot is freed when no operation of it is in flight, and its generation moves on, so that nothing that arrives
//     late can touch the next connection in it.
//   - A group's commit is answered after its record is as safe as an acknowledged record of a topic is.
//   - Everything that grows has a limit in [Config]: connections, frames, request memory, response memory, pipes, fetch
//     sessions, groups and what they hold.
package fanout
