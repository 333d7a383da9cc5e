package journal

// SyncData is what a commit ends with.
var SyncData = syncData
