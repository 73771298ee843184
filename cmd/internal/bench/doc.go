// Package bench runs the load generator's scenarios: it starts servers, publishes, lets subscribers drain or wait, reads
// the servers' counters before and after, and hands what it measured to package report.
//
//	Drain    publish a data set, then N subscribers read all of it; every transfer mode, ring size and N in turn
//	Live     publish at a pace to N subscribers that wait
//	Publish  acknowledged batches under each fsync policy, beside plain writes to a file
//	Cold     hot readers of a log's end beside cold readers of all before it, by what the server lets these keep in the page cache
//	Copies   the copy model: every way to move the data set, from a cold page cache, predicted beside counted
//
// # Invariants
//
//   - Servers are child processes, one at a time, so that CPU time and reads from storage belong to one of them.
//   - All modes move the same bytes: the data set is published once, and each server is started on its directory.
//   - Runs are interleaved (every configuration, then every configuration again), so that a machine that is busy for a
//     while hurts all configurations alike.
//   - Whatever ends a scenario, its children are stopped and its directory is removed.
package bench
