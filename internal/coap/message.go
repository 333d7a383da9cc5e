package coap

import (
	"fmt"
	"hash/maphash"
	"net/url"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

const (
	requestTag = message.OptionID(292) // RFC 9175: tells two uploads to one path apart
	badBlock   = 7                     // the block size exponent that means several blocks of 1024, TCP alone
)

// formats are the content formats that profiles can read.
var formats = [...]uint16{
	uint16(message.TextPlain), uint16(message.AppOctets), uint16(message.AppJSON), uint16(message.AppCBOR),
	uint16(message.AppSenmlJSON), uint16(message.AppSenmlCbor), uint16(message.AppLwm2mTLV), uint16(message.AppLwm2mJSON),
}

// request is what of a message concerns us.
type request struct {
	code       codes.Code
	path       []string
	query      []string
	format     uint16
	hasFormat  bool
	block      block
	hasBlock   bool
	size       uint32 // of the whole upload, as the peer says
	tag        string
	noResponse uint32 // classes of answers that the peer does not want
	payload    []byte
}

// block is the Block1 option.
type block struct {
	number uint32
	more   bool
	szx    uint8
}

func readBlock(v uint32) block {
	return block{number: v >> 4, more: v&8 != 0, szx: uint8(v & 7)}
}

func (b block) value() uint32 {
	v := b.number<<4 | uint32(b.szx)
	if b.more {
		v |= 8
	}
	return v
}

// size is the length of a block, and offset where it begins.
func (b block) size() int   { return 1 << (min(b.szx, 6) + 4) }
func (b block) offset() int { return int(b.number) * b.size() }

// reply is an answer.
type reply struct {
	code     codes.Code
	text     string // a diagnostic, or content
	format   int    // of text; -1: a diagnostic has none
	maxAge   uint32 // seconds; 0: not said
	size     uint32 // Size1: the most we take; 0: not said
	block    block
	hasBlock bool
	location []string // of what was made
}

func refuse(code codes.Code, format string, args ...any) *reply {
	return &reply{code: code, text: fmt.Sprintf(format, args...), format: -1}
}

// lasting reports whether a repeated message gets this answer again without being looked
// at: what is done is done, but what was refused may be taken the next time.
func (r *reply) lasting() bool {
	return r.code < codes.BadRequest || r.code == codes.RequestEntityTooLarge
}

// readRequest takes the options apart. With a reply the request cannot be served.
func readRequest(code codes.Code, options message.Options, payload []byte) (request, *reply) {
	r := request{code: code, payload: payload}
	for _, o := range options {
		if bad := r.option(o); bad != nil {
			return r, bad
		}
	}
	return r, nil
}

func (r *request) option(o message.Option) *reply {
	number := func() uint32 {
		v, _, err := message.DecodeUint32(o.Value)
		if err != nil {
			return 0
		}
		return v
	}
	switch o.ID {
	case message.URIPath:
		r.path = append(r.path, string(o.Value))
	case message.URIQuery:
		r.query = append(r.query, string(o.Value))
	case message.ContentFormat:
		r.format, r.hasFormat = uint16(number()), true
	case message.Block1:
		r.block, r.hasBlock = readBlock(number()), true
	case message.Size1:
		r.size = number()
	case requestTag:
		r.tag = string(o.Value)
	case message.NoResponse:
		r.noResponse = number()
	case message.URIHost, message.URIPort, message.Accept, message.Block2:
	case message.ProxyURI, message.ProxyScheme:
		return refuse(codes.ProxyingNotSupported, "no proxy here")
	default:
		if o.ID%2 == 1 { // critical: who does not understand it must not go on
			return refuse(codes.BadOption, "option %d is not understood", o.ID)
		}
	}
	return nil
}

// address is where the frame came from, in the form that package envelope reads.
func (r *request) address() (string, *reply) {
	if len(r.path) < 2 || len(r.path) > 3 || r.path[1] == "" {
		return "", refuse(codes.NotFound, "want /up/<identity>")
	}
	if r.hasFormat && !known(r.format) {
		return "", refuse(codes.UnsupportedMediaType, "content format is %d: want one of %v", r.format, formats)
	}
	var b strings.Builder
	b.WriteString("/up/" + url.PathEscape(r.path[1]))
	if len(r.path) == 3 {
		b.WriteString("/" + url.PathEscape(r.path[2]))
	}
	port, path, bad := r.queries()
	if bad != nil {
		return "", bad
	}
	sep := byte('?')
	add := func(key, value string) {
		if value != "" {
			b.WriteByte(sep)
			b.WriteString(key + "=" + url.QueryEscape(value))
			sep = '&'
		}
	}
	add("port", port)
	if r.hasFormat {
		add("ct", fmt.Sprint(r.format))
	}
	add("path", path)
	return b.String(), nil
}

func (r *request) queries() (port, path string, bad *reply) {
	for _, q := range r.query {
		key, value, _ := strings.Cut(q, "=")
		switch key {
		case "port":
			port = value
		case "path":
			path = value
		case "ct":
			return "", "", refuse(codes.BadRequest, "query has ct: want the option Content-Format")
		default:
			return "", "", refuse(codes.BadRequest, "query has %.32q: want port or path", key)
		}
	}
	return port, path, nil
}

func known(format uint16) bool {
	for _, f := range formats {
		if f == format {
			return true
		}
	}
	return false
}

// hash tells a repeated message from another one that uses its id again, as a device does
// that restarts: the first must not be stored twice, the second must not be thrown away.
func (r *request) hash(seed maphash.Seed, token []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	put := func(b []byte) {
		_, _ = h.Write([]byte{byte(len(b)), byte(len(b) >> 8)})
		_, _ = h.Write(b)
	}
	put(token)
	put([]byte{byte(r.code), byte(r.format), byte(r.format >> 8)})
	put([]byte(fmt.Sprint(r.block, r.hasBlock, r.hasFormat)))
	for _, p := range r.path {
		put([]byte(p))
	}
	for _, q := range r.query {
		put([]byte(q))
	}
	put([]byte(r.tag))
	put(r.payload)
	return h.Sum64()
}
