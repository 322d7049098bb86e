"""Values of keys and cursors in a stream's state, both ways (pure)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def write_values(values: Sequence[Any]) -> list[Any]:
    """Write values for a state: whole numbers and text as they are, other types as a pair of type and text."""
    return [_to_state(value) for value in values]


def read_values(written: object) -> tuple[Any, ...]:
    """Read what `write_values` wrote, at least one value; ValueError, KeyError or TypeError of anything else."""
    if not isinstance(written, list) or not written:
        raise TypeError(type(written).__name__)
    return tuple(_from_state(item) for item in written)


def _to_state(value: Any) -> int | str | list[str]:  # noqa: ANN401 - whatever a key holds
    """A float in a state stops the SDK's targets, which cannot write the Decimal that they read it as."""
    if isinstance(value, bytes):
        return ["bytes", b64encode(value).decode("ascii")]
    if isinstance(value, float):
        return ["float", repr(value)]
    return ["decimal", str(value)] if isinstance(value, Decimal) else value


def _read_bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


_READ: dict[str, Callable[[str], Any]] = {"bytes": _read_bytes, "float": float, "decimal": Decimal}


def _from_state(value: Any) -> Any:  # noqa: ANN401 - the way back
    """What is not exactly what was written would go on from another row, or find none: ValueError or TypeError."""
    if isinstance(value, list):
        kind, text = value
        try:
            found = _READ[kind](text)
        except InvalidOperation:
            raise ValueError(kind) from None
        if _to_state(found) != value or not (isinstance(found, bytes) or isfinite(found)):
            raise ValueError(kind)
        return found
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise TypeError(type(value).__name__)
    return value
