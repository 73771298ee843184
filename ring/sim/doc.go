// Package sim is a simulated machine behind [ring.Kernel]: a disk, a network, threads and virtual time, all decided by one seed. The
// program under test runs unchanged. Unlike on a real machine every count may be short, every order of completions may happen, a
// page may be cold, the power may go; and the same seed repeats it all.
//
//	Machine            its disk, its clock, the clients at the other ends of its sockets: outlives programs
//	  +-- Kernel       what one program sees: descriptors, operations in flight, threads
//
// # What is simulated
//
//   - Files with pages in the page cache, dirty, written back or lost by a failed sync ([Disk], [File]); names, which become durable
//     with their directory; a full or failing disk; a loss of power that keeps any prefix of the changes to names and any of the
//     sectors that were not synced; sectors that cannot be read until they are written again or for a
//     while. A copy from a mapping of them ends with EFAULT, as in the kernel; a program that looked itself would get SIGBUS, so this
//     one must not: no mapping is read in the simulation but by operations.
//   - Pipes with slots: one for each page or part of one, as in fs/pipe.c.
//   - Listening sockets, whose accept may fail; sockets with buffers of a limited size, whose client reads fast, slowly, not at all for
//     a while, closes one direction, resets the connection or vanishes ([Client]).
//   - A multishot recv into provided buffers, which may end at any time, run out of buffers, or get a part of what has come.
//   - Time: an operation, a thread and bytes on their way take a time that is drawn. The clock goes on to what happens next: an hour in
//     which nothing happens costs nothing.
//   - Operations that complete in any order that their dependencies allow, with short counts, EAGAIN, and now and then the errors
//     that mean "try again" (EINTR, ECANCELED, ERESTARTSYS).
//   - Threads ([Kernel.Go]): each piece of work runs whole, at any later time.
//
// # What is a violation
//
// Besides wrong bytes, which the test compares, these are reported by [Kernel.Violations]:
//
//   - an operation of the loop's own thread that would have read a disk: sendfile or an inline send of a cold page;
//   - a splice that asks for more than its pipe holds, which on a real kernel corks the peer for 200 ms;
//   - two operations at once on one pipe, two writers at once on one socket, or a pipe that is closed in use;
//   - an operation, a question or a close of a descriptor that is not open, or is of another kind of object;
//   - a call of the loop's own thread that may wait for the disk;
//   - memory that changes while the kernel holds it, and bytes sent from behind the end of a file;
//   - two receives at once on one socket.
//
// What no kernel could do at all panics, as in [ring.Ring]: an operation of no bytes or without a range ([ring.Op.Assert]),
// and any use after Close.
//
// # Invariants
//
//   - All randomness comes from the one generator, in the order of the calls: the same seed gives the same run.
//   - A socket that was given bytes delivers them to its peer in order, whole, or is reset.
package sim
