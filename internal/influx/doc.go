// Package influx brings points to InfluxDB 1.8 or 2.x and reads their history back.
//
//	engine ── AppendLine ──▶ block ── Queue.Append ──▶ segments on disk
//	   │                                                  │
//	   └─ state commit with the Mark ── Queue.Publish ──▶ Writer ──▶ InfluxDB
//	                                                      │
//	                        rejected lines ◀── bisection ─┘
//
// Four decisions stand behind it:
//
//   - A point is a function of the frame it came from: series, field types and time are
//     deterministic. Writing it again overwrites it, so the queue may promise
//     at-least-once and nothing is doubled.
//   - The queue is read up to what the engine has committed and no further. A block whose
//     transaction failed is cut off again and has never been seen by InfluxDB.
//   - A refusal is believed only if it is about a line (the short list in client.go). Every
//     other answer keeps the data, and the status says why.
//   - The client library's blocking write is used alone: its asynchronous one drops data.
package influx
