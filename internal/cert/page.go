package cert

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"net/http"
	"strings"
)

//go:embed page.html
var pageText string

// Pages are how people get the authority's certificate, by pattern: a page in Chinese and
// English, the certificate, and a profile for Apple's devices. They are served without a
// token and without TLS too, as who needs them has no trust yet; nothing secret is in them,
// and the page says with what to compare. root reads the certificate; it may fail.
func Pages(root func() (*x509.Certificate, error)) map[string]http.Handler {
	text := template.Must(template.New("ca").Parse(pageText))
	with := func(kind, file string, write func(c *x509.Certificate) ([]byte, error)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, err := root()
			if err != nil {
				http.Error(w, "no local authority\n没有本地证书机构", http.StatusNotFound)
				return
			}
			b, err := write(c)
			if err != nil {
				http.Error(w, "the page cannot be made", http.StatusInternalServerError)
				return
			}
			h := w.Header()
			h.Set("Content-Type", kind)
			h.Set("Cache-Control", "no-store")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
			h.Set("Referrer-Policy", "no-referrer")
			if file != "" {
				h.Set("Content-Disposition", `attachment; filename="`+file+`"`)
			}
			_, _ = w.Write(b)
		})
	}
	return map[string]http.Handler{
		"GET /ca": with("text/html; charset=utf-8", "", func(c *x509.Certificate) ([]byte, error) { return page(text, c) }),
		"GET /ca/gridgate-ca.crt": with("application/x-x509-ca-cert", "gridgate-ca.crt", func(c *x509.Certificate) ([]byte, error) {
			return c.Raw, nil
		}),
		"GET /ca/gridgate-ca.mobileconfig": with("application/x-apple-aspen-config", "gridgate-ca.mobileconfig", func(c *x509.Certificate) ([]byte, error) {
			return profile(c), nil
		}),
	}
}

func page(text *template.Template, c *x509.Certificate) ([]byte, error) {
	var out bytes.Buffer
	a := Authority{Cert: c}
	err := text.Execute(&out, map[string]string{
		"Name": c.Subject.CommonName, "Ends": c.NotAfter.UTC().Format("2006-01-02"), "Permits": strings.Join(a.Permits(), ", "),
		"SHA256": Fingerprint(c), "SHA1": Thumbprint(c),
	})
	return out.Bytes(), err
}

// profile is a configuration profile of Apple's with one payload, the certificate. Its ids
// come of the certificate, so that installing it again replaces it.
func profile(c *x509.Certificate) []byte {
	sum := sha256.Sum256(c.Raw)
	id := func(n int) string {
		b := sum[n : n+16]
		return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
	}
	name := html.EscapeString(c.Subject.CommonName)
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadContent</key><array><dict>
<key>PayloadCertificateFileName</key><string>gridgate-ca.crt</string>
<key>PayloadContent</key><data>%s</data>
<key>PayloadDisplayName</key><string>%s</string>
<key>PayloadIdentifier</key><string>gridgate.ca.certificate.%s</string>
<key>PayloadType</key><string>com.apple.security.root</string>
<key>PayloadUUID</key><string>%s</string>
<key>PayloadVersion</key><integer>1</integer>
</dict></array>
<key>PayloadDisplayName</key><string>%s</string>
<key>PayloadIdentifier</key><string>gridgate.ca.%s</string>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadUUID</key><string>%s</string>
<key>PayloadVersion</key><integer>1</integer>
</dict></plist>
`, base64.StdEncoding.EncodeToString(c.Raw), name, id(0), id(0), name, id(16), id(16))
}
