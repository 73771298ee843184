// Package load is the load generator's engine. It publishes record batches and drains them with any number of subscribers,
// over raw sockets: the client should cost little beside the server that it measures.
//
// Subscribers are state machines on a few epoll threads. A subscriber either checks its payload (CRC32C of every batch,
// offsets without a gap) or lets the kernel discard it (MSG_TRUNC, tcp(7)), so that only response headers reach this
// process. Both wake up for each 256 KiB and not for each segment (SO_RCVLOWAT): on loopback the sender pays for the
// receiver's wake-up, so an eager client would make the server look slow.
//
// # Invariants
//
//   - Every reported figure was counted: bytes as they arrive, times as responses end, the server's own counters before and
//     after. Figures that a server does not count are reported as not counted.
//   - All subscribers connect before the first of them fetches, and the server's counters are read in between.
//   - A checked subscriber that gets a wrong byte, a gap or an early end fails the whole run.
package load
