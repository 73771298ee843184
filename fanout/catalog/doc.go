// Package catalog is the table of topics and the data directory that holds them. It creates, extends, configures and deletes
// topics, and keeps their files.
//
//	request --> changes: one of a name at a time --> steps: on the loop and off it, in order --> the table --> answer
//
//	data directory
//	├── <topic>-<partition>/                  a log of package segment; that of partition 0 holds topic.properties
//	├── removal.<hex>                         mark: the start removes these partitions (removal_mark.go)
//	├── meta.properties                       identity of cluster and node
//	├── recovery-point-offset-checkpoint      durable offsets ┐
//	├── log-start-offset-checkpoint           DeleteRecords   │ shared files: one write at a time, which serves all
//	├── leader-epoch-reserve                  epochs          │ changes that ask meanwhile (steps.go)
//	└── producer-id-checkpoint                producer ids    ┘
//
// The life of a topic:
//
//	create: names reserved --> room taken --> mark, directories, logs, mark gone --> in the table
//	delete: names reserved --> epochs reserved, mark --> out of the table, logs ended --> directories aside, mark gone --> files gone
//
// A partition that cannot be opened is offline: it keeps its place and answers with an error. [Partition] is composed of the state
// that each part of the server keeps of it; commits and fetches are told when it is deleted or configured.
//
// # Invariants
//
//   - A name is reserved by at most one change. Changes of one name run in the order of their requests.
//   - A topic is made or deleted with all of its partitions, or not at all, whatever fails and whenever the server ends.
//   - A topic that is in the table, or has been answered for, is durable, and no mark names it.
//   - A directory is used by one log at a time: its name is free when the directory has been moved aside, durably.
//   - Room is taken before a directory is made, and given back once.
//   - The leader epoch of new topics never falls, and is above those of all deleted logs, restarts included.
//   - No producer id is handed out twice, crashes included.
//   - The start of a log only rises in its life, and a recovery point is not above the log's end.
//   - Everything belongs to the loop's thread but the work of steps, which touches nothing that the loop changes.
package catalog
