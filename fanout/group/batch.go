package group

import "oneplusn/segment/records"

// maxBatchBytes is the size at which a batch of records ends. One record may make a batch larger.
const maxBatchBytes = 256 << 10

// AppendBatch appends the first of some records as one record batch (format 2), to be given their offsets by the log,
// and says how many they are.
func AppendBatch(dst []byte, list []Record, nowMillis int64) (batch []byte, n int) {
	start := len(dst)
	dst = append(dst, make([]byte, records.HeaderSize)...)
	body := len(dst)
	for n < len(list) && (n == 0 || len(dst)-body+len(list[n].Key)+len(list[n].Value) < maxBatchBytes) {
		dst = records.AppendRecord(dst, n, list[n].Key, list[n].Value)
		n++
	}
	records.Seal(dst[start:], records.NewBatch(n, nowMillis))
	return dst, n
}
