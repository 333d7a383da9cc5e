package api

import (
	_ "embed"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// examples has a body for each operation that takes one in JSON, by the operation's id.
//
//go:embed examples.json
var examples []byte

// exemplify puts into the document what a body may look like. A test holds each example against
// its schema, and finds an operation without one as well as an example without its operation.
func exemplify(doc *huma.OpenAPI) {
	var bodies map[string]any
	if json.Unmarshal(examples, &bodies) != nil {
		return
	}
	for _, op := range operations(doc) {
		if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
			continue
		}
		if body, there := bodies[op.OperationID]; there {
			op.RequestBody.Content["application/json"].Example = body
		}
	}
}

// operations are those that may have a body.
func operations(doc *huma.OpenAPI) (all []*huma.Operation) {
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Post, path.Put, path.Patch, path.Delete} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	return all
}
