// Package group is the coordinator of consumer groups: it knows each group's members, their partitions, and how far the
// group has read. It is a pure state machine: requests and the time go in; replies, records for the log and the next
// deadline come out. It does no I/O, reads no clock and starts no goroutine, so a test runs a year of it in a second, and
// gets the same result twice.
//
// It speaks Apache Kafka's classic protocol (KIP-62, KIP-134, KIP-345, KIP-394). The group's leader, a client, assigns the
// partitions; the coordinator makes sure that all members of a generation get their share of the same assignment.
// Cooperative rebalancing (KIP-429) is up to the clients too: a member stays a member during a rebalance, and keeps what it
// owns.
//
//	         first member joins                  all have joined, or time is up
//	Empty ----------------------> Preparing ---------------------------------> Completing
//	  ^                               ^  ^                                          |
//	  |       the last one left       |  |  a member joins, leaves or is silent     | the leader's
//	  +-------------------------------+  +------------------ Stable <---------------+ assignment
//
// The answer to a heartbeat tells a member of a rebalance; JoinGroup is answered when the rebalance ends. Every request
// brings a [Client] with a ticket; its [Reply] carries the same ticket.
//
// # The log
//
// Committed offsets and the members of each generation are records with the keys and values of Apache Kafka's
// __consumer_offsets topic; see [Record]. The caller appends them to a log in their order, and then sends the [Reply] values
// of the same [Output]. At start it feeds the records back through [Coordinator.Restore]. Changes are queued, and
// encoded when they are taken: a large request's records come in several outputs.
// The live records of a partition are listed in the order of its log. So a few of the oldest at a time are written again
// ([Coordinator.Rewrite]), after which the log's head can be dropped; no other state is read for that.
//
// # Invariants
//
//   - Generations only rise. Between two of them no member of the older one can commit, sync or heartbeat with success.
//   - Members get only an assignment made for their generation.
//   - A request is answered exactly once, at the latest at its deadline.
//   - [Config] bounds the memory: groups, members, bytes that clients send. A request that does not fit is refused before
//     anything is held. The budget always equals the sum over everything held, and is never negative.
//   - A rebalance does not wait for a closed connection, except for the session of a member that has been in a generation.
//   - A group changes its state only as drawn above. No timer of a removed group runs.
//   - The cost of a request does not depend on the number of groups (except ListGroups). Work on more offsets than a
//     request names is done a thousand at a time, with other work in between: a deleted topic or group disappears at once,
//     and its offsets are reaped later; expiry scans one group at a time, the oldest commits first.
package group
