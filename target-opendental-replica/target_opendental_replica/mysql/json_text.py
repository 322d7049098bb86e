"""JSON of values as the reader of Singer messages has them: numbers keep their digits (pure)."""

from __future__ import annotations

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def write_json(value: object) -> str:
    """Return a value's JSON; integers of more than 64 bits, which the encoder does not take, are written by hand."""
    try:
        return _ENCODER.encode(value).decode()
    except OverflowError:
        return _ENCODER.encode(_spell(value)).decode()


def _spell(value: object) -> object:
    if isinstance(value, dict):
        return {name: _spell(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_spell(each) for each in value]
    return msgspec.Raw(str(value).encode()) if type(value) is int else value
