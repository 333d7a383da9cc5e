// Package intake is the stretch between a wire and Ingest that every transport needs:
// it makes frames of what arrives, collects what waits into one Ingest call, and has the
// frames acknowledged in order once they are durable. On an error it keeps them and tries
// again with back-off; in the end it gives up the connection, never a frame on a live one.
package intake
