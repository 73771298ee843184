// Package offsets is the log of the consumer-group coordinator: it writes the coordinator's records to the offsets topic,
// sends replies when their records are durable, keeps the topic short, and reads it back at start.
//
//	requests --> group.Coordinator --Turn--> output in flight: batches --commit--> offsets topic --Restore--> group.Coordinator
//	                     ^                     |        |
//	                     |   replies that promise       +--> durable replies wait for the high watermark --> clients
//	                     |   nothing: to clients
//	                     +-- Rewrite, when the log is large: live records again, then the head is dropped
//
// The first request makes the topic. The coordinator's output is taken once a turn, so that all commits of a turn share a
// write, and an fsync if they wait for one. While an output is being written, changes gather in the coordinator.
//
// # Invariants
//
//   - At most one output is in flight. So the records of a key are in the log in the order of their changes.
//   - A durable reply is sent after the high watermark has passed the records of its output and all earlier ones in every
//     partition, as an acknowledgement to a producer would be; or as a refusal, if a record that it depends on was lost.
//   - A lost record stays true for clients, and is written again before any other as soon as the disk takes writes.
//   - The head of a log is dropped only after every live record in it is as safe at the log's end as it was there.
//   - A partition that cannot be read is offline: its groups have no coordinator, and no record goes to it.
//   - Everything but [Log.Restore] runs on the loop's thread and does not block.
package offsets
