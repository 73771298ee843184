package commit

import (
	"errors"
	"syscall"
)

// StorageRemedy tells the operator what to do about a failed write.
func StorageRemedy(err error) string {
	const nothingLost = ": producers retry, and nothing that was acknowledged is lost"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on the data directory's file system" + nothingLost
	case errors.Is(err, syscall.EROFS):
		return "the file system has become read-only, often after an error of the disk: see the kernel's log, repair it and mount it read-write" + nothingLost
	case errors.Is(err, syscall.EIO):
		return "the disk failed: see the kernel's log" + nothingLost
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit on open files (ulimit -n, LimitNOFILE=)" + nothingLost
	}
	return "see the error" + nothingLost
}
