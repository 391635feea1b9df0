"""Pages, read back: their tables, facts, pictures and headings."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input", "hr"}


@dataclass
class Page:
    """What a page shows.

    Attributes:
        tables: rows of cells' texts, by caption, or by number where there is none.
        facts: names and values of definition lists.
        pictures: what images and drawings are called for those who do not see them.
        headings: level and text.
        links: targets by text.
        tags: all elements with their attributes.
        text: everything that is seen.
    """

    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page, self._open, self._texts = Page(), list[str](), list[str]()
        self._rows, self._caption, self._name, self._href = list[list[str]](), "", "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.page.tags.append((tag, found))
        if found.get("role") == "img" or tag == "img":
            self.page.pictures.append(found.get("aria-label") or found["alt"])
        if tag not in VOID:
            self._open.append(tag)
            self._texts.append("")
        if tag == "table":
            self._rows, self._caption = [], str(len(self.page.tables))
        elif tag == "tr":
            self._rows.append([])
        elif tag == "a":
            self._href = found["href"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self._texts:
            self._texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        text = " ".join(self._texts.pop().split())
        if self._texts:
            self._texts[-1] += f"{text} " if tag != "style" else ""
        match tag:
            case "td" | "th":
                self._rows[-1].append(text)
            case "caption":
                self._caption = text
            case "table":
                self.page.tables[self._caption] = self._rows
            case "dt":
                self._name = text
            case "dd":
                self.page.facts[self._name] = text
            case "h1" | "h2" | "h3":
                self.page.headings.append((tag, text))
            case "a":
                self.page.links[text] = self._href
            case "body":
                self.page.text = text


def read_page(html: str) -> Page:
    """Read a page whose elements are all closed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page
