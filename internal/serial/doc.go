// Package serial takes frames off lines of bytes: serial ports, serial servers (converters
// from RS-485 to Ethernet), and devices that connect over TCP or send datagrams.
//
//	port ──▶ line (reads) ──▶ stream (cuts frames) ──▶ queue ──▶ Ingest ──▶ answer
//	modbus: master (asks, by plan) ──▶ changed, or due again? ──▶ queue ──▶ Ingest
//	Downlink ──▶ master (writes between two polls), Order, or a frame of the line ──▶ line
//
// A supervisor opens a port, keeps it to itself, and opens it anew when it is gone. A
// stream finds its way back after noise. Only GB/T 26875.3 acknowledges: its confirmation
// goes out when the frame is durable, and while it cannot be stored the device gets no
// answer and repeats. What the other protocols bring cannot be refused: it waits in a
// bounded queue, and past that is counted as lost.
package serial
