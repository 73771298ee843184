// Package wire turns bytes into Kafka requests and responses into bytes. It does no I/O and keeps no state.
//
// franz-go's kmsg does most of the encoding. Written by hand are Produce and Fetch, requests and responses, because these
// paths allocate nothing, and the Metadata response, because its list of topics is shared by all clients. A Fetch
// response of versions 4 to 11 alternates header bytes and records and ends with records, so only its header bytes are
// made here; the records go from the page cache to the socket.
//
//	frame     size int32 | header | body            (size counts what follows it)
//	header    key int16 | version int16 | correlation id int32 | client id nullable string | tags if flexible
//	response  size int32 | correlation id int32 | tags if flexible | body
//
// # Invariants
//
//   - Nothing read from the wire is trusted: a length is compared with the remaining bytes before it is used, and a count
//     with the fewest bytes that so many elements need, before anything is allocated.
//   - Parsed slices alias the frame. They are valid as long as the frame's bytes stay where they are.
//   - A request is never changed by parsing, and a parse that fails leaves nothing that is used.
//   - ApiVersions is the only flexible request served, and its response header is never flexible (KIP-511).
package wire
