// Package commit is the way of a partition's records to the disk: writing them, making them durable, and telling those who wait.
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
// Handing a write to another thread and hearing of its end costs 10 to 40 us where a write to the page cache takes 1, on
// 2 processors: with one producer 17,000 to 35,000 acknowledgements a second become 10,000 to 15,000, and a live record
// reaches 100 subscribers 0.1 to 0.6 ms later; with 32 producers nothing changes. So a small write to a local file system
// whose writes were fast stays on the loop (inline.go); one that waits all the same ends that for a minute and more. An
// operation of the ring's own would cost the same two hand-offs, share its few workers with the splices, and need frames
// outside the Go heap. RWF_NOWAIT, which would settle it, is refused by ext4 and tmpfs (Linux 6.18).
//
// # Invariants
//
//   - A partition has at most one write and one sync in flight.
//   - The owner of an append is told once how it ended, a waiter once that it was committed or why not, unless it was cancelled.
//   - Nobody is told that a record is committed before the high watermark has passed it. Waiters are in the order of offsets.
//   - After a failed sync a partition takes no more writes: the kernel reports a failed write-back once and may have dropped
//     the pages, so a second fsync would succeed over a hole (fsync(2), "ERRORS").
//   - Nothing is appended to a removed partition, and what ends late does not touch it.
//   - Everything but the writing itself belongs to the loop's thread, which never waits for a disk.
package commit
