package coap

import (
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// upload is a payload that comes in blocks (RFC 7959, Block1).
type upload struct {
	data []byte
	last time.Time // when a block came
}

// uploadKey tells the uploads of one peer apart: by what is asked and not by the token,
// which may change with each block.
func (r *request) uploadKey() string {
	return strings.Join(append(append([]string{r.code.String(), r.tag}, r.path...), r.query...), "\x00")
}

// blockCost is what a block of an upload that was let in takes of a peer's rate: 64 KiB in
// blocks of 16 bytes are 4,096 messages.
const blockCost = 0.01

// continues reports whether r is the next block of an upload.
func (p *peer) continues(r *request) bool {
	if !r.hasBlock || r.block.number == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.uploads[r.uploadKey()]
	return u != nil && r.block.offset() == len(u.data)
}

// assemble takes in a block. With a reply the payload is not whole yet, or cannot be;
// otherwise it is in r.
func (t *Transport) assemble(p *peer, r *request, now time.Time) *reply {
	b := r.block
	if b.szx == badBlock && !p.stream {
		return refuse(codes.BadRequest, "block size exponent is 7: want 0 to 6")
	}
	if b.more && (len(r.payload) == 0 || len(r.payload)%b.size() != 0 || b.szx != badBlock && len(r.payload) != b.size()) {
		return refuse(codes.BadRequest, "block has %d bytes: want %d", len(r.payload), b.size())
	}
	if b.number == 0 && !b.more && len(r.payload) <= t.cfg.MaxPayload {
		return nil
	}
	key := r.uploadKey()
	p.mu.Lock()
	defer p.mu.Unlock()
	t.expireUploads(p, now)
	u := p.uploads[key]
	if whole := max(int(r.size), b.offset()+len(r.payload)); whole > t.cfg.MaxPayload {
		if u != nil {
			r.payload = u.data // its beginning is what a person wants to see
		}
		t.dropUpload(p, key)
		return t.tooLarge(whole)
	}
	if t.uploading.Load()+int64(len(r.payload)) > int64(t.cfg.UploadBytes) {
		t.dropUpload(p, key)
		return t.later("too many unfinished uploads")
	}
	if b.number == 0 {
		t.dropUpload(p, key)
		if len(p.uploads) >= t.cfg.UploadsOfPeer {
			return t.later("too many unfinished uploads of yours")
		}
		u = &upload{}
		if p.uploads == nil {
			p.uploads = make(map[string]*upload)
		}
		p.uploads[key] = u
	}
	if u == nil || b.offset() != len(u.data) {
		return refuse(codes.RequestEntityIncomplete, "block %d does not follow: begin again with block 0", b.number)
	}
	u.data, u.last = append(u.data, r.payload...), now
	t.uploading.Add(int64(len(r.payload)))
	if b.more {
		return &reply{code: codes.Continue, format: -1, block: b, hasBlock: true}
	}
	r.payload = u.data
	t.dropUpload(p, key)
	return nil
}

// dropUpload and expireUploads want p.mu.
func (t *Transport) dropUpload(p *peer, key string) {
	if u := p.uploads[key]; u != nil {
		t.uploading.Add(-int64(len(u.data)))
		delete(p.uploads, key)
	}
}

func (t *Transport) expireUploads(p *peer, now time.Time) {
	for key, u := range p.uploads {
		if now.Sub(u.last) > t.cfg.BlockTimeout {
			t.dropUpload(p, key)
		}
	}
}

func (t *Transport) tooLarge(n int) *reply {
	r := refuse(codes.RequestEntityTooLarge, "payload has %d bytes: want at most %d", n, t.cfg.MaxPayload)
	r.size = uint32(t.cfg.MaxPayload)
	return r
}

// later asks the peer to come back.
func (t *Transport) later(why string) *reply {
	r := refuse(codes.ServiceUnavailable, "%s", why)
	r.maxAge = uint32(t.cfg.RetryAfter.Seconds())
	return r
}
