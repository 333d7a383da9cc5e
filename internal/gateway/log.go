package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// LogConfig is what is said, on standard error or in a file. systemd and containers keep and
// rotate what is said on standard error.
type LogConfig struct {
	Level   string `yaml:"level"`    // debug, info, warn, error
	Format  string `yaml:"format"`   // text, json
	File    string `yaml:"file"`     // "": standard error
	MaxSize Bytes  `yaml:"max_size"` // of the file; then it is file.1, and a new one begins
	Keep    int    `yaml:"keep"`     // how many old ones: file.1 is the newest
}

func (l *LogConfig) validate(v *problems) {
	v.oneOf("log.level", l.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", l.Format, "text", "json")
	v.want(l.File == "" || l.MaxSize >= 64<<10, "log.max_size is %s: want 64KiB or more", l.MaxSize)
	v.want(l.Keep >= 0 && l.Keep <= 1000, "log.keep is %d: want 0 to 1000", l.Keep)
}

func (l LogConfig) level() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo // Validate has refused what is no level
	}
	return level
}

// Logger writes to w what the settings ask for.
func (l LogConfig) Logger(w io.Writer) *slog.Logger {
	level := &slog.LevelVar{}
	level.Set(l.level())
	return l.logger(w, level)
}

func (l LogConfig) logger(w io.Writer, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// Log is a logger whose level may change, and whose file turns over.
type Log struct {
	*slog.Logger
	Level *slog.LevelVar
	file  *logFile
}

// Open opens the file, if there is one; else it writes to w. What the disk does not take goes
// to w too.
func (l LogConfig) Open(w io.Writer) (*Log, error) {
	out := &Log{Level: &slog.LevelVar{}}
	out.Level.Set(l.level())
	if l.File != "" {
		out.file = &logFile{path: l.File, most: int64(l.MaxSize), keep: l.Keep, otherwise: w}
		if err := out.file.open(); err != nil {
			return nil, fmt.Errorf("log.file: %w", err)
		}
		w = out.file
	}
	out.Logger = l.logger(w, out.Level)
	return out, nil
}

// Reopen begins to write to the file of that name again, after somebody else has moved it away.
func (l *Log) Reopen() error {
	if l.file == nil {
		return nil
	}
	l.file.mu.Lock()
	defer l.file.mu.Unlock()
	return l.file.open()
}

// Close closes the file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	l.file.mu.Lock()
	defer l.file.mu.Unlock()
	return l.file.shut()
}

// logFile is a file that begins anew when it is large.
type logFile struct {
	path      string
	most      int64
	keep      int
	otherwise io.Writer

	mu   sync.Mutex
	f    *os.File
	size int64
}

// open opens the file, and lets go of the one that was open once that has worked.
func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	at, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	err = l.shut()
	l.f, l.size = f, at.Size()
	return err
}

func (l *logFile) shut() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Write never fails for the one who logs: what the file does not take is said otherwise.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(b)) > l.most {
		if err := l.turn(); err != nil {
			fmt.Fprintf(l.otherwise, "log.file cannot turn over: %v\n", err)
		}
	}
	if l.f != nil {
		n, err := l.f.Write(b)
		l.size += int64(n)
		if err == nil {
			return n, nil
		}
	}
	return l.otherwise.Write(b)
}

// turn makes file file.1, file.1 file.2, and so on; the oldest goes.
func (l *logFile) turn() error {
	name := func(n int) string { return fmt.Sprintf("%s.%d", l.path, n) }
	if l.keep == 0 {
		l.size = 0
		return l.f.Truncate(0)
	}
	for n := l.keep - 1; n >= 1; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := os.Rename(l.path, name(1)); err != nil {
		return err
	}
	return l.open()
}
