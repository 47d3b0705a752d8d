"""Commands and configuration that the pages of the documentation show."""

from types import TracebackType
from typing import Self

from markdown_it import MarkdownIt

from sandbox.host.paths import PROJECT


def blocks(text: str, language: str) -> list[str]:
    """The contents of the code blocks of a language; "" is a block that names none, which shows output."""
    fences = (token for token in MarkdownIt().parse(text) if token.type == "fence")
    return [fence.content for fence in fences if fence.info == language]


class Guide:
    """A page whose commands a test types in the order in which the page shows them, to the last one.

    What a test leaves out, the page's first paragraph has to name.
    """

    def __init__(self, page: str) -> None:
        self.text = (PROJECT / "docs" / page).read_text()
        self._commands = blocks(self.text, "sh")
        assert self._commands, f"{page} has no commands"
        self._opening = self.text.split("\n\n")[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert kind or self._commands == [], f"not typed: {self._commands}"

    def commands(self, *without: str) -> str:
        """Returns the next block, without the lines that contain one of these words."""
        for word in without:
            assert f"`{word}" in self._opening, f"the first paragraph doesn't say that {word} isn't executed"
        lines = self._commands.pop(0).splitlines(keepends=True)
        kept = [line for line in lines if not any(word in line for word in without)]
        assert len(lines) - len(kept) >= len(without), f"there is no {without} in {lines}"
        return "".join(kept)

    def section(self, heading: str) -> str:
        """The text under a heading."""
        return self.text.partition(f"## {heading}\n")[2].partition("\n## ")[0]

    def shown(self, language: str, heading: str = "") -> list[str]:
        """The code blocks of a language, of the page or of a section."""
        return blocks(self.section(heading) if heading else self.text, language)
