// Package compat puts the server beside a real Apache Kafka: data directories go from one to the other, in both
// directions, and Kafka's own tools look at ours. Its tests have the build tag compat and are run by `make compat-kafka`,
// which names the server's binary in ONEPLUSN_SERVER_BINARY.
//
// Kafka comes from Maven Central by its ordinary client, once, into the user's cache directory (ONEPLUSN_KAFKA_LIBS names
// another place). A JDK of 17 or later and Maven have to be there.
package compat
