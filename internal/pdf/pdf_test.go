package pdf_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"gridgate/internal/pdf"
)

var made = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func draw(t *testing.T, font *pdf.Font) []byte {
	t.Helper()
	d := pdf.New(pdf.Options{Title: "点位记录 Point record", Lang: "zh-CN", Font: font, At: made})
	d.Page(pdf.A4Width, pdf.A4Height)
	d.Bold(20, 25, 8, "安装检查记录 Commissioning record")
	y := d.Wrap(20, 40, 80, 5, "愚园路 168 号 3 幢 2 层楼道，烟感（光电式）。The detector was pressed twice, and the first frame arrived after 4 s; 信号 −97 dBm。")
	d.Line(20, y, 190, y, 0.3)
	d.Rect(20, y+5, 60, 40, 0.4)
	if err := d.Image(20, y+5, 60, 40, photo(t, 6)); err != nil {
		t.Fatal(err)
	}
	d.QR(120, 60, 40, "GW1:P:ZS-00168/烟感")
	d.Page(50, 30)
	d.QR(1, 1, 28, "LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122")
	d.Text(30, 8, 3, "门磁 M-01")
	out, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// photo is taken with the camera held so, green at the side that was up.
func photo(t *testing.T, turn uint16) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 1600, 900))
	for x := range 1600 {
		for y := range 900 {
			img.Set(x, y, color.RGBA{200, 60, 60, 255})
			if x < 400 { // the left of the file is the top of what was seen, if turned by 6
				img.Set(x, y, color.RGBA{20, 160, 60, 255})
			}
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	tiff := binary.BigEndian.AppendUint16([]byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"), turn)
	tiff = append(tiff, 0, 0, 0, 0, 0, 0)
	body := append([]byte("Exif\x00\x00"), tiff...)
	head := binary.BigEndian.AppendUint16([]byte{0xFF, 0xD8, 0xFF, 0xE1}, uint16(len(body)+2))
	return slices.Concat(head, body, b.Bytes()[2:])
}

// render is what poppler makes of the page.
func render(t *testing.T, file []byte, page string) image.Image {
	t.Helper()
	tool(t, "pdftoppm")
	dir := t.TempDir()
	if keep := os.Getenv("GRIDGATE_KEEP"); keep != "" { // to look at
		dir = filepath.Join(keep, strings.ReplaceAll(t.Name(), "/", "_"))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "it.pdf")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "page"+page)
	out, err := exec.CommandContext(t.Context(), "pdftoppm", "-r", "150", "-png", "-singlefile", "-f", page, "-l", page, name, to).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("pdftoppm: %v %s", err, out)
	}
	b, err := os.ReadFile(to + ".png")
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

func anyFont(t *testing.T) *pdf.Font {
	t.Helper()
	font, err := pdf.FindFont("")
	if err != nil {
		t.Fatal(err)
	}
	if font == nil {
		t.Skip("no Chinese font on this system")
	}
	return font
}

func TestChineseAndLatinAreDrawnAndCanBeCopied(t *testing.T) {
	for name, font := range map[string]func(*testing.T) *pdf.Font{"font of the reader": func(*testing.T) *pdf.Font { return nil }, "own font": anyFont} {
		t.Run(name, func(t *testing.T) {
			file := draw(t, font(t))
			page := render(t, file, "1")
			// The line of the heading, 20 mm to 190 mm: its Chinese part and its Latin part hold ink.
			for _, part := range []image.Rectangle{image.Rect(118, 105, 390, 155), image.Rect(400, 105, 800, 155)} {
				if ink := inked(page, part); ink < 0.05 || ink > 0.6 {
					t.Errorf("in %v %.3f is ink: want letters", part, ink)
				}
			}
			tool(t, "pdftotext")
			cmd := exec.CommandContext(t.Context(), "pdftotext", "-f", "1", "-l", "1", "-", "-")
			cmd.Stdin = bytes.NewReader(file)
			text, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"安装检查记录", "Commissioning record", "愚园路 168 号", "（光电式）"} {
				if !strings.Contains(string(text), want) {
					t.Errorf("the page's text has no %q:\n%s", want, text)
				}
			}
		})
	}
}

func TestACodeIsReadBackFromThePage(t *testing.T) {
	file := draw(t, nil)
	for page, want := range map[string]string{"1": "GW1:P:ZS-00168/烟感", "2": "LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122"} {
		bitmap, err := gozxing.NewBinaryBitmapFromImage(render(t, file, page))
		if err != nil {
			t.Fatal(err)
		}
		got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil {
			t.Fatalf("page %s: %v", page, err)
		}
		if got.GetText() != want {
			t.Errorf("page %s reads %q: want %q", page, got.GetText(), want)
		}
	}
}

func TestAPhotoStandsTheWayUpItWasTaken(t *testing.T) {
	d := pdf.New(pdf.Options{})
	d.Page(60, 60)
	if err := d.Image(0, 0, 60, 60, photo(t, 6)); err != nil {
		t.Fatal(err)
	}
	file, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	page := render(t, file, "1")
	mid := page.Bounds().Dx() / 2
	if r, g, _, _ := page.At(mid, page.Bounds().Dy()/10).RGBA(); g <= r {
		t.Error("the side that was up is not up")
	}
	if r, g, _, _ := page.At(mid, page.Bounds().Dy()*9/10).RGBA(); g >= r {
		t.Error("the side that was up is also down")
	}
	if r, g, b, _ := page.At(2, 2).RGBA(); r+g+b < 3*0xF000 {
		t.Error("the picture is drawn wider than it was")
	}
	if bytes.Contains(file, []byte("Exif")) {
		t.Error("what else the file told went into the document")
	}
}

func TestWhatIsNoPictureIsRefused(t *testing.T) {
	d := pdf.New(pdf.Options{})
	d.Page(60, 60)
	huge := image.NewGray(image.Rect(0, 0, 1, 1))
	var b bytes.Buffer
	if err := png.Encode(&b, huge); err != nil {
		t.Fatal(err)
	}
	lie := b.Bytes()
	binary.BigEndian.PutUint32(lie[16:], 60000) // says 60,000 by 60,000; the header's sum is not checked first by all readers
	binary.BigEndian.PutUint32(lie[20:], 60000)
	for _, file := range [][]byte{nil, []byte("no picture"), lie} {
		if err := d.Image(0, 0, 10, 10, file); err == nil {
			t.Errorf("%.10q was drawn", file)
		}
	}
	if _, err := d.Bytes(); err != nil {
		t.Errorf("a picture that is refused spoils the document: %v", err)
	}
}

func TestTheSameCallsGiveTheSameBytes(t *testing.T) {
	if !bytes.Equal(draw(t, nil), draw(t, nil)) {
		t.Error("two documents differ")
	}
	if font := anyFont(t); !bytes.Equal(draw(t, font), draw(t, font)) {
		t.Error("two documents with a font differ")
	}
}

func TestLinesBreakWhereTheyMay(t *testing.T) {
	d := pdf.New(pdf.Options{})
	for _, c := range []struct {
		width float64
		in    string
		want  []string
	}{
		{10, "门磁已安装，可以使用。", []string{"门磁已安装，可以使", "用。"}},
		{6, "门磁已安装好，可用", []string{"门磁已安装", "好，可用"}}, // no line begins with a comma
		{5, "first frame came", []string{"first frame", "came"}},
		{3, "unbreakable", []string{"unbre", "akable"}},
		{50, "one\n\ntwo", []string{"one", "", "two"}},
	} {
		if got := d.Lines(c.width, 1.0, c.in); !slices.Equal(got, c.want) {
			// the widths of Latin are Helvetica's
			t.Errorf("%q in %v: %q, want %q", c.in, c.width, got, c.want)
		}
	}
	if got := d.Fit(4, 1, "愚园路门磁"); d.Width(1, got) > 4 || !strings.HasSuffix(got, "…") {
		t.Errorf("fitted to %q", got)
	}
}

func TestDrawingBeforeThePageIsAnError(t *testing.T) {
	d := pdf.New(pdf.Options{})
	d.Text(1, 1, 1, "x")
	if _, err := d.Bytes(); err == nil {
		t.Error("want an error")
	}
}

func inked(img image.Image, in image.Rectangle) float64 {
	dark := 0
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			if color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y < 128 {
				dark++
			}
		}
	}
	return float64(dark) / float64(in.Dx()*in.Dy())
}
