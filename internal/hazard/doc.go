// Package hazard decides about standing dangers: which kinds there are and what is asked of
// each (data in configs/hazards.yaml), who may do what to one, and when. It is pure: time is a
// parameter, and what follows for the ticket that is a hazard's work is returned as moves.
//
//	found ─▶ notified ─▶ rectifying ─▶ rectified ─▶ rechecking ─▶ closed
//	             ▲                          │            │
//	             └───────── fail ───────────┴────────────┘   (deadline anew)
package hazard
