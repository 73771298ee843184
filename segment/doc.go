// Package segment is the log of one partition on disk: segment files of record batches, in Apache Kafka's format.
//
//	<topic>-<partition>/
//	  00000000000000000000.log         batches from offset 0 on
//	  00000000000000000000.index       last offset of a batch -> position, one entry for every interval of bytes
//	  00000000000000000000.timeindex   latest timestamp so far -> offset, at the same places
//	  00000000000000000000.txnindex    aborted transactions; only Repair writes it
//	  00000000000000170210.log         batches from offset 170210 on: the active segment, which has no index files
//	  00000000000000170210.snapshot    state of the idempotent producers at that offset
//	  leader-epoch-checkpoint          under which epoch which offsets were written
//	  partition.metadata               the topic's id
//	  fsync-failed                     only after a sync that failed, until the next start; not Kafka's, which ignores it
//	  acks-after-fsync                 acknowledgements wait for syncs: see Recovery; not Kafka's either
//
// Apache Kafka writes all but the last two, byte for byte, so after a clean stop a directory can move to Kafka and back. A data
// directory holds the partitions' directories and .kafka_cleanshutdown, log-start-offset-checkpoint,
// recovery-point-offset-checkpoint and .lock, which are Kafka's too. The format of a batch is in package records. Its base offset
// and its leader epoch lie outside its CRC, so an append writes them in place and passes the rest through, compressed or not.
//
// # The life of a segment
//
//	Write.beginSegment        Log.takeOver            Work: sync, .timeindex, .index, .snapshot     Log.Expire
//	   begins ----------------> active -------> closed --------------------------------> finished ---------> removed
//	next.log.tmp gets a name    index in memory  awaits its sync      index in its file, evictable   files go off the loop,
//	                                                                                                 the last hold closes
//
// # Threads
//
// A [Log] belongs to one thread, the loop's. That thread calls [Log.Read], which at most looks at resident pages, and makes all
// decisions. Everything that may wait for a disk runs elsewhere, and touches nothing that the log's thread changes:
//
//	[Log.BeginWrite] the write of appended batches, with the roll to the next segment: [Write.Add] checks sequences and
//	                assigns offsets, [Write.Run] writes, [Log.EndWrite] makes the batches part of the log
//	[Log.Work]      ending a segment that expired; the file of the next segment; finishing a closed segment; the mark of a
//	                failed sync
//	[Log.SyncPlan]  the files that one group commit has to sync; then [Log.Synced] or [Log.SyncFailed]
//	[Log.Expire]    removing the files of segments that retention took out
//	[Log.Delete]    removing a deleted log's directory
//	[TimeSearch.Run] finding the first record of a time
//	[Lookup.Run]    finding where a read begins and ends when the pages that say so are not resident
//
// One write is in flight at a time: a slow disk makes writes larger, not more numerous. A write that needs the next segment
// before its file was prepared makes the file itself. [Open], [Log.Close], [Log.Append], [Log.EachRecord], [Check] and [Repair]
// block, and belong off the loop or before it starts.
//
// # The high watermark
//
// It moves with the write, or with [Options.ManualCommit] when [Log.Synced] completes a plan that covers the write. A plan
// counts only as a whole: every file, and the directory if a file appeared. A failed sync is never retried, because the kernel
// reports the error once and drops the pages: the log then refuses writes with [ErrPoisoned] until it is opened again. After
// a failed sync the page cache may hold data that the disk never got. The log leaves a marker file; the next start drops the
// page cache of the segments that it scans, and reads the disk.
//
// # Closed segments
//
// Closing a segment syncs its data first and writes its time index, its index and the producer snapshot after that. So the
// presence of a closed segment's .index proves that the data is durable, and crash recovery scans only the last segment and
// those not finished, however large the log. The active segment has no index files: a crash would leave stale ones.
//
// A plan may cover a closed segment too, and the kernel reports an error to only one of two concurrent syncs of a descriptor.
// So plan and finishing never sync one segment at the same time, and each learns of the other's error.
//
// In memory a closed segment keeps one of 512 entries of its index (8 bytes for every 2 MiB at the default interval) and two
// descriptors, which [Files] may evict. A read looks at one page of the index file if it is resident.
//
// # Recovery
//
// Opening a log scans its segments into verdicts first and acts on them in a separate step. The table recoveryCases maps
// findings to actions; its labels appear in log lines. [Check] gives the same verdicts, reads everything and changes
// nothing; [Repair] does what it is told, and copies what it cuts.
//
// After a crash the tail of a log is not trusted: the last segment, and those before it that were closed but not finished.
// Pages reach the disk in any order, so a loss of power leaves torn ends, holes of zeros with valid batches behind them, and
// segments that end before the next one begins. What was never promised to be durable is cut there, with everything behind
// it. Two things record the promises:
//
//   - The recovery point ([OpenOptions].RecoveryPoint): everything below it was synced. It may lag.
//   - The mark acks-after-fsync: the log acknowledged only synced records, so any batch may have been a promise.
//
// Damage with valid batches behind it is refused below the recovery point, with the mark, in a closed segment, and after a
// clean stop: the error names the file, the position and the remedy, and nothing is touched. A torn end has nothing behind
// it that a refusal could save: it is cut even if it was promised, except after a clean stop.
//
// A record's value may hold whole batches. Within the extent of a damaged batch they do not count as batches of the log: see
// tornBatch.
//
// No CRC covers a batch's base offset and leader epoch. The neighbouring batches reveal a wrong offset; that of the very last
// batch only if it is too low.
//
// # Leader epochs
//
// A start that cut something, or cannot know that it did not, gives later appends a new epoch. Otherwise offsets would name
// other records than before, and a consumer that had read beyond the new end would skip records without noticing. With the
// epoch it asks where the epoch that it knows ended ([Log.EpochEnd]). An epoch without a record gets no line in
// leader-epoch-checkpoint, so idle restarts do not make it grow.
//
// # Producers
//
// The log remembers the last five batches of each idempotent producer, for [Options.ProducerExpiry] and for at most
// [Options.MaxProducers] producers. A snapshot holds the last batch only, as in Kafka; a start reads the four before it, which
// were in flight at the stop, from the 8 MiB before the snapshot. A producer whose transaction a Kafka broker left open is never
// forgotten, so that its records stay unstable.
//
// # Disk trouble
//
// A failed write leaves the log unchanged, and the next write first cuts the bytes that it left in the file. Failed file work is
// retried at the next roll or [Log.Expire]; until then its content stays in memory. A segment file that was removed under the
// log is written again from its open descriptor when the segment or the log is closed.
//
// # Invariants
//
//   - Segment files are append-only. Bytes that a subscriber could have read are never overwritten, punched or truncated: the
//     page may still sit in a socket's queue, which would then send the new content. Retention removes whole files.
//   - Bytes behind the high watermark's position were never handed out. The next append overwrites what a failed one left there.
//   - A file is closed and unmapped when the log and the last range in flight have released it.
//   - log start <= last stable offset <= high watermark <= log end; durable offset <= log end.
//   - [Log.Read] and a [Write] allocate nothing in steady state. Read never waits for a disk: it consults the index in memory, and
//     pages of files only if they are resident. What it cannot answer that way is [ErrCold].
//   - One search ([view]) finds where a read begins and ends; its answer does not depend on what is resident.
//   - A start serves only durable data: it syncs segments that it does not trust before it scans them.
//   - An index file exists only if the data that it describes was synced before.
//   - A length from disk or wire is compared with its limit before it is used.
//
// assert.go and the panics beside the code hold these. Cheap checks are always on, walks under the build tag invariants.
package segment
