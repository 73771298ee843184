// Package wire turns bytes into Kafka requests and responses into bytes. It does no I/O and keeps no state.
//
// franz-go's kmsg does the encoding, with three exceptions that are written by hand: the Produce request, because kmsg
// would hold the records in structures of its own; and the Fetch request and response, because that path allocates
// nothing. A Fetch response of versions 4 to 11 alternates header bytes and records and ends with records, so only its
// header bytes are made here; the records go from the page cache to the socket.
//
//	frame     size int32 | header | body            (size counts what follows it)
//	header    key int16 | version int16 | correlation id int32 | client id nullable string | tags if flexible
//	response  size int32 | correlation id int32 | tags if flexible | body
//
// # Invariants
//
//   - Nothing read from the wire is believed: a length is compared with the bytes that are left before it is used, and
//     a count with the bytes that so many elements need at least, before anything is allocated.
//   - Parsed slices alias the frame. They are valid as long as the frame's bytes stay where they are.
//   - A request is never changed by parsing, and a parse that fails leaves nothing that is used.
//   - ApiVersions is the only flexible request served, and its response header is never flexible (KIP-511).
package wire
