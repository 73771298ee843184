// Package pagecache keeps subscribers that read old records from filling the page cache: the newest records, which most
// subscribers read, would be evicted, and each reader of them would have to wait for the disk.
//
// A [Cache] tracks blocks of files that were not in the page cache when a subscriber came to them (cold blocks). Up to a
// limit they stay, so that readers that follow find them. Above it they are evicted (POSIX_FADV_DONTNEED), first in, first
// out with a second chance (CLOCK): a block that was read again since it came, or since it was passed over, is passed over
// once. Blocks that were in the page cache when they were first read are hot: they are the kernel's, and never tracked.
//
//	        noted (a read, or readahead, of a block that is not resident)
//	             |
//	             v        oldest, above the limit                     gone, and not read since
//	+-------> tracked --------------------------> evicting (DONTNEED) --------------------------> forgotten
//	|         |     ^                                |
//	+---------+     +--------------------------------+
//	referenced: second chance     busy (sockets hold pages of it), or read since: one more round
//
// What the kernel reads ahead of a subscriber by itself is counted with what the subscriber reads. It reads ahead little
// (128 KiB beyond a request, by default), which is enough where the disk answers at once. A disk on which each request
// takes milliseconds can be asked for more (POSIX_FADV_WILLNEED), at the price of more work for each page.
//
// # Invariants
//
//   - Residency is checked before a block is read, and before the kernel may read ahead into it: once read, cold and hot
//     blocks are indistinguishable.
//   - A hot page is never evicted by us. What was appended to a block after it was first read is hot.
//   - Advice that may wait for a disk is an operation of the ring, run by its workers. While it is in flight it holds the file.
//   - A tracked block does not hold its file: one whose file has no references is forgotten when its turn comes.
//   - order and blocks have the same members, but for those being evicted, which are in blocks only.
package pagecache
