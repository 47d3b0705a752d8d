"""Prints the links of all pages that lead to the web, each once: `make links` checks them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PROJECT = Path(__file__).resolve().parent.parent


def external(text: str) -> set[str]:
    """Returns the targets of links and the sources of images in a page, without those in code."""
    targets = (token.attrGet("href") or token.attrGet("src") for token in _tokens(MarkdownIt().parse(text)))
    return {str(target) for target in targets if str(target).startswith(("http:", "https:"))}


def _tokens(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])


if __name__ == "__main__":
    pages = [*_PROJECT.glob("*.md"), *_PROJECT.glob("docs/**/*.md")]
    print(*sorted(set().union(*(external(page.read_text()) for page in pages))), sep="\n")
