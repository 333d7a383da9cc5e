package dispatch

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"

	"gridgate/internal/grid"
)

// The forms of Open311 GeoReport v2, which client and server share. JSON is a bare list,
// XML the same list inside a root element.

// text311 is a text, also where a server writes it as a JSON number or null.
type text311 string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text311) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case string(b) == "null":
		return nil
	case b[0] == '"':
		err := json.Unmarshal(b, &s)
		*t = text311(strings.TrimSpace(s))
		return err
	case b[0] == '{' || b[0] == '[':
		return fmt.Errorf("%.20s: want a text or a number", b)
	}
	*t = text311(b)
	return nil
}

// request311 is a service request as servers list it, and what POST and tokens answer.
type request311 struct {
	ID          text311  `json:"service_request_id,omitempty" xml:"service_request_id,omitempty"`
	Token       text311  `json:"token,omitempty" xml:"token,omitempty"`
	Status      text311  `json:"status,omitempty" xml:"status,omitempty"`
	StatusNotes text311  `json:"status_notes,omitempty" xml:"status_notes,omitempty"`
	ServiceName text311  `json:"service_name,omitempty" xml:"service_name,omitempty"`
	ServiceCode text311  `json:"service_code,omitempty" xml:"service_code,omitempty"`
	Description text311  `json:"description,omitempty" xml:"description,omitempty"`
	Notice      text311  `json:"service_notice,omitempty" xml:"service_notice,omitempty"`
	Agency      text311  `json:"agency_responsible,omitempty" xml:"agency_responsible,omitempty"`
	Requested   text311  `json:"requested_datetime,omitempty" xml:"requested_datetime,omitempty"`
	Updated     text311  `json:"updated_datetime,omitempty" xml:"updated_datetime,omitempty"`
	Expected    text311  `json:"expected_datetime,omitempty" xml:"expected_datetime,omitempty"`
	Address     text311  `json:"address,omitempty" xml:"address,omitempty"`
	AddressID   text311  `json:"address_id,omitempty" xml:"address_id,omitempty"`
	Lat         *float64 `json:"lat,omitempty" xml:"lat,omitempty"`
	Long        *float64 `json:"long,omitempty" xml:"long,omitempty"`
}

type service311 struct {
	Code        text311 `json:"service_code" xml:"service_code"`
	Name        text311 `json:"service_name" xml:"service_name"`
	Description text311 `json:"description" xml:"description"`
	Metadata    bool    `json:"metadata" xml:"metadata"`
	Type        text311 `json:"type" xml:"type"`
	Keywords    text311 `json:"keywords" xml:"keywords"`
	Group       text311 `json:"group" xml:"group"`
}

type error311 struct {
	Code        text311 `json:"code" xml:"code"`
	Description text311 `json:"description" xml:"description"`
}

type requests311 struct {
	XMLName xml.Name     `xml:"service_requests"`
	Items   []request311 `xml:"request"`
}

type services311 struct {
	XMLName xml.Name     `xml:"services"`
	Items   []service311 `xml:"service"`
}

type errors311 struct {
	XMLName xml.Name   `xml:"errors"`
	Items   []error311 `xml:"error"`
}

// write311 answers in the form asked for; list is what JSON shows, root what XML does.
func write311(w http.ResponseWriter, form string, status int, list, root any) {
	var buf bytes.Buffer
	var err error
	if form == "json" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		err = json.NewEncoder(&buf).Encode(list)
	} else {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		buf.WriteString(xml.Header)
		err = xml.NewEncoder(&buf).Encode(root)
	}
	if err != nil {
		http.Error(w, "answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	w.Write(buf.Bytes()) // the client is gone if this fails
}

func fail311(w http.ResponseWriter, form string, status int, why string) {
	e := []error311{{text311(fmt.Sprint(status)), text311(why)}}
	write311(w, form, status, e, errors311{Items: e})
}

// requests reads a list of service requests, in the form that the answer says it has.
func (r reply) requests() ([]request311, error) {
	var err error
	switch {
	case r.is("application/json", "text/json", "application/javascript"):
		var list []request311
		if err = json.Unmarshal(r.body, &list); err == nil {
			return list, nil
		}
		var one request311 // some servers leave the list out where there is one
		if json.Unmarshal(r.body, &one) == nil && (one.ID != "" || one.Token != "") {
			return []request311{one}, nil
		}
	case r.is("text/xml", "application/xml"):
		var root requests311
		if err = xml.Unmarshal(r.body, &root); err == nil {
			return root.Items, nil
		}
	default:
		err = fmt.Errorf("content type is %q: want JSON or XML", printable(r.header.Get("Content-Type"), 64))
	}
	return nil, grid.Errorf(grid.Internal, "answer cannot be read as GeoReport v2: %w", err)
}

// why is the server's word on its error, in either form.
func (r reply) why() string {
	var list []error311
	var root errors311
	if json.Unmarshal(r.body, &list) != nil || len(list) == 0 {
		if xml.Unmarshal(r.body, &root) != nil || len(root.Items) == 0 {
			return ""
		}
		list = root.Items
	}
	return printable(": "+string(list[0].Description), detailLimit)
}
