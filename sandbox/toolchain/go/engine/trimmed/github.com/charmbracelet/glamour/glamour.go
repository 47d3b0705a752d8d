// Package glamour styles no Markdown: `pulumi config env init` is the only place for it.
package glamour

// TermRendererOption is ignored.
type TermRendererOption struct{}

// WithAutoStyle is ignored.
func WithAutoStyle() TermRendererOption { return TermRendererOption{} }

// WithWordWrap is ignored.
func WithWordWrap(int) TermRendererOption { return TermRendererOption{} }

// TermRenderer renders Markdown as it is.
type TermRenderer struct{}

// NewTermRenderer returns a renderer.
func NewTermRenderer(...TermRendererOption) (*TermRenderer, error) { return &TermRenderer{}, nil }

// Render returns the Markdown as it is.
func (*TermRenderer) Render(markdown string) (string, error) { return markdown, nil }
