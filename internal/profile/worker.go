package profile

import (
	"bufio"
	wire "encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// The code of device makers runs in codec workers: children of this process, made of the
// same program, that do nothing but run a codec on one payload after the other. Whatever
// such code does to its process, the gateway does not feel it.
//
// Each message on the two pipes is its length in four bytes, then that many bytes. A worker
// says hello, then answers each request with one reply.

// workerEnv in the environment makes a worker of the program.
const workerEnv = "GRIDGATE_CODEC_WORKER"

// hello is the first message of a worker.
const hello = "gridgate codec worker"

const (
	opLoad   byte = 1 // script number, name, variables, source → function
	opDecode byte = 2 // script number, port, received, payload → document
	opShow   byte = 3 // the same for a person: what is no number is null, as JSON.stringify has it
)

const (
	replyDone    byte = 0 // and what was asked for
	replyWrong   byte = 1 // and what the codec did wrong
	replyUnknown byte = 2 // the worker does not have this script
)

// A worker that cannot end a run in an orderly way ends itself with one of these.
const (
	exitTime   = 91
	exitMemory = 92
)

const (
	maxMessage = 4 << 20  // a source, with room
	maxScripts = 256      // that one worker keeps compiled
	maxStack   = 64 << 20 // of a goroutine: the code of a codec may make the engine call itself
)

// RunWorker is the first thing that the main function of a program that decodes does, and
// the TestMain of its tests: in a codec worker it serves until the end of its input, and
// the program ends. Else it does nothing.
func RunWorker() {
	if os.Getenv(workerEnv) == "" {
		return
	}
	// The gateway ends its workers, by the end of their input, after it has decoded what it
	// took in; a signal meant for all of them must not come before.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	debug.SetMaxStack(maxStack)
	confine()
	err := serveWorker(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveWorker(in io.Reader, out io.Writer) error {
	w := &workerServer{scripts: map[uint64]*script{}, watch: newWatch()}
	if err := writeMessage(out, append(newMessage(nil), hello...)); err != nil {
		return err
	}
	requests := bufio.NewReaderSize(in, 64<<10)
	var request, reply []byte
	var err error
	for {
		if request, err = readMessage(requests, request); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if reply, err = w.answer(request, newMessage(reply)); err != nil {
			return err
		}
		if err = writeMessage(out, reply); err != nil {
			return err
		}
	}
}

type workerServer struct {
	scripts map[uint64]*script
	watch   *watch
}

// answer appends the reply to a request.
func (w *workerServer) answer(request, reply []byte) ([]byte, error) {
	op, id, rest, err := readHead(request)
	if err != nil {
		return nil, err
	}
	switch op {
	case opLoad:
		s, err := w.load(rest)
		if err != nil {
			return append(append(reply, replyWrong), err.Error()...), nil
		}
		if len(w.scripts) >= maxScripts {
			clear(w.scripts)
		}
		w.scripts[id] = s
		return append(append(reply, replyDone), s.function.name...), nil
	case opDecode, opShow:
		s := w.scripts[id]
		if s == nil {
			return append(reply, replyUnknown), nil
		}
		return w.decode(op, s, rest, reply)
	}
	return nil, fmt.Errorf("request %d is unknown", op)
}

func (w *workerServer) load(rest []byte) (*script, error) {
	name, rest, err := readText(rest)
	if err != nil {
		return nil, err
	}
	variables, source, err := readText(rest)
	if err != nil {
		return nil, err
	}
	return loadScript(w.watch, string(name), string(variables), string(source))
}

func (w *workerServer) decode(op byte, s *script, rest, reply []byte) ([]byte, error) {
	port, n := wire.Varint(rest)
	received, m := wire.Varint(rest[max(n, 0):])
	if n <= 0 || m <= 0 {
		return nil, errors.New("a request is cut short")
	}
	f := scriptFrame{port: int(port), receivedMs: received, payload: rest[n+m:], plain: op == opShow}
	document, err := s.decode(w.watch, f, append(reply, replyDone))
	if err != nil {
		return append(append(reply, replyWrong), err.Error()...), nil
	}
	return document, nil
}

// newMessage begins a message in a buffer, which may be nil.
func newMessage(buf []byte) []byte { return append(buf[:0], 0, 0, 0, 0) }

// writeMessage writes what newMessage began, in one go.
func writeMessage(out io.Writer, m []byte) error {
	wire.LittleEndian.PutUint32(m, uint32(len(m)-4))
	_, err := out.Write(m)
	return err
}

var errMessage = errors.New("a message is longer than any may be")

// readMessage reads one message into buf or a larger one.
func readMessage(in io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) < 512 {
		buf = make([]byte, 512)
	}
	head := buf[:4]
	if _, err := io.ReadFull(in, head); err != nil {
		return buf, err
	}
	n := int(wire.LittleEndian.Uint32(head))
	if n > maxMessage {
		return buf, errMessage
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(in, buf)
	return buf, err
}

func readHead(m []byte) (op byte, id uint64, rest []byte, err error) {
	if len(m) < 9 {
		return 0, 0, nil, errors.New("a request is cut short")
	}
	return m[0], wire.LittleEndian.Uint64(m[1:]), m[9:], nil
}

func appendHead(m []byte, op byte, id uint64) []byte {
	return wire.LittleEndian.AppendUint64(append(m, op), id)
}

func appendText(m []byte, text string) []byte {
	return append(wire.AppendUvarint(m, uint64(len(text))), text...)
}

func readText(m []byte) (text, rest []byte, err error) {
	n, used := wire.Uvarint(m)
	if used <= 0 || n > uint64(len(m)-used) {
		return nil, nil, errors.New("a request is cut short")
	}
	return m[used : used+int(n)], m[used+int(n):], nil
}

func appendDecode(m []byte, op byte, id uint64, port int, received time.Time, payload []byte) []byte {
	m = wire.AppendVarint(appendHead(m, op, id), int64(port))
	var ms int64
	if !received.IsZero() {
		ms = received.UnixMilli()
	}
	return append(wire.AppendVarint(m, ms), payload...)
}
