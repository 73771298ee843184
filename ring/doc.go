// Package ring is the event loop's view of the kernel: one io_uring, the memory that the kernel may touch, and the few
// system calls that never block and are cheaper made directly than through the ring.
//
// Everything above it sees the [Kernel] interface, so that a simulated kernel (package sim) can stand behind the same
// program. Package probe asks whether a host has what the ring needs.
//
// # Why giouring, and what is done by hand
//
// The project's design prescribes giouring, a port of liburing to Go. It maps the queues, orders the accesses to their
// heads and tails, hands out entries and walks completions. It is unmaintained, so its version is pinned and this package
// is its only importer: it can be replaced by changing this package alone. What it gets wrong is done by hand:
//
//   - Filling entries (prep.go). Its prepare functions leave fields of the entry's last use in place: a stale flag turns a
//     close into EINVAL and leaks the descriptor.
//   - The size of the completion queue, and unregistering the ring's descriptor (setup.go). It keeps the fields private, and
//     the condition of the latter is inverted. Both mirror its memory, and check its layout before they use it.
//   - The cap on workers (setup.go). It passes 64-bit numbers where the kernel reads pairs of 32-bit ones.
//   - Unmapping the ring of provided buffers (buffers.go), which it leaves mapped. It also computes a buffer's place in 16
//     bits, which bounds their number.
//
// It reaches syscall.munmap by go:linkname, hence -checklinkname=0 in the linker's flags.
//
// # The life of one operation
//
//	caller                    Ring                              kernel
//	  | Queue(op)              |                                   |
//	  |----------------------->| GetSQE, zero, fill, user_data     |
//	  |                        |  (or the backlog, when it's full) |
//	  | Wait(timeout)          |                                   |
//	  |----------------------->| io_uring_enter(submit, wait) ---->|
//	  |                        |<---- completions ------------------|
//	  |                        | copy all of them out, free the CQ |
//	  |<-----------------------| []Completion                      |
//
// The caller then dispatches the copies in one visible switch. It may queue operations while it does so; nothing is
// submitted before the next Wait, so one io_uring_enter carries a whole fan-out.
//
// # The owner of a completion
//
// A [Token] travels with each operation: kind, slot, generation. The owner keeps the operation's state in one of two tables,
// which hand out the tokens and are the only code that compares generations:
//
//   - [Slots] grows as needed and forgets an item when its slot is freed: Take(kind, item) Token, Find(Token) *T, Free(Token) T.
//   - [Table] has a fixed number of slots and items that live in it and never move (connections): Take(kind) (Token, *T),
//     Find(Token) *T, Free(Token), All() over what is taken.
//
// Find returns nil for a completion that comes after its slot was freed, also when the slot has been taken again.
//
// # Invariants
//
//   - One OS thread creates the ring, queues, waits and closes (IORING_SETUP_SINGLE_ISSUER). Only [Kernel.Wake] may be
//     called from elsewhere.
//   - Every submission queue entry is zeroed between GetSQE and use.
//   - No operation is queued that no kernel could do ([Op.Assert]): of no bytes, without a descriptor or a range.
//   - A provided buffer is released once, by the receiver of its completion.
//   - Every operation queued completes exactly once with [Completion.More] false; [Kernel.InFlight] counts those that
//     have not.
//   - Memory handed to the kernel comes from [Arena]: the Go heap may be moved or reused by rules the kernel does not
//     know, and an SQE holds a bare address that keeps nothing alive.
//   - The completion queue is at least as large as the submission queue and is emptied by every Wait, so operations that
//     complete while they are submitted cannot overflow it. What the submission queue has no room for waits in the
//     backlog, in order, and is counted. Bursts of the kernel's own (workers, multishot) may overflow: the kernel keeps
//     them (IORING_FEAT_NODROP), the next Wait collects them, and that is counted too.
//   - Multishot operations (recv) end whenever a completion lacks [Completion.More]; the caller re-arms.
package ring
