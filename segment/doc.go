// Package segment is the log of one partition on disk: segment files of record batches, in Apache Kafka's format.
//
//	<topic>-<partition>/
//	  00000000000000000000.log         batches from offset 0 on
//	  00000000000000000000.index       last offset of a batch -> position, one entry for every interval of bytes
//	  00000000000000000000.timeindex   latest timestamp so far -> offset, at the same places
//	  00000000000000000000.txnindex    aborted transactions; only Repair writes it
//	  00000000000000170210.log         batches from offset 170210 on: the active segment, which has no index files
//	  00000000000000170210.snapshot    what was known of the idempotent producers at that offset
//	  leader-epoch-checkpoint          under which epoch which offsets were written
//	  partition.metadata               the topic's id
//	  fsync-failed                     only after a sync that failed, until the next start; not Kafka's, which ignores it
//	  acks-after-fsync                 acknowledgements wait for syncs: see Recovery; not Kafka's either
//
// All but the last two is what Apache Kafka writes, byte for byte, so that a directory can go from one to the other after a
// clean stop. A data directory holds the partitions' directories and .kafka_cleanshutdown, log-start-offset-checkpoint,
// recovery-point-offset-checkpoint and .lock, which are Kafka's too.
//
// A batch (record batch v2, Kafka 0.11 and later; all numbers big-endian):
//
//	 0 base offset            int64   assigned on append
//	 8 batch length           int32   counts what follows it
//	12 partition leader epoch int32   assigned on append
//	16 magic                  int8    2
//	17 CRC32C                 uint32  of everything from 21 on
//	21 attributes             int16   bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control
//	23 last offset delta      int32
//	27 base timestamp         int64   milliseconds since 1970
//	35 max timestamp          int64
//	43 producer id            int64
//	51 producer epoch         int16
//	53 base sequence          int32
//	57 record count           int32
//	61 records
//
// The base offset and the epoch lie outside the CRC, so an append writes them in place and passes the rest through
// untouched, compressed or not.
//
// # Who does what on which thread
//
// A [Log] belongs to one thread, the loop's. On it are [Log.Read], which costs at most a look at resident pages, and
// everything else that decides. What may wait for a disk is handed out and runs elsewhere, and touches nothing that the
// log's thread changes:
//
//	[Log.BeginWrite] the write of what was appended, with the roll to the next segment: [Write.Add] checks sequences and
//	                assigns offsets, [Write.Run] writes, [Log.EndWrite] makes it part of the log
//	[Log.Work]      the end of a segment that expired; the file of the next segment; what a closed segment leaves
//	                behind; the mark of a failed sync
//	[Log.SyncPlan]  the files that one group commit has to sync; then [Log.Synced] or [Log.SyncFailed]
//	[Log.Expire]    removing the files of segments that retention took out
//	[Log.Delete]    removing a deleted log's directory
//	[TimeSearch.Run] finding the first record of a time
//	[Lookup.Run]    finding where a read begins and ends when the pages that say so are not resident
//
// One write is in flight at a time: a slow disk makes writes larger and not more. If the next segment's file was not
// prepared in time, the write that needs it makes it. [Open], [Log.Close], [Log.Append], [Check] and [Repair] block, and
// belong off the loop or outside its life.
//
// # Where the high watermark is
//
// It moves with the write, or with [Options.ManualCommit] when a plan that covers the write was handed back to
// [Log.Synced]. A plan counts only as a whole: every file, and the directory if a file appeared. A sync that failed is
// never tried again, because the kernel tells it once and forgets the pages: the log then refuses writes with
// [ErrPoisoned] until it is opened anew. Until they are evicted, forgotten pages read as if they were on the disk. So the
// failure leaves a mark, by which the next start drops what is cached of the segments that it scans and reads the disk.
//
// # Closed segments
//
// When a segment is closed its data is synced first; then its time index, its index and the snapshot of the producers
// are written. So the .index of a closed segment vouches for its data, and opening a log after a crash scans the last
// segment and those that were not finished, whatever the size of the rest. While a segment is written to it has no
// index files: what a crash would leave of them would be stale.
//
// A plan may cover a closed segment too, and the kernel tells an error to one of two syncs of a descriptor. So they never
// sync one at the same time, and what one is told the other knows.
//
// In memory a closed segment keeps one entry of 512 of its index (8 bytes for every 2 MiB at the default interval) and
// two descriptors. A read looks at one page of the index file if it is resident.
//
// # Recovery
//
// Opening scans what is there and returns a verdict first; acting on it is a step of its own. Which finding leads to
// which action is the table recoveryCases, whose labels are in the log lines. [Check] gives the same verdicts, reads
// everything and changes nothing; [Repair] does what it is told, and copies what it cuts.
//
// After a crash nothing vouches for the tail of a log: the last segment, and those before it that were closed but not
// finished. Pages reach the disk in any order, so a loss of power leaves torn ends, holes of zeros with valid batches
// behind them, and segments that end before the next one begins. What was never promised to be durable is cut there,
// with what lies behind it. Two things say what was promised:
//
//   - The recovery point ([OpenOptions].RecoveryPoint): below it everything was synced. It may lag.
//   - The mark acks-after-fsync: the log acknowledged only what was synced, so any batch may have been a promise.
//
// Damage with valid batches behind it is refused below the recovery point, with the mark, in a closed segment, and
// after a clean stop: the file, the position and the remedy are told, and nothing is touched. A torn end has nothing
// behind it that a refusal could save: it is cut whatever was promised, but after a clean stop.
//
// A record's value may hold whole batches. Within the extent of a damaged batch they are not taken for batches of the
// log: see tornBatch.
//
// The base offset and the leader epoch of a batch are covered by no CRC. A wrong offset is found by the batches around
// it; that of the very last batch only if it is too low.
//
// # Leader epochs
//
// A start that cut something, or could not know that it did not, gives what is appended from then on a new epoch. Else
// offsets would name other records than before, and a consumer that has read further than the log now goes would skip
// the new ones without a sign of it. With the epoch it asks where the one that it knows has ended ([Log.EpochEnd]).
// An epoch without a record has no line in leader-epoch-checkpoint: idle restarts make it no longer.
//
// # Producers
//
// Of each idempotent producer the last five batches are known, for as long as [Options.ProducerExpiry] and at most
// [Options.MaxProducers] of them. A snapshot has the last batch only, as in Kafka; the four before it are looked for in
// the 8 MiB before the snapshot, where the batches are that were in flight at a stop. A producer whose transaction a Kafka
// broker left open is never forgotten, so that its records stay unstable.
//
// # Disk trouble
//
// A write that fails leaves the log as it was, and what it left in the file is cut before the next one. File work that
// fails is tried again at the next roll or [Log.Expire]; until then all it would have written is in memory. A segment
// file that was removed under the log is written again from its open descriptor when the segment or the log is closed.
//
// # Invariants
//
//   - Segment files are append-only. What a subscriber could have read is never overwritten, punched or truncated: the
//     page may still be in a socket's queue, and there the new content would be sent. Old data goes by whole files.
//   - Bytes behind the high watermark's position were never handed out. An append that failed there is written over by
//     the next one.
//   - A file is closed and unmapped when the log is done with it and the last range that was being sent is released.
//   - [Log.Read] and a [Write] allocate nothing in steady state, and Read never waits for a disk: it consults the index in
//     memory, and pages of files only if they are resident. What it can't tell by these it says so.
//   - Where a read begins and ends is found by one search ([view]), whose answer does not depend on what is resident.
//   - What a start serves is on the disk: segments that it does not trust are synced before they are scanned.
//   - An index file is there only if the data that it is about was synced before.
//   - A length from disk or wire is compared with its limit before it is used.
package segment
