"""Linear IV from Moments, and one more scan for the sums of higher degree that its variances and tests ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from scipy import linalg

from ..errors import Refusal
from ..instruments.system import System
from ..moments import Moments
from . import handed
from .clusters import Part, squares
from .few import Whitened, bell_mccaffrey
from .frame import Frame
from .stream import Plan, Source, blocks

T = TypeVar("T")
# Questions whose forms differ by less are one. Two scans answer GMM's; columns that are nearly collinear ask once more.
SAME, SCANS = 1e-10, 4


@dataclass(frozen=True)
class Question:
    """A sum of products of linear forms over the rows: see `System.products`."""

    a: np.ndarray
    e: np.ndarray
    f: np.ndarray
    kind: str

    def like(self, other: Question) -> bool:
        """Whether two questions are one but for rounding."""
        pairs = ((self.a, other.a), (self.e, other.e), (self.f, other.f))
        return all(np.linalg.norm(one - two) <= SAME * np.linalg.norm(two) for one, two in pairs)


@dataclass(frozen=True)
class Summed(System):
    """A system of rows in the warehouse.

    Attributes
    ----------
    base : ndarray of shape (k + q + 2, p + 1)
        x, z, y and d as linear forms of a constant and the p standardised columns.
    answers, open : dict
        What the scans have answered, by name and kind; what has been asked since.
    """

    base: np.ndarray
    answers: dict[tuple[str, str], tuple[Question, np.ndarray]] = field(default_factory=dict)
    open: dict[tuple[str, str], Question] = field(default_factory=dict)

    def products(self, name: str, a: np.ndarray, e: np.ndarray, f: np.ndarray, kind: str) -> np.ndarray:
        """The answer; before the scan that gives it, a stand-in of its shape, and the question is noted."""
        question = Question(a, e, f, kind)
        if (name, kind) in self.answers:
            asked, answer = self.answers[name, kind]
            if question.like(asked):
                return answer
        self.open[name, kind] = question
        if kind == "CR2":
            return np.ones(2)
        if name.endswith("shares"):  # many, until the scan tells
            return np.zeros((1, 1))
        return np.array(1.0) if kind == "classical" else np.eye(len(a))


@dataclass(frozen=True)
class Reader:
    """How the rows are read: the columns that the moments have, in their units; no weights.

    Attributes
    ----------
    source : Source
    plan : Plan
        Covariates, instruments, outcome and treatment in the order of the system, and the cluster.
    moments : Moments
        Of those columns.
    clusters : int or None
        How many there are.
    """

    source: Source
    plan: Plan
    moments: Moments
    clusters: int | None = None


def system(reader: Reader, k: int, variance: str) -> Summed:
    """The system of a reader whose first ``k`` columns are covariates and last two outcome and treatment.

    Covariates and instruments must be independent: see `estimators.instruments.system.kept`.
    """
    moments = reader.moments
    centred, total = moments._centred(), moments.total()
    at = [moments.names.index(name) for name in reader.plan.names]
    p, n = len(at), float(total[0, 0])
    q = p - k - 2
    base = np.zeros((p + 1, p + 1))
    base[0, 0] = 1 / np.sqrt(n)
    inner = _orthonormal(centred[np.ix_(at, at)], k, q)
    inner[-2:] *= moments.scale[at[-2:]][:, None]
    base[1:, 1:] = inner
    base[1:, 0] = -inner @ (total[0, 1:][at] / n)
    own = inner @ centred[np.ix_(at, at)] @ inner.T
    return Summed(int(moments.rows.sum()), k + 1, q, variance, reader.clusters, *_sums(own, k, q), base)


def solved(p: Summed, reader: Reader, make: Callable[[System], T]) -> T:
    """What ``make`` gives for the system.

    The formulas ask for sums one after the other, and what they ask does not hang on the answers. So they are run once
    only to hear their questions, one scan answers all of them, and they are run again. The second step of GMM does hang
    on them: asked anew with other forms, it takes one scan more. Each scan also takes the products of x, z, y and d
    anew: from these, which are nearly orthonormal, the system gets back the digits that the inversion of the moments
    cost it.
    """
    made, scans = make(p), 0
    while p.open:
        if scans == SCANS:
            raise ArithmeticError("the sums that linear IV asks for do not settle")
        scans += 1
        plain = {key: question for key, question in p.open.items() if question.kind != "CR2"}
        gram, answers = Scan(p, reader, list(plain.values())).run()
        found = {key: (plain[key], answer) for key, answer in zip(plain, answers, strict=True)}
        found |= _few(p, reader)
        turn = _orthonormal(gram, p.k, p.q)
        zy, zd, yy, yd, dd = _sums(turn @ gram @ turn.T, p.k, p.q)
        p = dataclasses.replace(p, zy=zy, zd=zd, yy=yy, yd=yd, dd=dd, answers={**p.answers, **found}, open={})
        made = make(p)
    return made


def _few(p: Summed, reader: Reader) -> dict[tuple[str, str], tuple[Question, np.ndarray]]:
    """The answers to the questions of CR2, in one scan of the rows sorted by cluster."""
    asked = {key: question for key, question in p.open.items() if question.kind == "CR2"}
    if not asked:
        return {}
    frame = Frame.like(reader.moments, reader.plan.names, reader.plan.rows())
    regressions = [
        Whitened((one.a @ p.base)[None], (one.e @ p.base)[None], np.eye(len(one.a))[-1:]) for one in asked.values()
    ]
    sums = bell_mccaffrey(reader.source, reader.plan, frame, regressions)
    return {key: (asked[key], np.array([one.squares[0], one.df()[0]])) for key, one in zip(asked, sums, strict=True)}


def _orthonormal(gram: np.ndarray, k: int, q: int) -> np.ndarray:
    """What makes x and z orthonormal, and y and d orthogonal to x, by their products: lower triangular."""
    out = np.eye(k + q + 2)
    lower = linalg.cholesky(gram[: k + q, : k + q], lower=True)
    out[: k + q, : k + q] = linalg.solve_triangular(lower, np.eye(k + q), lower=True)
    x = out[:k, :k]
    out[-2:, :k] = -gram[-2:, :k] @ x.T @ x
    return out


def _sums(own: np.ndarray, k: int, q: int) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    z = slice(k, k + q)
    return own[z, -2], own[z, -1], float(own[-2, -2]), float(own[-2, -1]), float(own[-1, -1])


class _Forms:
    """Linear forms without repeats."""

    def __init__(self, size: int) -> None:
        self.rows: list[np.ndarray] = list(np.eye(size))
        self._places = {row.tobytes(): j for j, row in enumerate(self.rows)}

    def place(self, form: np.ndarray) -> int:
        """Where a form stands; added where it is new."""
        key = np.ascontiguousarray(form, dtype=float).tobytes()
        if key not in self._places:
            self._places[key] = len(self.rows)
            self.rows.append(form)
        return self._places[key]


@dataclass
class _Sum:
    """One question in places of the forms, and its answer so far; with clusters in places of the products."""

    kind: str
    a: list[int]
    e: int
    f: int
    left: list[int]
    right: list[int]
    total: np.ndarray

    def add(self, values: np.ndarray) -> None:
        """Some rows, by their forms of shape (forms, m); sums a cluster are DuckDB's."""
        if self.kind == "classical":
            self.total += values[self.e] @ values[self.f]
        elif self.kind == "robust":
            a = values[self.a]
            self.total += (a * (values[self.e] * values[self.f])) @ a.T


class Scan:
    """One scan: the products of the rows r, and the answers to some questions."""

    def __init__(self, p: Summed, reader: Reader, questions: Sequence[Question]) -> None:
        size = len(p.base)
        forms, self.pairs = _Forms(size), list[tuple[int, int]]()
        self.sums = [self._placed(question, forms) for question in questions]
        self.gram, self.coefficients = np.zeros((size, size)), np.array(forms.rows) @ p.base
        self.reader = reader

    def _placed(self, question: Question, forms: _Forms) -> _Sum:
        a, e, f = [forms.place(row) for row in question.a], forms.place(question.e), forms.place(question.f)
        left, right = ([self._pair(j, side) for j in a] if question.kind == "cluster" else [] for side in (e, f))
        size = () if question.kind == "classical" else (len(a), len(a))
        return _Sum(question.kind, a, e, f, left, right, np.zeros(size))

    def _pair(self, a: int, e: int) -> int:
        """Where the product of two forms stands among those that are summed a cluster."""
        if (a, e) not in self.pairs:
            self.pairs.append((a, e))
        return self.pairs.index((a, e))

    def run(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The products of r, and the answers."""
        if self.reader.source.engine is not None:
            from ..engines.instrumental import summed

            return summed(self)
        if not self.pairs:
            for _ in self._parts():
                pass
            return self.gram, [one.total for one in self.sums]
        found, squared = squares(self.reader.source.connection, self._parts(), products=True)
        check_keys(found, self.reader.clusters)
        for one in self.sums:
            if one.kind == "cluster":
                one.total = squared[np.ix_(one.left, one.right)]
        return self.gram, [one.total for one in self.sums]

    def _parts(self) -> Iterator[Part]:
        """Each block's clusters and the products that are summed by them."""
        reader, size = self.reader, len(self.gram)
        frame = Frame.like(reader.moments, reader.plan.names, reader.plan.rows())
        for block in blocks(reader.source, reader.plan):
            values = self.coefficients @ frame.fill(block)
            self.gram += values[:size] @ values[:size].T
            for one in self.sums:
                one.add(values)
            if self.pairs:
                assert block.cluster is not None
                a, e = np.array(self.pairs).T
                yield block.cluster, np.multiply(values[a], values[e], out=handed.empty(len(a), block.n))


def check_keys(found: int, clusters: int | None) -> None:
    """Refuse labels that share a hash (one chance in 10⁷ with a million labels)."""
    if found != clusters:
        raise Refusal(f"two cluster labels share a hash: {clusters} have {found}", "Number them in staging")
