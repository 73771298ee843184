// Package transfer moves responses to sockets: header bytes from memory and ranges of segment files from the page
// cache, in one of several ways behind one state machine.
//
//	splice    file --ring splice--> pipe --ring splice--> socket     pages by reference, on the kernel's workers
//	send      [header, mapped range] --ring sendmsg--> socket        one copy, one inline operation
//	sendfile  file --sendfile(2)--> socket                           Kafka's own way, on the loop's thread
//	copy      file --ring read--> buffer --ring send--> socket       the traditional way
//
// A [Flow] is the sending side of one connection. It moves one [Response] at a time, and has at most one operation in
// flight that writes to the socket and at most one that fills its stage. The stage is what lies between file and
// socket: a pipe (splice) or a buffer (copy), lent by a [pool] only while it is being filled, holds bytes, or is being
// emptied.
//
// # Who owns staged bytes
//
// The page cache. A stage is only a way there: a flow whose socket is full can be reclaimed of its stage at any time, the
// bytes in it are thrown away and staged again later from the file. So a stalled subscriber holds a stage only until
// somebody else needs it, and a small pool serves any number of subscribers.
//
// # Invariants
//
//   - A flow's position moves by the result of an operation that wrote to the socket, never by what was planned.
//   - The length of a splice from pipe to socket is exactly what the pipe holds.
//   - A pipe goes back to the pool only when it is empty and idle; any other is closed and replaced.
//   - No operation of a reclaimed flow is in flight on the stage: only flows that wait for their socket are reclaimed.
//   - The last bytes of a response are never sent with MSG_MORE.
//   - What subscribers bring into the page cache from a disk is taken note of before it is read, see [coldCache]; pages
//     that were there when they were first asked for are never dropped by us.
//   - A range of which the cold cache holds a block is never sent inline: its own advice may drop a page at any time.
//   - The ledger is fed at completion, from the operation that completed.
package transfer
