package wire

// The error codes of the protocol that the broker uses (org.apache.kafka.common.protocol.Errors). "retried" says that
// clients retry by themselves.
const (
	CodeOffsetOutOfRange                   int16 = 1
	CodeCorruptMessage                     int16 = 2 // retried
	CodeUnknownTopicOrPartition            int16 = 3 // retried
	CodeLeaderNotAvailable                 int16 = 5 // retried
	CodeRequestTimedOut                    int16 = 7 // retried
	CodeMessageTooLarge                    int16 = 10
	CodeOffsetMetadataTooLarge             int16 = 12
	CodeCoordinatorNotAvailable            int16 = 15 // retried
	CodeInvalidTopic                       int16 = 17
	CodeRecordListTooLarge                 int16 = 18
	CodeInvalidRequiredAcks                int16 = 21
	CodeIllegalGeneration                  int16 = 22
	CodeInconsistentGroupProtocol          int16 = 23
	CodeInvalidGroupID                     int16 = 24
	CodeUnknownMemberID                    int16 = 25
	CodeInvalidSessionTimeout              int16 = 26
	CodeRebalanceInProgress                int16 = 27
	CodeInvalidTimestamp                   int16 = 32
	CodeUnsupportedVersion                 int16 = 35
	CodeTopicAlreadyExists                 int16 = 36
	CodeInvalidPartitions                  int16 = 37
	CodeInvalidReplicationFactor           int16 = 38
	CodeInvalidReplicaAssignment           int16 = 39
	CodeInvalidConfig                      int16 = 40
	CodeInvalidRequest                     int16 = 42
	CodePolicyViolation                    int16 = 44
	CodeOutOfOrderSequenceNumber           int16 = 45
	CodeInvalidProducerEpoch               int16 = 47
	CodeTransactionalIDAuthorizationFailed int16 = 53
	CodeKafkaStorageError                  int16 = 56 // retried
	CodeNonEmptyGroup                      int16 = 68
	CodeGroupIDNotFound                    int16 = 69
	CodeFetchSessionIDNotFound             int16 = 70 // retried
	CodeInvalidFetchSessionEpoch           int16 = 71 // retried
	CodeFencedLeaderEpoch                  int16 = 74 // retried
	CodeUnknownLeaderEpoch                 int16 = 75 // retried
	CodeUnsupportedCompressionType         int16 = 76
	CodeMemberIDRequired                   int16 = 79
	CodeGroupMaxSizeReached                int16 = 81
	CodeFencedInstanceID                   int16 = 82
	CodeGroupSubscribedToTopic             int16 = 86
	CodeInvalidRecord                      int16 = 87
)
