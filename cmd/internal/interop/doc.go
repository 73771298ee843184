// Package interop runs Kafka clients as people install them against the server's binary. It has tests only, behind the
// build tag interop, because they need programs that are not Go's: `make interop` runs them, with ONEPLUSN_BINARY naming
// the server to test.
//
// # Invariants
//
//   - Every client runs with its own default settings. What a test has to set (an address, a topic, where to start) is
//     visible in the test.
//   - A client that is not installed fails its tests with the line that installs it. Nothing is skipped.
//   - What was published is compared by hash or byte for byte with what arrives, and the compression is read from the
//     batches that the server stored: some clients silently send plain batches to a server whose versions they dislike.
package interop
