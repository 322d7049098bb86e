"""The page put together: a template, one style, one script, one block of data, and a policy that allows only these."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# In this order they are one script: each file only names what is defined, the last one starts it.
SCRIPTS = (
    "dom.js",
    "model.js",
    "tiles.js",
    "treemap.js",
    "list.js",
    "graph.js",
    "details.js",
    "drift.js",
    "page.js",
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
# What could end the block of data, or begin a comment in it: the letters of JSON's own escape mean the same to JSON.
_UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def render_report(analysis: Mapping[str, Any]) -> str:
    """Return the page for one analysis, in the shape of `SchemaAnalysis.to_dict()`: HTML for UTF-8, some 2 MB.

    Equal analyses give the same bytes. The page loads nothing: its Content-Security-Policy allows the one style and the
    one script that are in it, by their hashes, and no address at all. ValueError for a number that JSON has not (NaN).
    """
    script, style = _read_script(), _read("page.css")
    parts = {
        "policy": _policy(script, style),
        "title": escape(f"{analysis['database']}: schema analysis"),
        "style": style,
        "script": script,
        "data": _render_data(analysis),
    }
    # One pass over the template: a table named {{data}} stays a name.
    return _PLACE.sub(lambda place: parts[place[1]], _read("page.html"))


def _policy(script: str, style: str) -> str:
    rules = (
        "default-src 'none'",
        f"script-src {_source_hash(script)}",
        f"style-src {_source_hash(style)}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _source_hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _render_data(analysis: Mapping[str, Any]) -> str:
    """Write JSON in ASCII (U+2028 and the like are escaped) without a sign that HTML could take for its own."""
    text = json.dumps(analysis, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.translate(_UNSAFE)


@cache
def _read_script() -> str:
    body = "\n".join(_read(name) for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{body}\n}})();\n'


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath("parts", name).read_text(encoding="utf-8")
