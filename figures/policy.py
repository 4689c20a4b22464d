"""The content-security policy of every page: its own style sheet and scripts, by their hashes, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def content_security(styles: Iterable[str], scripts: Iterable[str], *, beside: bool = False) -> str:
    """The policy for a page with these style sheets and these scripts.

    Style attributes are allowed (Matplotlib's SVG has them); no other script, no frame, form or request is.

    Parameters
    ----------
    styles, scripts : iterable of str
        What stands between the tags.
    beside : bool
        Whether the page also loads a script file of its own folder. A file has no hash here: browsers check one only
        for what a server sent, and the report opens without a server.
    """
    allowed = [quoted(text) for text in scripts] + (["'self'"] if beside else [])
    return "; ".join((
        "default-src 'none'",
        f"script-src {' '.join(allowed)}",
        "style-src 'unsafe-inline'",
        f"style-src-elem {' '.join(quoted(text) for text in styles)}",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip


def quoted(text: str) -> str:
    """SHA-256 as a policy writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
