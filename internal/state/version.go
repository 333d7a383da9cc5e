package state

import (
	"io/fs"

	"github.com/pressly/goose/v3"
)

// LatestVersion is the schema that this gridgate makes.
func LatestVersion() (v int64) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return 0
	}
	for _, f := range files {
		if n, err := goose.NumericComponent(f); err == nil {
			v = max(v, n)
		}
	}
	return v
}
