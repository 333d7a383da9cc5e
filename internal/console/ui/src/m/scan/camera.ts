// The live camera: frames to a detector until a code is sure, a torch where the phone offers one.
import { doubt, type Detector, type Found } from './detector'

export type CameraTrouble = 'denied' | 'none' | 'busy' | 'insecure'

/** Why there is no picture, in a word that the dictionary knows. */
export function trouble(err: unknown): CameraTrouble {
  const name = err instanceof Error || err instanceof DOMException ? err.name : ''
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied'
  if (name === 'NotReadableError' || name === 'AbortError') return 'busy'
  return 'none'
}

/** What the types of the DOM leave out, and Chromium on phones has. */
type WithTorch = MediaTrackCapabilities & { torch?: boolean }

export interface Camera {
  torch: boolean
  setTorch(on: boolean): Promise<void>
  stop(): void
}

const longest = 960 // pixels of the longer side: enough for a label at arm's length, and quick

/** Shows the camera in `video` and calls `found` once, with the first code that is sure. */
export async function openCamera(video: HTMLVideoElement, detector: Detector, found: (code: Found) => void): Promise<Camera> {
  if (!navigator.mediaDevices) throw new DOMException('no camera without https', 'SecurityError')
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: { ideal: 'environment' }, width: { ideal: 1280 }, height: { ideal: 720 } },
  })
  const track = stream.getVideoTracks()[0]!
  let live = true
  const stop = () => {
    live = false
    stream.getTracks().forEach((t) => t.stop())
    video.srcObject = null
  }
  try {
    video.srcObject = stream
    await video.play()
  } catch (err) {
    stop()
    throw err
  }
  void watch(video, detector, () => live, (code) => {
    stop()
    found(code)
  })
  return {
    torch: Boolean((track.getCapabilities?.() as WithTorch | undefined)?.torch),
    setTorch: (on) => track.applyConstraints({ advanced: [{ torch: on } as MediaTrackConstraintSet] }),
    stop,
  }
}

async function watch(video: HTMLVideoElement, detector: Detector, live: () => boolean, found: (code: Found) => void) {
  const canvas = document.createElement('canvas')
  const paper = canvas.getContext('2d', { willReadFrequently: true })!
  const sure = doubt()
  while (live()) {
    const longer = Math.max(video.videoWidth, video.videoHeight)
    if (longer > 0) {
      const scale = Math.min(1, longest / longer)
      canvas.width = Math.round(video.videoWidth * scale)
      canvas.height = Math.round(video.videoHeight * scale)
      paper.drawImage(video, 0, 0, canvas.width, canvas.height)
      const code = sure(await detector.find(paper.getImageData(0, 0, canvas.width, canvas.height)).catch(() => []))
      if (code && live()) return found(code)
    }
    await new Promise((next) => setTimeout(next, 80))
  }
}

/** Codes in a still picture from the phone's camera app or its gallery. */
export async function readStill(file: Blob, detector: Detector): Promise<Found | null> {
  const bitmap = await createImageBitmap(file)
  try {
    const scale = Math.min(1, 2000 / Math.max(bitmap.width, bitmap.height))
    const canvas = document.createElement('canvas')
    canvas.width = Math.round(bitmap.width * scale)
    canvas.height = Math.round(bitmap.height * scale)
    const paper = canvas.getContext('2d')!
    paper.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
    const all = await detector.find(paper.getImageData(0, 0, canvas.width, canvas.height))
    return all.find((f) => !f.linear) ?? all[0] ?? null
  } finally {
    bitmap.close()
  }
}
