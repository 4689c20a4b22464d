"""The content-security policy of every page: its own style sheet and script, by their hashes, and nothing else."""

from __future__ import annotations

import base64
import hashlib


def content_security(style: str, script: str) -> str:
    """The policy for a page with this style sheet and this script.

    Style attributes are allowed (Matplotlib's SVG has them); no script, frame, form or request is.
    """
    return "; ".join((
        "default-src 'none'",
        f"script-src '{digest(script)}'",
        "style-src 'unsafe-inline'",
        f"style-src-elem '{digest(style)}'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip


def digest(text: str) -> str:
    """SHA-256 as a policy writes it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
