package evidence_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	jpegs "image/jpeg"
	"image/png"
	"testing"

	"gridgate/internal/evidence"
	"gridgate/internal/grid"
)

const hidden = "31.2165N 121.4036E by phone 7"

func picture() image.Image {
	m := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for x := range 64 {
		for y := range 48 {
			m.Set(x, y, color.RGBA{uint8(4 * x), uint8(5 * y), uint8(x * y), 255})
		}
	}
	return m
}

// exif is a segment that says the way up and hides something behind it.
func exif(way byte) []byte {
	body := []byte("Exif\x00\x00II\x2a\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00")
	body = append(body, way, 0, 0, 0, 0, 0, 0, 0)
	body = append(body, hidden...)
	return segment(0xe1, body)
}

func segment(kind byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte{0xff, kind}, uint16(len(body)+2))
	return append(out, body...)
}

func aJPEG(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpegs.Encode(&b, picture(), &jpegs.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAPhotoIsKeptWithoutWhereItWasTaken(t *testing.T) {
	plain := aJPEG(t)
	full := append([]byte{0xff, 0xd8}, exif(6)...)
	full = append(full, segment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00"+hidden))...)
	full = append(full, segment(0xfe, []byte(hidden))...)
	full = append(full, segment(0xe2, []byte("MPF\x00"+hidden))...)
	full = append(full, plain[2:]...)
	full = append(full, hidden...) // a film behind the picture
	out, err := evidence.Clean(full)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("31.2165")) || bytes.Contains(out, []byte("phone")) {
		t.Error("it still says where it was taken")
	}
	if !bytes.Contains(out, []byte("\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06")) {
		t.Error("the way up is lost")
	}
	same(t, plain, out, jpegOf)
	again, err := evidence.Clean(out)
	if err != nil || !bytes.Equal(again, out) {
		t.Error("a clean photo is changed again: ", err)
	}
}

func jpegOf(b []byte) (image.Image, error) { return jpegs.Decode(bytes.NewReader(b)) }
func pngOf(b []byte) (image.Image, error)  { return png.Decode(bytes.NewReader(b)) }

func same(t *testing.T, want, got []byte, decode func([]byte) (image.Image, error)) {
	t.Helper()
	a, err := decode(want)
	if err != nil {
		t.Fatal(err)
	}
	b, err := decode(got)
	if err != nil {
		t.Fatal("the clean picture cannot be read: ", err)
	}
	for x := range a.Bounds().Dx() {
		for y := range a.Bounds().Dy() {
			if a.At(x, y) != b.At(x, y) {
				t.Fatalf("the picture itself has changed at %d, %d", x, y)
			}
		}
	}
}

func TestAPNGIsKeptWithoutItsTexts(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, picture()); err != nil {
		t.Fatal(err)
	}
	chunk := func(name, body string) []byte {
		out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
		out = append(out, name+body...)
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte(name+body)))
	}
	plain, header := b.Bytes(), 8+25
	full := append(append([]byte{}, plain[:header]...), chunk("tEXt", "Comment\x00"+hidden)...)
	full = append(full, chunk("eXIf", hidden)...)
	full = append(full, plain[header:]...)
	out, err := evidence.Clean(append(full, hidden...))
	if err != nil || bytes.Contains(out, []byte("phone")) {
		t.Errorf("%v: want it without its texts", err)
	}
	same(t, plain, out, pngOf)
}

func TestAWebPIsKeptWithoutItsMetadata(t *testing.T) {
	chunk := func(name, body string) string {
		out := name + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
		if len(body)%2 == 1 {
			out += "\x00"
		}
		return out
	}
	body := "WEBP" + chunk("VP8X", "\x0c\x00\x00\x00\x3f\x00\x00\x2f\x00\x00") + chunk("VP8 ", "the picture itself") + chunk("EXIF", hidden) + chunk("XMP ", hidden)
	out, err := evidence.Clean([]byte("RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body))
	if err != nil || bytes.Contains(out, []byte("phone")) || !bytes.Contains(out, []byte("the picture itself")) {
		t.Fatalf("%v, %q", err, out)
	}
	if int(binary.LittleEndian.Uint32(out[4:])) != len(out)-8 || out[20] != 0 {
		t.Errorf("the header still speaks of what is gone: %q", out[:32])
	}
}

func TestWhatIsNoWholePhotoIsRefused(t *testing.T) {
	whole := aJPEG(t)
	for name, b := range map[string][]byte{
		"nothing": nil, "a PDF": []byte("%PDF-1.7\n"), "HEIC": []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"),
		"half a JPEG": whole[:len(whole)/2], "a beginning": whole[:20], "a PNG without end": []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"),
	} {
		if _, err := evidence.Clean(b); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s: %v: want invalid", name, err)
		}
	}
}

func FuzzClean(f *testing.F) {
	var b bytes.Buffer
	if err := jpegs.Encode(&b, picture(), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("RIFF\x10\x00\x00\x00WEBPVP8X\xff\xff\xff\xff"))
	f.Add([]byte("\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := evidence.Clean(b)
		if err == nil && len(out) > len(b)+64 {
			t.Errorf("%d bytes have become %d", len(b), len(out))
		}
	})
}
