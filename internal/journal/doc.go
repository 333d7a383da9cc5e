// Package journal is the durable, ordered log of all accepted frames. A frame in the
// journal is never lost.
//
// A journal is a directory with one partition per lane, each of them a directory of
// append-only segment files:
//
//	<dir>/LOCK                                        held by the one process that writes
//	<dir>/reserve                                     space kept back for when the disk is nearly full
//	<dir>/bulk/00000000000000000001-1-9f3a2b1c.seg    first sequence, epoch, salt
//	<dir>/bulk/00000000000000000001-1-9f3a2b1c.idx    index by device of a sealed segment
//
// The rules everything else follows from:
//
//   - A record is shown to a reader, and its sequence to the caller, only after the
//     fsync that covers it. So a sequence that a crash takes back was known to nobody.
//   - One write, one fsync, then the next write. So only the last write of the newest
//     segment can be incomplete after a crash, and only that may be cut.
//   - An fsync that failed is never tried again: the kernel may have thrown the pages
//     away and would then report success. The process ends and recovers.
//   - Open never appends to an old segment. It checks the newest one, makes its last
//     write durable again, seals it, and starts a new one.
package journal
