// Package coap takes frames over CoAP (RFC 7252): UDP, DTLS 1.2 and TCP.
//
//	POST /up/<identity>?port=N&path=/3/0/9      Content-Format 0 42 50 60 110 112 11542 11543
//
// What it promises to a device:
//   - 2.04 Changed means durable. Nothing is sent before that, also no empty acknowledgement:
//     a device that hears nothing repeats its message, and one that stops listening has not
//     been told that it was heard;
//   - a repeated message is one message, by its sender, id and content, for 247 s at least,
//     also when the sender was idle or sent something unreadable in between;
//   - 5.03 with Max-Age says that the journal is full or fails, 4.29 that this peer sends too
//     much; 4.00 and its kin say what is wrong, in words;
//   - an upload in blocks is one frame, whole or not at all;
//   - over DTLS a device speaks for itself alone, and one that has a key cannot be spoken for
//     without it;
//   - an order is sent to a peer that may speak for its device at that moment, and to no
//     other; what the device answers is its outcome, silence that it may have arrived;
//   - a NON message cannot be refused. It waits in a bounded buffer while the journal fails,
//     and past that is counted as lost.
//
// go-coap reads and writes the messages and keeps the connections. Its handlers, its
// de-duplication and its block-wise uploads are not used: one slow handler stalls every
// peer, the answers it keeps go with the connection after one unreadable datagram, and it
// tells uploads apart by their token, which libcoap changes with each block.
package coap
