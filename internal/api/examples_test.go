package api

import (
	"encoding/json"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// TestEachBodyOfTheDocumentHasAnExampleOfItsShape: whoever reads /openapi.json sees a body that
// this very document takes. Only the answer of a passkey cannot be written by hand.
func TestEachBodyOfTheDocumentHasAnExampleOfItsShape(t *testing.T) {
	d := newFullWorld(t).server.Deps
	d.Regions = struct{ Regions }{}
	doc := New(d).OpenAPI()
	var unused map[string]any
	if err := json.Unmarshal(examples, &unused); err != nil {
		t.Fatal(err)
	}
	for _, op := range operations(doc) {
		if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
			continue
		}
		media := op.RequestBody.Content["application/json"]
		delete(unused, op.OperationID)
		if media.Example == nil {
			if op.OperationID != "start-session-passkey" && op.OperationID != "finish-passkey" {
				t.Errorf("%s (%s %s) has no example", op.OperationID, op.Method, op.Path)
			}
			continue
		}
		var wrong huma.ValidateResult
		huma.Validate(doc.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, media.Example, &wrong)
		for _, err := range wrong.Errors {
			t.Errorf("%s: %v", op.OperationID, err)
		}
	}
	for id := range unused {
		t.Errorf("the example of %s belongs to no operation with a body in JSON", id)
	}
}
