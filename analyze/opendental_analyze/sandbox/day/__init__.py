"""One day at the practice: `play_day` plays it on a server and tells what it did, as the ground truth of tests.

Its choices come from the seed and the database's content, its timestamps from the server's clock. It begins at the turn
of a second, so that it shares none with what was there before. The result is made of JSON's types:

- `seed`, `started_at`, `finished_at`: the latter two are the server's NOW() in UTC, as text.
- `tables`: by table the rows `inserted`, `updated` and `deleted`, evening against morning: a row that was inserted and
  deleted within the day counts nowhere, one that was updated twice counts once. Added columns are not counted.
- `added_columns`: by table the columns that the upgrade added, each with `name`, `type` and `default`. Old rows of an
  incremental table show the default from then on, while their timestamps stay where they are.
- `invisible`: by incremental table (one with a primary key and a column that updates itself) the `key`'s columns, and
  the keys of rows `deleted` and of rows `rewritten` while no timestamp of theirs moved: what no bookmark can see. A row
  that another change of the day made visible is not among them; a row that an earlier day inserted is, once deleted.
- `invisible_append_only`: the same for tables that a bookmark on an increasing primary key could follow.
"""

from opendental_analyze.sandbox.day.play import play_day

__all__ = ["play_day"]
