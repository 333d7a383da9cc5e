/** The longer side of a picture that is sent. */
const longest = 1600

/**
 * scaled draws a picture anew: smaller, upright, and without what the camera wrote beside
 * it (position, device, time).
 */
export async function scaled(picture: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(picture, { imageOrientation: 'from-image' })
  const by = Math.min(1, longest / Math.max(bitmap.width, bitmap.height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.max(1, Math.round(bitmap.width * by))
  canvas.height = Math.max(1, Math.round(bitmap.height * by))
  canvas.getContext('2d')!.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
  bitmap.close()
  return new Promise((good, bad) => {
    canvas.toBlob((b) => (b ? good(b) : bad(new Error('the picture cannot be written'))), 'image/jpeg', 0.82)
  })
}
