"""report.html: one page that shows an analysis, with its style, its script and its data inside. Text in, text out."""

from opendental_analyze.report.page import render_report

__all__ = ["render_report"]
