"""Names of files from names of studies, and text that no file format stumbles over."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Pages of the report beside those of the studies, and names that Windows keeps for devices.
PAGES = frozenset({"index", "gallery", "methods", "calibration", "lineage", "glossary", "study"})
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DIGITS = 12
_MADE = re.compile(rf".*-[0-9a-f]{{{_DIGITS}}}")
# XML, and so SVG and PowerPoint, knows none of them; an embedding of direction turns around what stands beside it.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff\ufffe\uffff]")


def stem(study: str) -> str:
    """The name of a study's page and folders, without an ending: the study's own where that is plain.

    Another name (a page of ours, a device, capitals, blanks, ``/``, ``..``, other alphabets, more than 64 letters)
    keeps its plain letters and gets a hash of itself, so that two studies never share a file, also where the file
    system does not tell capitals apart, and no name leads out of the folder.
    """
    if _PLAIN.fullmatch(study) and not _MADE.fullmatch(study) and study not in PAGES | _DEVICES:
        return study
    ascii_only = unicodedata.normalize("NFKD", study).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")[:40] or "study"
    return f"{readable}-{hashlib.sha256(study.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGITS]}"


def shown(text: str) -> str:
    """A text without characters that no reader sees and some formats refuse: replacement characters stand for them."""
    return text if text.isprintable() else _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
