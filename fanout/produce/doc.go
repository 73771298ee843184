// Package produce serves produce requests: it checks their batches, has them appended, and answers when they are committed.
//
// A connection has one [Produce], which serves one request after the other:
//
//	Start --> checked --> being written --> settled, part by part --> answered with the last part
//	           |   ^                            ^                        ^
//	           |   |                            |                        |
//	           v   |                            +- high watermark        +- deadline: the rest is answered with a timeout
//	  in the background, if that takes long
//
// With acks=0 there is no wait for the commit, and no answer; a refusal closes the connection.
//
// # Invariants
//
//   - Each part of a produce is settled once, and the produce is answered once, when all parts are.
//   - While a part is checked in the background or written, the connection is pinned: the frame and the list of parts stay where
//     they are, though the produce may have been answered or its client may have gone. The next produce starts after that.
//   - A part is acknowledged as the policy of its topic says: see [commit.FlushPolicy.Waits].
package produce
