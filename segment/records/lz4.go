package records

import (
	"encoding/binary"
	"fmt"
)

const (
	lz4Magic = 0x184D2204
	// Bits of the frame's flags.
	lz4Version         = 0xC0
	lz4Version1        = 0x40
	lz4Independent     = 0x20
	lz4BlockChecksum   = 0x10
	lz4ContentSize     = 0x08
	lz4ContentChecksum = 0x04
	lz4Dictionary      = 0x01
	lz4Stored          = 1 << 31 // of a block's size: its bytes are not compressed
)

// checkLZ4Frame walks over the blocks of an LZ4 frame without looking into them. Java's decoder accepts one frame of independent
// blocks with an end mark; other decoders accept less or more, and would read other records.
func checkLZ4Frame(b []byte) error {
	header := 7
	if len(b) < header || binary.LittleEndian.Uint32(b) != lz4Magic {
		return fmt.Errorf("%w: the LZ4 frame has another magic number", ErrInvalid)
	}
	flags := b[4]
	if flags&lz4Version != lz4Version1 || flags&lz4Independent == 0 || flags&lz4Dictionary != 0 {
		return fmt.Errorf("%w: LZ4 frames have version 1, independent blocks and no dictionary; the flags are %02x", ErrInvalid, flags)
	}
	if flags&lz4ContentSize != 0 {
		header += 8
	}
	trailer := 0
	if flags&lz4BlockChecksum != 0 {
		trailer = 4
	}
	for at := header; at+4 <= len(b); {
		size := binary.LittleEndian.Uint32(b[at:])
		at += 4
		if size == 0 {
			if flags&lz4ContentChecksum != 0 {
				at += 4
			}
			if at != len(b) {
				return fmt.Errorf("%w: the LZ4 frame ends at byte %d of %d", ErrInvalid, at, len(b))
			}
			return nil
		}
		size &^= lz4Stored
		if int64(size)+int64(trailer) > int64(len(b)-at) {
			break
		}
		at += int(size) + trailer
	}
	return fmt.Errorf("%w: the LZ4 frame is cut short", ErrInvalid)
}
