// Package geo says where things are: coordinate systems, distances, the borders of
// districts, streets, communities and cells, and which of them a position lies in.
package geo
