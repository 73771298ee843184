package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"oneplusn/segment/records"
)

// A producer snapshot, <offset>.snapshot, is the state of the producers at that offset, in Apache Kafka's format
// (ProducerStateManager): version 1 (int16), CRC32C of all behind it (uint32), count (int32), and for each producer
//
//	 0 producer id        int64
//	 8 producer epoch     int16
//	10 last sequence      int32   -1 without a batch, like the three that follow
//	14 last offset        int64
//	22 offset delta       int32   from the first offset of the last batch to its last
//	26 timestamp          int64   when the producer was last seen; Kafka writes the time of its last record
//	34 coordinator epoch  int32
//	38 transaction start  int64   first offset of the open transaction, or -1
//
// It has the last batch only; replayTail finds the other four.
const (
	snapshotVersion    = 1
	snapshotHeader     = 10
	snapshotEntryBytes = 46
	snapshotCRCFrom    = 6
)

var errSnapshot = errors.New("segment: the producer snapshot is damaged")

func (ps *producers) encode() []byte {
	b := make([]byte, snapshotHeader, snapshotHeader+len(ps.byID)*snapshotEntryBytes)
	binary.BigEndian.PutUint16(b, snapshotVersion)
	binary.BigEndian.PutUint32(b[snapshotCRCFrom:], uint32(len(ps.byID)))
	for p := range ps.bySeen.All() {
		last := sequence{last: -1, lastOffset: -1}
		if p.n > 0 {
			last = p.batches[p.n-1]
		}
		b = binary.BigEndian.AppendUint64(b, uint64(p.id))
		b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
		b = binary.BigEndian.AppendUint32(b, uint32(last.last))
		b = binary.BigEndian.AppendUint64(b, uint64(last.lastOffset))
		b = binary.BigEndian.AppendUint32(b, uint32(last.offsetDelta))
		b = binary.BigEndian.AppendUint64(b, uint64(p.seenMillis))
		b = binary.BigEndian.AppendUint32(b, uint32(p.coordinatorEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(p.txnFirstOffset))
	}
	binary.BigEndian.PutUint32(b[2:], records.UpdateCRC(0, b[snapshotCRCFrom:]))
	return b
}

// parseSnapshot reads a producer snapshot. The producers come in the order of the file.
func parseSnapshot(b []byte) ([]producer, error) {
	if len(b) < snapshotHeader {
		return nil, fmt.Errorf("%w: it has %d bytes, the least is %d", errSnapshot, len(b), snapshotHeader)
	}
	if v := binary.BigEndian.Uint16(b); v != snapshotVersion {
		return nil, fmt.Errorf("%w: its version is %d, %d was expected", errSnapshot, v, snapshotVersion)
	}
	if crc, sum := binary.BigEndian.Uint32(b[2:]), records.UpdateCRC(0, b[snapshotCRCFrom:]); crc != sum {
		return nil, fmt.Errorf("%w: its CRC says %08x, the bytes say %08x", errSnapshot, crc, sum)
	}
	n := int64(binary.BigEndian.Uint32(b[snapshotCRCFrom:]))
	if n*snapshotEntryBytes != int64(len(b)-snapshotHeader) {
		return nil, fmt.Errorf("%w: it says it has %d producers in %d bytes", errSnapshot, n, len(b))
	}
	list := make([]producer, 0, n)
	for at := snapshotHeader; at < len(b); at += snapshotEntryBytes {
		list = append(list, parseProducer(b[at:at+snapshotEntryBytes]))
	}
	return list, nil
}

func parseProducer(b []byte) producer {
	p := producer{
		id:               int64(binary.BigEndian.Uint64(b)),
		epoch:            int16(binary.BigEndian.Uint16(b[8:])),
		seenMillis:       int64(binary.BigEndian.Uint64(b[26:])),
		coordinatorEpoch: int32(binary.BigEndian.Uint32(b[34:])),
		txnFirstOffset:   int64(binary.BigEndian.Uint64(b[38:])),
	}
	q := sequence{id: p.id, epoch: p.epoch, last: int32(binary.BigEndian.Uint32(b[10:])),
		lastOffset: int64(binary.BigEndian.Uint64(b[14:])), offsetDelta: int32(binary.BigEndian.Uint32(b[22:])), timestamp: p.seenMillis}
	if q.last >= 0 && q.offsetDelta >= 0 {
		q.first = int32((int64(q.last) - int64(q.offsetDelta)) & math.MaxInt32)
		p.batches[0], p.n = q, 1
	}
	return p
}

// load adds the producers of a snapshot, the last ones if there are more than the limit. seen is the time of a batch's append; the
// snapshot's own time may be that of a record, which the producer chose.
func (ps *producers) load(list []producer, seen func(offset, saidMillis int64) int64) {
	for i := range list {
		p := list[i]
		if p.n > 0 {
			p.seenMillis = seen(p.batches[0].lastOffset, p.seenMillis)
		}
		if old := ps.byID[p.id]; old != nil {
			old.bySeen.Remove()
		} else if len(ps.byID) >= ps.limit {
			ps.forgetOldest()
		}
		ps.byID[p.id] = &p
		ps.bySeen.PushBack(&p.bySeen, &p)
	}
}

// replay applies a batch of the log to its producer, without the checks that it passed when it was appended. seenMillis is the
// latest time at which that can have been.
func (ps *producers) replay(h records.Batch, seenMillis int64) {
	if h.ProducerID < 0 {
		return
	}
	if h.Attributes.Has(records.Control) {
		if p := ps.byID[h.ProducerID]; p != nil { // its transaction ended
			p.epoch, p.txnFirstOffset, p.seenMillis = max(p.epoch, h.ProducerEpoch), -1, seenMillis
		}
		return
	}
	if h.BaseSequence < 0 {
		return
	}
	ps.add(sequenceOf(h), seenMillis)
	if p := ps.byID[h.ProducerID]; h.Attributes.Has(records.Transactional) && p.txnFirstOffset < 0 {
		p.txnFirstOffset = h.BaseOffset
	}
}

// fillHistory adds the batches before the last one, which a snapshot lacks. older has them in the order of the log.
func (ps *producers) fillHistory(older []sequence) {
	byID := make(map[int64][]sequence)
	for _, q := range older {
		byID[q.id] = append(byID[q.id], q)
	}
	for id, list := range byID {
		p := ps.byID[id]
		if p == nil || p.n != 1 {
			continue
		}
		known := p.batches[0]
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].lastOffset != known.lastOffset || list[i].epoch != p.epoch {
				continue
			}
			from := i
			for from > 0 && i-from+1 < rememberedBatches && list[from-1].epoch == p.epoch {
				from--
			}
			p.n = copy(p.batches[:], list[from:i+1])
			break
		}
	}
}
