"""What a user reads where something broke that no refusal foresaw: one place for errors of libraries and engines."""

from __future__ import annotations

from .errors import Refusal, StudyError, Told

# What an error of this type (or of a type that ends so) means here, and the mend; the first that fits is taken.
_MEANINGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("MemoryError", "OutOfMemoryException"), "it needs more memory than there is",
     "Raise CQOX_MEMORY_LIMIT, lower the study's row_budget, or declare fewer covariates"),
    (("LinAlgError",), "a matrix of the covariates cannot be inverted: a column is constant, or others explain it",
     "Drop the columns that others explain, or group rare levels in the units"),
    (("FloatingPointError", "OverflowError", "OutOfRangeException", "ZeroDivisionError"),
     "the arithmetic left the range of floating point numbers",
     "Choose another unit of measurement in staging for the columns of very large or very small numbers"),
    (("ConversionException", "BinderException", "ArrowInvalid", "ArrowTypeError", "ArrowNotImplementedError",
      "InvalidInputException", "ArithmeticException", "NumberFormatException", "SparkRuntimeException"),
     "a declared column does not hold numbers that can be read", "Cast the column in staging"),
    (("ModuleNotFoundError", "ImportError"), "a library that it needs is not installed",
     "Install the package with its requirements"),
    (("InterruptException", "KeyboardInterrupt", "TimeoutError"), "it was interrupted", "Build again"),
    (("IOException", "OSError", "ConnectionException", "OperationalError"),
     "the warehouse could not be read or written", "Look at disk and connection, then build again"),
    (("CatalogException", "UndefinedTable"), "a table that it reads is not in the warehouse", "Build the study again"),
)  # fmt: skip
_MEND_COLUMNS = "Mend the column or the term, or declare fewer covariates"
_UNKNOWN = ("it met a case that it does not foresee", "Read the other estimators, and report the error with the study")


def told(error: BaseException, study: str, what: str) -> tuple[str, str]:
    """Reason and mend of an error, in words that name study and step; the error's type ends the reason, for a report.

    A refusal or a broken contract says both itself. Of anything else the words of the library (a parser's, a matrix
    routine's) are left out: they name nothing that a user has declared.

    Parameters
    ----------
    error : BaseException
    study, what : str
        The study's name, and the step: ``ipw of the ATE``, ``the scores``.
    """
    if isinstance(error, Refusal):
        return error.reason, error.mend
    if isinstance(error, StudyError):
        return error.problem, error.mend
    kind = type(error).__name__
    if isinstance(error, Told):
        return f"{what} of study {study} could not be computed: {error}", _MEND_COLUMNS
    meaning, mend = next(
        ((m, mend) for ends, m, mend in _MEANINGS if any(base.__name__.endswith(ends) for base in _types(error))),
        _UNKNOWN,
    )  # fmt: skip
    return f"{what} of study {study} could not be computed: {meaning} ({kind})", mend


def sentence(error: BaseException, study: str, what: str) -> str:
    """`told` as one text: reason, full stop, mend."""
    reason, mend = told(error, study, what)
    return f"{reason}. {mend}" if mend else reason


def _types(error: BaseException) -> tuple[type, ...]:
    return tuple(base for base in type(error).__mro__ if base not in (object, BaseException, Exception, ValueError))


__all__ = ["sentence", "told"]
