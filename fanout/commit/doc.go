// Package commit writes a partition's records, makes them durable, advances its high watermark, and tells the waiters.
//
//	Append --> queue --BeginWrites--> write in flight --EndWrites--> in the log --BeginSyncs--> sync in flight --Complete--> durable
//	             ^                        |      \                       |  ^                        |
//	             +---- more gathers ------+       v                      |  +---- more gathers ------+
//	                                        owner told once              v
//	                                                      high watermark advances: waiters and watcher told
//
// The high watermark advances with the write, or with the sync where the policy makes acknowledgements wait for that
// ([FlushPolicy.Waits]). The slower the disk, the more each write and each sync carries.
//
// # Which thread writes
//
// On 2 processors, handing a write to another thread and back costs 10 to 40 us; the write to the page cache takes 1. With
// one producer, 17,000 to 35,000 acknowledgements a second become 10,000 to 15,000, and a live record reaches 100
// subscribers 0.1 to 0.6 ms later; with 32 producers nothing changes. So a small write to a local file system whose writes
// were fast stays on the loop (inline.go), until one blocks: then none does for a minute or more. A write by the ring would
// cost the same two hand-offs, share its few workers with the splices, and need frames outside the Go heap. RWF_NOWAIT
// would solve this, but ext4 and tmpfs refuse it (Linux 6.18).
//
// # Invariants
//
//   - A partition has at most one write and one sync in flight.
//   - The owner of an append is told once how it ended, a waiter once that it was committed or why not, unless it was cancelled.
//   - No waiter is told that a record is committed before the high watermark has passed it. Waiters are in the order of offsets.
//   - After a failed sync a partition takes no more writes: the kernel reports a failed write-back once and may have dropped
//     the pages, so a second fsync would succeed over a hole (fsync(2), "ERRORS").
//   - Nothing is appended to a removed partition, and late completions do not touch it.
//   - Everything but the writing itself belongs to the loop's thread, which never waits for a disk.
package commit
