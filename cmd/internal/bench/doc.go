// Package bench runs the load generator's scenarios: it starts servers, publishes, lets subscribers drain or wait, reads
// the servers' counters before and after, and returns the figures that package report prints.
//
//	Drain    N subscribers read all of a published data set; every transfer mode, ring size and N in turn
//	Live     a producer publishes at a pace to N waiting subscribers
//	Publish  producers wait for acknowledgements under each fsync policy, beside plain writes to a file
//	Cold     hot readers of a log's end beside cold readers of everything before it, without and with the server's cold cache
//	Copies   every way to move the data set, from a cold page cache: the copies that the model predicts beside those counted
//
// # Invariants
//
//   - Servers are child processes, one at a time, so that CPU time and reads from storage belong to one of them.
//   - All modes move the same bytes: the data set is published once, and each server is started on its directory.
//   - Runs are interleaved (every configuration, then every configuration again), so that a machine that is busy for a
//     while hurts all configurations alike.
//   - However a scenario ends, it stops its children and removes its directory.
package bench
