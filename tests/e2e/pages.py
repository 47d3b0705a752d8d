"""Commands and configuration that the pages of the documentation show."""

from markdown_it import MarkdownIt

from sandbox.host.paths import PROJECT


def section(page: str, heading: str) -> str:
    """The text under a heading of a page."""
    return (PROJECT / "docs" / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    """The contents of the code blocks of a language; "" is a block that names none, which shows output."""
    fences = (token for token in MarkdownIt().parse(text) if token.type == "fence")
    return [fence.content for fence in fences if fence.info == language]
