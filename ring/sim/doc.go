// Package sim is a simulated kernel behind [ring.Kernel]: files, pipes, sockets and their peers, with virtual time and
// one seed. The program under test runs unchanged; what differs from a real kernel is that every count may be short,
// every order of completions may happen, a page may be cold, and the same seed repeats it all.
//
// # What is simulated
//
//   - Files of fixed content, page by page in the page cache or not. Reading warms a page.
//   - Pipes with slots: one for each page or part of one, as in fs/pipe.c.
//   - Sockets with a send buffer, whose peer reads fast, slowly, not at all for a while, or resets the connection.
//   - Operations that complete in any order that their dependencies allow, with short counts, EAGAIN, and now and then
//     the errors that mean "try again" (EINTR, ECANCELED, ERESTARTSYS).
//   - The operations that package transfer uses. Accept and recv are not simulated.
//
// # What is a violation
//
// Besides wrong bytes, which the test compares, these are reported by [Kernel.Violations]:
//
//   - an operation of the loop's own thread that would have read a disk: sendfile or an inline send of a cold page;
//   - a splice that asks for more than its pipe holds, which on a real kernel corks the peer for 200 ms;
//   - two operations at once on one pipe, two writers at once on one socket, or a pipe that is closed in use;
//   - an operation, a question or a close of a descriptor that is not open, or is of another kind of object.
//
// What no kernel could do at all panics, as in [ring.Ring]: an operation of no bytes or without a range ([ring.Op.Assert]),
// and any use after Close.
//
// # Invariants
//
//   - All randomness comes from the one generator, in the order of the calls: the same seed gives the same run.
//   - A socket that was given bytes delivers them to its peer in order, whole, or is reset.
package sim
