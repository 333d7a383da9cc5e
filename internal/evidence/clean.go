package evidence

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"

	"gridgate/internal/grid"
)

// Clean gives a photo without its metadata: where it was taken, with what, when, and small
// copies of it. The picture itself is not touched: parts of the file are left out, nothing is
// encoded anew. Of a JPEG the way up stays, and the colour profile. What is neither JPEG, PNG
// nor WebP is refused, as nothing here could say what is in it.
func Clean(b []byte) ([]byte, error) {
	var out []byte
	switch typ := http.DetectContentType(b); typ {
	case "image/jpeg":
		out = cleanJPEG(b)
	case "image/png":
		out = cleanPNG(b)
	case "image/webp":
		out = cleanWebP(b)
	default:
		if typ = mediaType(b); len(b) == 0 {
			typ = "empty"
		}
		return nil, grid.Errorf(grid.Invalid, "photo is %s by its content: want JPEG, PNG or WebP", typ)
	}
	if out == nil {
		return nil, grid.Errorf(grid.Invalid, "photo is broken: want a whole JPEG, PNG or WebP")
	}
	return out, nil
}

const (
	jpegSOI, jpegEOI, jpegSOS = 0xd8, 0xd9, 0xda
	jpegAPP0, jpegAPP1        = 0xe0, 0xe1
	jpegAPP2, jpegAPP14       = 0xe2, 0xee
	jpegAPP15, jpegCOM        = 0xef, 0xfe
)

// cleanJPEG copies the segments that make the picture; nil: it is no whole JPEG.
func cleanJPEG(b []byte) []byte {
	out := []byte{0xff, jpegSOI}
	if way := orientation(b); way > 1 {
		out = append(out, turned(way)...)
	}
	for i := 2; ; {
		for i < len(b) && b[i] == 0xff && i+1 < len(b) && b[i+1] == 0xff {
			i++ // fill bytes
		}
		if i+1 >= len(b) || b[i] != 0xff {
			return nil
		}
		kind := b[i+1]
		if kind == jpegEOI {
			return append(out, 0xff, jpegEOI) // what comes behind it is no picture
		}
		if i+4 > len(b) {
			return nil
		}
		n := 2 + int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 4 || i+n > len(b) {
			return nil
		}
		segment := b[i : i+n]
		if i += n; keepsJPEG(kind, segment[4:]) {
			out = append(out, segment...)
		}
		if kind == jpegSOS {
			end := endOfScan(b, i)
			if end < 0 {
				return nil
			}
			out, i = append(out, b[i:end]...), end
		}
	}
}

func keepsJPEG(kind byte, body []byte) bool {
	switch {
	case kind == jpegAPP0:
		return bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) >= 14 && body[12] == 0 && body[13] == 0 // without a small copy
	case kind == jpegAPP2:
		return bytes.HasPrefix(body, []byte("ICC_PROFILE\x00"))
	case kind == jpegAPP14:
		return bytes.HasPrefix(body, []byte("Adobe"))
	}
	return kind != jpegCOM && (kind < jpegAPP1 || kind > jpegAPP15)
}

// endOfScan is where the data of a scan ends: at the next marker that is no restart.
func endOfScan(b []byte, i int) int {
	for ; i+1 < len(b); i++ {
		if b[i] == 0xff && b[i+1] != 0 && b[i+1] != 0xff && (b[i+1] < 0xd0 || b[i+1] > 0xd7) {
			return i
		}
	}
	return -1
}

// orientation is the way up that the metadata of a JPEG tells: 1 to 8, 0: not said.
func orientation(b []byte) int {
	for i := 2; i+4 <= len(b) && b[i] == 0xff && b[i+1] != jpegSOS; {
		n := 2 + int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 4 || i+n > len(b) {
			return 0
		}
		if body := b[i+4 : i+n]; b[i+1] == jpegAPP1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return wayUp(body[6:])
		}
		i += n
	}
	return 0
}

// wayUp reads the orientation out of a TIFF directory.
func wayUp(t []byte) int {
	if len(t) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if t[0] == 'M' {
		order = binary.BigEndian
	}
	at := int(order.Uint32(t[4:]))
	if at < 8 || at+2 > len(t) {
		return 0
	}
	for n, i := int(order.Uint16(t[at:])), at+2; n > 0 && i+12 <= len(t); n, i = n-1, i+12 {
		if order.Uint16(t[i:]) == 0x0112 {
			if v := int(order.Uint16(t[i+8:])); v >= 1 && v <= 8 {
				return v
			}
		}
	}
	return 0
}

// turned is a segment that says the way up and nothing else.
func turned(way int) []byte {
	body := append([]byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), byte(way), 0, 0, 0, 0, 0, 0)
	return append([]byte{0xff, jpegAPP1, 0, byte(len(body) + 2)}, body...)
}

// chunksPNG are those that make the picture.
var chunksPNG = []string{"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "sBIT", "bKGD", "pHYs", "acTL", "fcTL", "fdAT"}

func cleanPNG(b []byte) []byte {
	const head = 8
	if len(b) < head {
		return nil
	}
	out := slices.Clone(b[:head])
	for i := head; i+12 <= len(b); {
		n := 12 + int64(binary.BigEndian.Uint32(b[i:]))
		if int64(i)+n > int64(len(b)) {
			return nil
		}
		chunk := b[i : i+int(n)]
		name := string(chunk[4:8])
		if slices.Contains(chunksPNG, name) {
			out = append(out, chunk...)
		}
		if name == "IEND" {
			return out
		}
		i += int(n)
	}
	return nil
}

// cleanWebP leaves out the chunks EXIF and XMP and what else is no picture, and says so in the header.
func cleanWebP(b []byte) []byte {
	if len(b) < 12 {
		return nil
	}
	end := min(len(b), 8+int(binary.LittleEndian.Uint32(b[4:])))
	out := slices.Clone(b[:12])
	pictures := 0
	for i := 12; i+8 <= end; {
		n := 8 + int64(binary.LittleEndian.Uint32(b[i+4:]))
		n += n & 1
		if int64(i)+n > int64(end) {
			return nil
		}
		chunk := slices.Clone(b[i : i+int(n)])
		switch string(chunk[:4]) {
		case "VP8X":
			if len(chunk) < 9 {
				return nil
			}
			chunk[8] &^= 0x08 | 0x04 // Exif, XMP
			out = append(out, chunk...)
		case "VP8 ", "VP8L", "ANIM", "ANMF", "ALPH", "ICCP":
			pictures++
			out = append(out, chunk...)
		}
		i += int(n)
	}
	if pictures == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}
