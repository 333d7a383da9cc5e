//go:build !unix

package main

import "os"

// There are no such signals here: gridgate reload does what they do.
var reloadSignals, reopenSignals []os.Signal
