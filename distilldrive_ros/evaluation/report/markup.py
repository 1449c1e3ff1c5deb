"""HTML as nested function calls: text is escaped, what is already markup stays."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Markup | Iterable["str | Markup"] | None


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element. Children are escaped unless they are `Markup`; None is left out, iterables are joined.

    Attribute names: a trailing underscore is dropped (`class_`), others become hyphens. True gives the bare name;
    False and None leave the attribute out.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children one after the other, escaped where they are text."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child, quote=False))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value), quote=True)}"'


def table(header: Iterable[Child], rows: Iterable[Iterable[Child]], class_: str | None = None) -> Markup:
    """A table with one header row."""
    head = tag("tr", (tag("th", cell, scope="col") for cell in header))
    body = (tag("tr", (tag("td", cell) for cell in row)) for row in rows)
    return tag("div", tag("table", tag("thead", head), tag("tbody", body), class_=class_), class_="scroll")
