// Package transfer moves responses to sockets: header bytes from memory and ranges of segment files from the page
// cache, in one of several ways behind one state machine.
//
//	splice    file --ring splice--> pipe --ring splice--> socket     pages by reference, on the kernel's workers
//	send      [header, mapped range] --ring sendmsg--> socket        one copy, one inline operation
//	sendfile  file --sendfile(2)--> socket                           Kafka's own way, on the loop's thread
//	copy      file --ring read--> buffer --ring send--> socket       the traditional way
//
// A [Flow] is the sending side of one connection. It moves one response at a time, a list of [Part]s, and has at most one
// operation in flight that writes to the socket and at most one that fills its stage. The stage lies between file
// and socket: a pipe (splice) or a buffer (copy), borrowed from a [pool] only while it is being filled, holds bytes, or is
// being emptied.
//
// # The life of a flow
//
//	       Start                            all parts done
//	idle ---------> begin the next part ------------------------> FlowDone, idle
//	                  |  ^
//	the planner picks |  | part done
//	the part's mode   v  |
//	  +-------------> step <-------------------------------+
//	  |                |  the mode queues a fill,          |
//	  | fill completed |  a write, or both                 | write completed: the position
//	  +-- filling <----+----> writing ---------------------+ advances by its result
//	                             |  the socket is full, bytes are staged
//	                             v
//	                step <--- polling (stalled: its stage may be reclaimed for another flow)
//
//	any state -- error --> FlowFailed; the owner calls Abort
//	any state -- Abort --> aborted: nothing more is queued; all is given back when nothing is in flight
//
// engine.go is that machine. What a mode does at its own points is a row of the table in mode.go, and a file: splice.go,
// copy.go, send.go, sendfile.go; stage.go is common to those with a stage. Package pagecache takes care of
// the pages that reads from a disk leave in the page cache.
//
// # Who owns staged bytes
//
// The page cache. A stage is only a way there: the stage of a flow whose socket is full can be reclaimed at any time, the
// bytes in it are thrown away and staged again later from the file. So a stalled subscriber holds a stage only until
// another flow needs it, and a small pool serves any number of subscribers.
//
// # Invariants
//
//   - A flow's position moves by the result of an operation that wrote to the socket, never by what was planned.
//   - The length of a splice from pipe to socket is exactly what the pipe holds.
//   - A pipe goes back to the pool only when it is empty and idle; any other is closed and replaced.
//   - Only the stage of a flow that polls is reclaimed: no operation is in flight on it.
//   - No operation of no bytes is queued, and none moves more than it was asked to.
//   - A completion belongs to the flow's present life, and to an operation that is in flight.
//   - The last bytes of a response are never sent with MSG_MORE.
//   - A range of which the page cache tracks a block is never sent inline: our own advice may evict a page at any time.
//   - The ledger is fed at completion, from the operation that completed.
package transfer
