package label_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/image/draw"

	"gridgate/internal/grid"
	"gridgate/internal/label"
	"gridgate/internal/pdf"
)

func stickers(n int) []label.Sticker {
	kinds := []grid.Kind{grid.Smoke, grid.Door, grid.Manhole, grid.Parking}
	all := make([]label.Sticker, n)
	for i := range all {
		if i%2 == 0 {
			point := fmt.Sprintf("zs-%05d", i)
			all[i] = label.Sticker{Code: grid.Secret(label.PlateCode(point)), Kind: label.KindWords(kinds[i/2%4]), Name: "愚园路 168 号 3 幢 2 层楼道东侧烟感探测器", Note: "网格 310105006001001"}
		} else {
			id := grid.Identity(fmt.Sprintf("eui:24e124136d%06x", i))
			all[i] = label.Sticker{Code: grid.Secret(label.DeviceCode(id, label.NewToken())), Kind: label.DeviceWords(true), Name: string(id), Note: "milesight/ws301"}
		}
	}
	return all
}

// pages renders a document with poppler.
func pages(t *testing.T, file []byte, dpi string) []image.Image {
	t.Helper()
	if _, err := exec.LookPath("pdftoppm"); err != nil {
		t.Skip("pdftoppm is not installed")
	}
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
	if out, err := exec.CommandContext(t.Context(), "pdftoppm", "-r", dpi, "-png", name, filepath.Join(dir, "p")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("pdftoppm: %v %s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "p*.png"))
	if err != nil {
		t.Fatal(err)
	}
	var out []image.Image
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, img)
	}
	return out
}

// scan reads the one QR code of a part of a page, as a camera does that comes nearer until it
// has it: this reader alone fails on a few codes in a hundred at one given size.
func scan(t *testing.T, page image.Image, part image.Rectangle) string {
	t.Helper()
	var err error
	for _, times := range []int{2, 3, 1, 4, 5} {
		cut := image.NewRGBA(image.Rect(0, 0, times*part.Dx(), times*part.Dy()))
		draw.CatmullRom.Scale(cut, cut.Bounds(), page, part, draw.Src, nil)
		for _, binarizer := range []gozxing.Binarizer{
			gozxing.NewHybridBinarizer(gozxing.NewLuminanceSourceFromImage(cut)), gozxing.NewGlobalHistgramBinarizer(gozxing.NewLuminanceSourceFromImage(cut)),
		} {
			var bitmap *gozxing.BinaryBitmap
			if bitmap, err = gozxing.NewBinaryBitmap(binarizer); err != nil {
				t.Fatal(err)
			}
			var got *gozxing.Result
			if got, err = qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}); err == nil {
				return got.GetText()
			}
		}
	}
	t.Fatalf("at %v: %v", part.Min, err)
	return ""
}

func TestLabelsThatArePrintedAreReadBack(t *testing.T) {
	font, err := pdf.FindFont("")
	if err != nil {
		t.Fatal(err)
	}
	r := reader(t)
	for _, lang := range []string{"zh-CN", "en"} {
		all := stickers(26)
		for layout, wants := range map[label.Layout]int{label.A4: 2, label.Roll: 26} {
			t.Run(lang+" "+string(layout), func(t *testing.T) {
				file, err := label.Sheet(font, layout, lang, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), all)
				if err != nil {
					t.Fatal(err)
				}
				sheets := pages(t, file, "203") // what a label printer has
				if len(sheets) != wants {
					t.Fatalf("%d pages: want %d", len(sheets), wants)
				}
				for i := range all {
					page, part := sheets[min(i, len(sheets)-1)], sheets[0].Bounds()
					if layout == label.A4 {
						page = sheets[i/24]
						w, h := page.Bounds().Dx()/3, page.Bounds().Dy()/8
						part = image.Rect(0, 0, w, h).Add(image.Pt(i%24%3*w, i%24/3*h))
					}
					got := scan(t, page, part)
					if got != string(all[i].Code) {
						t.Fatalf("label %d is read as another code", i)
					}
					if c := r.Read(got); c.Kind != label.Point && (c.Kind != label.GW1 || !c.Secret) {
						t.Errorf("label %d is of kind %s", i, c.Kind)
					}
				}
			})
		}
	}
}

func TestTooManyLabelsAreRefused(t *testing.T) {
	for _, all := range [][]label.Sticker{nil, make([]label.Sticker, label.MaxStickers+1)} {
		if _, err := label.Sheet(nil, label.A4, "en", time.Time{}, all); err == nil {
			t.Errorf("%d labels were printed", len(all))
		}
	}
	if _, err := label.Sheet(nil, "a5", "en", time.Time{}, stickers(1)); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a layout that nobody knows: %v", err)
	}
}
