// Package fetch answers Fetch requests: it finds the readable records of each partition and sends them, or parks the request.
//
//	Start --> evaluate --+--> respond ------------------------------> the connection sends
//	             ^       +--> look up --> the disk was asked --+
//	             |       +--> park ----> a partition advanced, |
//	             |                       the deadline passed,  |
//	             |                       the server stops      |
//	             +-------------------------------------------- +
//
// A [Fetch] belongs to one connection and is used again for each of its requests. The [Fetcher] owns what fetches share: the
// parked ones in the order of their deadlines, the partitions that have advanced in this turn, the lookups in flight, the
// memory of sessions, and one evaluation, which the steps above hand on. A [Partition] knows which fetches wait for it.
//
// A parked fetch knows how much of each of its partitions counts towards min_bytes, and the sum. So a partition that advances
// costs one addition for each fetch that waits for it, however many partitions those fetches name.
//
// # Invariants
//
//   - A response holds whole batches below the high watermark, for read_committed below the last stable offset. A partition's
//     records begin with the batch that holds the offset, or the first above it. Their sizes add up to the frame's.
//   - Every range that is sent holds its segment until the connection has sent it.
//   - A fetch is parked at most once. Only then it is linked into its partitions' lists, and it has no lookups in flight.
//   - The result of a lookup is compared with the log again, and never reaches a fetch whose connection has ended.
//   - Session memory is charged before it is taken.
//   - Everything belongs to the loop's thread, which never waits for a disk.
package fetch
