// Package segment is the log of one partition on disk: segment files of record batches, in Apache Kafka's format.
//
//	<topic>-<partition>/00000000000000000000.log    batches from offset 0 on
//	<topic>-<partition>/00000000000000170210.log    batches from offset 170210 on: the active segment
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
// A [Log] belongs to one thread. Nothing in it locks or starts a goroutine.
//
// # Recovery
//
// Opening scans what is there and returns a verdict first; acting on it is a step of its own. A torn tail of the last
// segment, the mark of a process or machine that stopped in the middle of a write, is cut off. Damage with valid
// batches behind it is never cut: the log is refused with the file, the position and the remedy, and the file is not
// touched.
//
// # Invariants
//
//   - Segment files are append-only. What a subscriber could have read is never overwritten, punched or truncated: the
//     page may still be in a socket's queue, and there the new content would be sent. Old data goes by whole files.
//   - Bytes behind the high watermark's position were never handed out. An append that failed there is written over by
//     the next one.
//   - A file is closed and unmapped when the log is done with it and the last range that was being sent is released.
//   - [Log.Read] and [Log.Append] allocate nothing in steady state, and Read never waits for a disk: it consults the
//     index in memory, and pages of the file only if they are resident (RWF_NOWAIT).
//   - A length from disk or wire is compared with its limit before it is used.
package segment
