// Package group is the coordinator of consumer groups: who is a member, who owns which partitions, and how far each
// group has read. It is a state machine and nothing else: requests and the time go in, replies, records to be kept and
// the next deadline come out. It does no I/O, reads no clock and starts no goroutine, so a test can run a year of it in
// a second and see the same thing twice.
//
// It is Apache Kafka's classic protocol (KIP-62, KIP-134, KIP-345, KIP-394). Which partitions a member gets is decided
// by the group's leader, a client; the coordinator only sees to it that all members of one generation got their share
// from the same decision. Cooperative rebalancing (KIP-429) is the clients' too: they keep what they own while they
// join again, and the coordinator lets them, as a member stays a member while a rebalance goes on.
//
//	         first member joins                  all have joined, or time is up
//	Empty ----------------------> Preparing ---------------------------------> Completing
//	  ^                               ^  ^                                          |
//	  |       the last one left       |  |  a member joins, leaves or is silent     | the leader's
//	  +-------------------------------+  +------------------ Stable <---------------+ assignment
//
// Members are told of a rebalance by the answer to their heartbeat, and wait in JoinGroup until it is over: those
// answers come later than the question. Every request brings a [Client] with a ticket; every [Reply] carries the ticket
// of the request that it answers.
//
// # What is kept
//
// Committed offsets and the membership of each generation are records with the keys and values of Apache Kafka's
// __consumer_offsets topic; see [Record]. The caller appends them to a log in the order in which they came, and answers
// the [Reply] values of the same turn only after that. At start it feeds them back through [Coordinator.Restore].
// What has changed is queued, and encoded when it is taken: a large request's records come in several parts.
// Every living record is on a list in the order of the log, so a log is kept short by writing the oldest of them again
// ([Coordinator.Rewrite]) and dropping the log's head: a few records at a time, and no other state is looked at.
//
// # Invariants
//
//   - Between two generations of a group no member of the older one can commit, sync or heartbeat with success.
//   - An assignment is handed out only to members of the generation that it was made for.
//   - A request is answered exactly once; one that waits is answered at the latest when its deadline has passed.
//   - Memory is bounded by [Config]: groups, members, bytes of what clients send. What does not fit is refused before it
//     is held; what the budget says is at any time what a walk over everything adds up to.
//   - Nobody is waited for whose connection is closed, unless it has been in a generation: then for its session.
//   - The cost of a request does not depend on the number of groups (ListGroups names them all). What a request or a
//     deadline does to more offsets than it names is done a thousand at a time, with other work between: a topic or a
//     group that is deleted is gone at once, and its offsets are written off after that; expiry looks at one group at a
//     time, the oldest commits first.
package group
