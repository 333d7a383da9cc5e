// Package backup is the form of a backup: a folder with the names of a data folder, and a
// manifest with the SHA-256 of every file and what the files hold. The manifest is written
// last: a folder without one is no backup.
//
// What never changes once it is written (sealed journal segments, photos) is linked, to the
// backup before or to the data folder itself, where the file system allows; the rest is copied.
package backup
