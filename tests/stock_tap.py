"""A tap as the SDK's cookbook has it, without a line of our care: what negative controls run."""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import SQLConnector, SQLStream, SQLTap
from singer_sdk import typing as th


class StockConnector(SQLConnector):
    """The SDK's connector, at the address of the setting."""

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        """The address as it is in the config: mysql+pymysql://..."""
        return str(config["url"])


class StockStream(SQLStream):
    """The SDK's stream."""

    connector_class = StockConnector


class StockTap(SQLTap):
    """The SDK's tap."""

    name = "stock-tap"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(th.Property("url", th.StringType)).to_dict()
    default_stream_class = StockStream


main = StockTap.cli
