"""The few SVG elements that drawings are made of, as strings."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np
from numpy.typing import ArrayLike

Attribute = str | float | int | None


def element(tag: str, content: str = "", /, **attributes: Attribute) -> str:
    """`<tag …>content</tag>`, or `<tag …/>` without content.

    Underscores of attribute names become hyphens (`stroke_width`), a trailing one is dropped (`class_`), None is
    left out.
    `content` is inserted as it is; `text` escapes.
    """
    parts = []
    for name, value in attributes.items():
        if value is not None:
            shown = number(value) if isinstance(value, (int, float)) else escape(value, quote=True)
            parts.append(f' {name.rstrip("_").replace("_", "-")}="{shown}"')
    return f"<{tag}{''.join(parts)}>{content}</{tag}>" if content else f"<{tag}{''.join(parts)}/>"


def text(x: float, y: float, words: str, size: float, **attributes: Attribute) -> str:
    """Text at a place in pixels."""
    return element("text", escape(words), x=x, y=y, font_size=size, **attributes)


def group(children: Iterable[str], **attributes: Attribute) -> str:
    """`<g>` of children; nothing where there are none."""
    content = "".join(children)
    return element("g", content, **attributes) if content else ""


def path_data(points: ArrayLike, closed: bool = False) -> str:
    """`d` of a polyline of pixels (n, 2)."""
    places = [f"{number(x)} {number(y)}" for x, y in np.asarray(points, np.float64).tolist()]
    return "M" + "L".join(places) + ("Z" if closed else "")


def dots_data(points: ArrayLike) -> str:
    """`d` of separate dots (n, 2): strokes of no length, which round line caps turn into discs."""
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in np.asarray(points, np.float64).tolist())


def number(value: float) -> str:
    """At most one decimal, without needless zeros: a tenth of a pixel is enough and keeps the file small."""
    rounded = f"{value:.1f}"
    return rounded[:-2] if rounded.endswith(".0") else rounded
