// Package load is the load generator's engine: it publishes record batches and drains them with any number of
// subscribers, over raw sockets, so that the client costs as little as possible beside the server it measures.
//
// Subscribers are state machines on a few epoll threads. A subscriber either checks what it gets (CRC32C of every batch,
// offsets without a gap) or discards it: the payload is then thrown away inside the kernel (MSG_TRUNC, tcp(7)), and only
// response headers reach this process. Both wake up per 256 KiB and not per segment (SO_RCVLOWAT): on loopback the wake-up
// of the receiver is paid by the sender, so an eager client would be measured as a slow server.
//
// # Invariants
//
//   - What is reported was counted: bytes received, completions timed, the server's own counters read before and after.
//     What a server does not count is reported as not counted.
//   - All subscribers are connected before the first of them fetches, and the server's counters are read in between.
//   - A checked subscriber that gets a wrong byte, a gap or an early end fails the whole run.
package load
