package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// The request keys that the broker tells apart itself.
const (
	KeyProduce     int16 = 0
	KeyFetch       int16 = 1
	KeyApiVersions int16 = 18
)

// APIRange is a request that is served: the versions that clients are told of, and those that are really read.
type APIRange struct {
	Key, Min, Max int16
	// AcceptMin is the lowest version that is read. It is above Min for Produce alone: librdkafka before 2.11.1 takes
	// a range that contains 0 as the sign that batches may be compressed, and never sends that version.
	AcceptMin int16
}

// Table lists what is served. A request that is not served is absent, so that clients do without it. Nothing is
// flexible (KIP-482) but ApiVersions 3; every client in use negotiates down to these.
var Table = []APIRange{
	{KeyProduce, 0, 8, 3},
	{KeyFetch, 4, 11, 4},
	{2, 0, 5, 0},  // ListOffsets
	{3, 0, 8, 0},  // Metadata
	{8, 0, 7, 0},  // OffsetCommit
	{9, 0, 5, 0},  // OffsetFetch
	{10, 0, 2, 0}, // FindCoordinator: 0 must be in it, or librdkafka does without lz4
	{11, 0, 5, 0}, // JoinGroup
	{12, 0, 3, 0}, // Heartbeat
	{13, 0, 3, 0}, // LeaveGroup
	{14, 0, 3, 0}, // SyncGroup
	{15, 0, 4, 0}, // DescribeGroups
	{16, 0, 2, 0}, // ListGroups
	{KeyApiVersions, 0, 3, 0},
	{19, 0, 4, 0}, // CreateTopics
	{20, 0, 3, 0}, // DeleteTopics
	{21, 0, 1, 0}, // DeleteRecords
	{22, 0, 1, 0}, // InitProducerId
	{23, 3, 3, 3}, // OffsetForLeaderEpoch: Java's consumer does not use a lower one
	{32, 0, 3, 0}, // DescribeConfigs
	{35, 0, 1, 0}, // DescribeLogDirs
	{37, 0, 1, 0}, // CreatePartitions
	{42, 0, 1, 0}, // DeleteGroups
	{44, 0, 0, 0}, // IncrementalAlterConfigs
	{47, 0, 0, 0}, // OffsetDelete
}

// ranges is Table by key.
var ranges = func() (byKey [128]*APIRange) {
	for i := range Table {
		byKey[Table[i].Key] = &Table[i]
	}
	return byKey
}()

func rangeOf(key int16) *APIRange {
	if key < 0 || int(key) >= len(ranges) {
		return nil
	}
	return ranges[key]
}

// Supported says whether requests of this key and version are read.
func Supported(key, version int16) bool {
	r := rangeOf(key)
	return r != nil && version >= r.AcceptMin && version <= r.Max
}

// Describe is the name of a request, for logs and metrics.
func Describe(key int16) string { return kmsg.Key(key).Name() }

// AppendApiVersions appends a whole ApiVersions response. A version that is not served gets version 0 with
// CodeUnsupportedVersion and the ranges, from which the client chooses again (KIP-511).
func AppendApiVersions(dst []byte, correlationID int32, version int16) []byte {
	resp := kmsg.NewPtrApiVersionsResponse()
	if !Supported(KeyApiVersions, version) {
		resp.ErrorCode = CodeUnsupportedVersion
		version = 0
	}
	resp.SetVersion(version)
	for _, r := range Table {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = r.Key, r.Min, r.Max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	return AppendResponse(dst, correlationID, resp)
}
