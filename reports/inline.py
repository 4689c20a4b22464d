"""Puts an SVG file into a page: own ids, a name for screen readers, the page's typeface."""

from __future__ import annotations

import re

from markupsafe import Markup, escape


def inline(svg: str, prefix: str, title: str) -> Markup:
    """The ``<svg>`` element with ids that no other figure of the page has, scaling with its column.

    Parameters
    ----------
    svg : str
        A file as Matplotlib writes it.
    prefix : str
        Goes before every id; an identifier.
    title : str
        What a screen reader says.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    # The page's own rules say what Matplotlib's one rule says: the content-security policy knows no other style sheet.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]+;? ?", "", body)
    body = re.sub(r'<svg([^>]*?) width="[^"]*" height="[^"]*"', rf'<svg\1 id="{prefix}" role="img"', body, count=1)
    opening = body.index(">") + 1
    return Markup(f"{body[:opening]}<title>{escape(title)}</title>{body[opening:]}")
