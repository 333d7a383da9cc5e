// Package bulk brings points, devices and installations in and out as sheets that people
// make: CSV as spreadsheets write it, and XLSX, with Chinese or English headers.
//
//	sheet ──▶ reader ──▶ cells ──▶ columns (data) ──▶ rows ──▶ compared with the registry
//	                                                              │ added, changed, same, bad
//	                              engine ◀── pieces of good rows ─┘ each with what undoes it
//
// What is wrong is said of every row, with its column, value and the wish, in both languages.
// Jobs does one import at a time and goes on with it after a restart.
package bulk
