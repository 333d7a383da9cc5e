// Package contractor plans the work of maintenance contractors: which tickets of P4 and
// which batteries go into which day's round, in which order the buildings are visited, what
// a technician does and brings, and how a contractor did. Pure functions of their arguments.
package contractor
