// Package quick colours no source code: help texts are the only place for it, and there is a lexer for every language.
package quick

import "io"

// Highlight writes the source as it is.
func Highlight(w io.Writer, source, _, _, _ string) error {
	_, err := io.WriteString(w, source)
	return err
}
