package dispatch

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/emmansun/gmsm/sm3"
)

// templateFuncs is what a connector's templates may call, beside the functions of
// text/template. None does I/O. MD5 and SHA-1 are here because platforms sign by them.
var templateFuncs = template.FuncMap{
	"json":      jsonText,
	"xml":       xmlText,
	"form":      url.QueryEscape,
	"path":      url.PathEscape,
	"plain":     plainText,
	"upper":     strings.ToUpper,
	"lower":     strings.ToLower,
	"first":     func(n int, s string) string { return first(s, n) },
	"time":      func(layout string, t time.Time) string { return t.In(beijing).Format(layout) },
	"unix":      func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
	"unixmilli": func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) },
	"when": func(is any, then string) string {
		ok, _ := template.IsTrue(is)
		return strings.Repeat(then, map[bool]int{true: 1}[ok])
	},
	"line":       func() string { return "\n" },
	"sorted":     sortedPairs,
	"hex":        func(b []byte) string { return hex.EncodeToString(b) },
	"base64":     func(b any) (string, error) { v, err := raw(b); return base64.StdEncoding.EncodeToString(v), err },
	"md5":        digest(md5.New),
	"sha1":       digest(sha1.New),
	"sha256":     digest(sha256.New),
	"sm3":        digest(sm3.New),
	"hmacmd5":    keyed(md5.New),
	"hmacsha1":   keyed(sha1.New),
	"hmacsha256": keyed(sha256.New),
	"hmacsm3":    keyed(sm3.New),
}

// beijing is the zone of the platforms' times.
var beijing = time.FixedZone("UTC+8", 8*3600)

// jsonText is a value as JSON, quotes included.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// xmlText escapes a text for XML content and attributes.
func xmlText(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// chatSigns are what chats that read markdown make links, mentions and letters of another kind of.
var chatSigns = strings.NewReplacer("[", "［", "]", "］", "<", "＜", ">", "＞", "*", "＊", "`", "｀", "://", "：//")

// plainText is a text for markdown in which nothing is to be read: the name of a building makes no
// link, and mentions nobody.
func plainText(s string) string { return chatSigns.Replace(printable(s, len(s))) }

// sortedPairs joins names and values as "a=1&b=2" in the order of the names, without empty
// values: what many platforms sign.
func sortedPairs(pairs ...string) (string, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("sorted has %d arguments: want pairs of name and value", len(pairs))
	}
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, pairs[i]+"="+pairs[i+1])
		}
	}
	slices.Sort(out)
	return strings.Join(out, "&"), nil
}

func raw(v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return []byte(v), nil
	case []byte:
		return v, nil
	}
	return nil, fmt.Errorf("%T: want a text or the result of a signature", v)
}

func digest(h func() hash.Hash) func(string) []byte {
	return func(s string) []byte {
		d := h()
		d.Write([]byte(s))
		return d.Sum(nil)
	}
}

func keyed(h func() hash.Hash) func(key, s string) []byte {
	return func(key, s string) []byte {
		d := hmac.New(h, []byte(key))
		d.Write([]byte(s))
		return d.Sum(nil)
	}
}
