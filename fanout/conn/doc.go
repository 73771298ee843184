// Package conn serves connections: it accepts them, splits received bytes into frames, lends the memory for requests and
// responses, holds clients back while memory is short, and closes in two steps. It knows frames and flows; the [Handler]
// above it knows requests.
//
// A connection and its slot:
//
//	free --accept--> open --Close--> closing --the last operation, errand and pin have ended--> free, next generation
//
// A request and its answer, of which a connection has one at a time:
//
//	            +---- AwaitRoom: asked again when there is memory ----+
//	            v                                                     |
//	none --a whole frame--> asked --Send--> sending --the socket has all of it--> answered --no pin is left--> none
//	                          |                                                      ^
//	                          +--------------------RespondNothing--------------------+
//
// While it is asked, PutOff and a lack of response memory let the request wait, and it is answered again from its frame. The
// frame is dropped with the answer: a client that reads slowly holds no request memory.
//
// # Invariants
//
//   - Everything belongs to the loop's thread.
//   - A request has exactly one answer, or RespondNothing, or the connection is closed.
//   - A slot is freed when the kernel holds none of its operations, and no errand or pin is left: a completion that comes late
//     finds the slot in another generation.
//   - The size in a frame's header reserves nothing: the buffer is at most four times the bytes that have arrived.
//   - Each connection may always have a frame of [KeptFrameBytes], and one whole frame of each line (medium, large) always
//     fits: small requests never wait for large ones, and requests that were begun can be finished one after the other.
//   - Pinned bytes neither move nor are overwritten, and stay charged, though the connection may have been closed.
//   - Memory is charged to a budget before it is taken, and a free slot has nothing charged.
package conn
