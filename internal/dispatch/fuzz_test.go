package dispatch_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

// Whatever a far side answers: no panic, and nothing that is not there.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`[{"service_request_id":1,"status":"open"}]`, `{"code":0,"data":{"flow":[{"state":"10"}]}}`, "null", "[[[",
		`<service_requests><request><service_request_id>1</service_request_id></request></service_requests>`, "<a><b>1</b><b>2</b><b/></a>", "<a", `{"a":1e999}`} {
		f.Add("application/json", []byte(s))
		f.Add("text/xml; charset=utf-8", []byte(s))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		dispatch.ReadAnswer(kind, body, "data.flow.0.state", "a.1", "")
	})
}

// Whatever a centre sends: no panic, an end, and no confirmation that is not ours.
func FuzzCentreAnswer(f *testing.F) {
	f.Add([]byte("@@@@##"))
	f.Add(dispatch.ConfirmationOf("D1"))
	f.Add(append([]byte("@@noise"), dispatch.ConfirmationOf("D2")...))
	f.Fuzz(func(t *testing.T, said []byte) {
		if dispatch.Confirmed("D1", said) && !strings.Contains(string(said), string(dispatch.ConfirmationOf("D1")[2:4])) {
			t.Errorf("%x confirms D1", said)
		}
	})
}

// Whatever stands in a body: an alert obeys the rules, or there is none.
func FuzzAlert(f *testing.F) {
	b, err := configs.FS.ReadFile("cap.yaml")
	if err != nil {
		f.Fatal(err)
	}
	table, err := dispatch.ParseCAPTable("cap.yaml", b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(dispatch.SampleDelivery("ticket.opened", time.Unix(0, 0)).Body), "ticket.closed")
	f.Add([]byte(`{"data":{"title":" / ","place":{"words":" ","lat":1e300,"lon":-0.00000001},"times":{"due":"9999-12-31T23:59:59Z"},"link":"x y"}}`), "")
	f.Fuzz(func(t *testing.T, body []byte, typ string) {
		d := grid.Delivery{ID: "D1", Type: typ, Created: time.Unix(1772325000, 0), Body: body}
		raw, err := dispatch.Alert(d, nil, table)
		if err != nil {
			return
		}
		if _, wrong := checkCAP(raw); len(wrong) > 0 {
			t.Errorf("%s\n%s", strings.Join(wrong, "; "), raw)
		}
	})
}

// Whatever a connector's file says: refused, or of a form that can be sent.
func FuzzTemplate(f *testing.F) {
	files, err := fs.Glob(configs.FS, "connectors/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := configs.FS.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(plainSpec))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 4<<10 || strings.Contains(string(file), "range") {
			t.Skip() // a loop over a great number is the author's own
		}
		s, err := dispatch.ParseTemplate("x.yaml", file)
		if err == nil && s.Name == "" {
			t.Error("a connector without a name")
		}
	})
}
