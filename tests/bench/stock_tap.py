"""The yardstick for "as the SDK comes": its SQL tap on PyMySQL, nothing tuned and nothing overridden but the address.

python stock_tap.py --config CONFIG [--discover | --catalog CATALOG]
"""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import typing as th
from singer_sdk.sql import SQLConnector, SQLStream, SQLTap


class StockConnector(SQLConnector):
    """The SDK's connector."""

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        """The address as it is in the config: mysql+pymysql://..."""
        return str(config["sqlalchemy_url"])


class StockStream(SQLStream):
    """The SDK's stream."""

    connector_class = StockConnector


class StockTap(SQLTap):
    """The SDK's tap."""

    name = "stock-tap"
    default_stream_class = StockStream
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("sqlalchemy_url", th.StringType, required=True, secret=True)
    ).to_dict()


if __name__ == "__main__":
    StockTap.cli()
