// The table of tables: sorted by a column, filtered by text and chips, drawn a page at a time.

const COLUMNS = [
  { key: "name", label: "Table", value: (table) => table.name.toLowerCase(), cell: nameCell, text: true },
  { key: "importance", label: "Importance", value: (table) => table.importance.score, cell: importanceCell },
  { key: "rows", label: "Rows", value: (table) => table.rows, cell: (table) => rowsText(table), number: true },
  {
    key: "megabytes", label: "MB", value: (table) => table.megabytes,
    cell: (table) => megabytesText(table.megabytes, table.rows), number: true
  },
  {
    key: "strategy", label: "Strategy", value: (table) => STRATEGIES.indexOf(table.strategy),
    cell: (table) => [dot(table.strategy), words(table.strategy)], text: true
  },
  {
    key: "key", label: "Replication key", value: (table) => table.key?.toLowerCase() ?? null, cell: keyCell,
    text: true
  },
  {
    key: "frequency", label: "Updates", value: (table) => FREQUENCIES.indexOf(table.frequency),
    cell: (table) => words(table.frequency), text: true
  },
  {
    key: "batch", label: "Batch", value: (table) => table.batchSize, cell: (table) => count(table.batchSize),
    number: true
  },
  {
    key: "out", label: "Refers to", value: (table) => table.references.length,
    cell: (table) => quiet(table.references.length), number: true
  },
  {
    key: "in", label: "Referred by", value: (table) => table.incoming.length,
    cell: (table) => quiet(table.incoming.length), number: true
  },
];
const FREQUENCIES = ["high", "moderate", "low", "insert_only", "static"];
const PAGE = 150;

const list = {
  sort: "megabytes", descending: true, text: "", inColumns: false, importance: new Set(), strategy: new Set(),
  news: new Set(), found: [], drawn: 0
};
const NEWS = {
  changed: (table) => table.changes.length > 0,
  "with problem": (table) => table.problems.length > 0,
  "with key": (table) => Boolean(table.key),
  "with rows": (table) => table.rows > 0,
};

const quiet = (value) => (value ? count(value) : el("span.muted", {}, "0"));

function nameCell(table) {
  return [
    el(
      "button.link", { type: "button", onclick: (event) => { event.stopPropagation(); choose(table.name); } },
      nameText(table.name)
    ),
    table.changes.length > 0 && badge("changed", "new"),
    table.problems.length > 0 && badge("problem", "warn"),
  ];
}

function importanceCell(table) {
  return el(
    "span.score", {}, dot(table.importanceClass), el("span", {}, words(table.importanceClass)),
    el("span.muted", {}, table.importance.score)
  );
}

function keyCell(table) {
  if (!table.key) return el("span.muted", {}, "none");
  const read = table.strategy === "full_table";
  return el(
    `code${read ? ".muted" : ""}`, { title: read ? "known, but the table is read whole" : table.replication.reason },
    nameText(table.key)
  );
}

function setUpList() {
  replace(byId("list-filters"), searchBox(),
    chips("Importance", "importance", IMPORTANCES, (table) => table.importanceClass),
    chips("Strategy", "strategy", STRATEGIES, (table) => table.strategy),
    chips("Only", "news", Object.keys(NEWS), null));
  list.body = el("tbody");
  list.head = el("tr", {}, COLUMNS.map(headCell));
  list.more = el("button.more", { type: "button", onclick: () => drawRows(list.found.length) }, "");
  // The button stands below the list that scrolls: inside, the rows drawn ahead would push it away from under a click.
  const end = el("div.end");
  replace(byId("list"), el("table.grid", {}, el("thead", {}, list.head), list.body), end);
  byId("list").after(list.more);
  const drawAhead = (entries) => entries.some((entry) => entry.isIntersecting) && drawRows(PAGE);
  new IntersectionObserver(drawAhead, { root: byId("list"), rootMargin: "600px" }).observe(end);
  addEventListener("beforeprint", () => drawRows(list.found.length));
  refreshList();
}

function searchBox() {
  const box = el(
    "input",
    {
      type: "search", id: "search", placeholder: "Find a table or a key",
      "aria-label": "Find a table or a replication key", autocomplete: "off", spellcheck: "false",
      oninput: (event) => { list.text = event.target.value; refreshList(); }
    }
  );
  const columns = el(
    "input",
    {
      type: "checkbox", id: "in-columns",
      onchange: (event) => { list.inColumns = event.target.checked; refreshList(); }
    }
  );
  return el("div.search", {}, box, el("label.check", {}, columns, "in column names too"));
}

function chips(label, group, keys, valueOf) {
  const counts = new Map();
  for (const table of model.tables) {
    for (const key of keys) if (valueOf ? valueOf(table) === key : NEWS[key](table)) counts.set(
      key, (counts.get(key) ?? 0) + 1
    );
  }
  const shown = keys.filter((key) => counts.get(key));
  if (!shown.length) return null;
  const buttons = shown.map((key) => el("button.chip", {
    type: "button", "aria-pressed": "false", "data-group": group, "data-key": key,
    onclick: () => toggleChip(group, key)
  },
    valueOf && dot(key), words(key), el("span.muted", {}, count(counts.get(key)))));
  return el("div.chips", { role: "group", "aria-label": label }, buttons);
}

function toggleChip(group, key) {
  if (!list[group].delete(key)) list[group].add(key);
  refreshList();
}

// What the bars of the summary do: these tables and no others.
function filterOnly(group, key) {
  for (const each of ["importance", "strategy", "news"]) list[each].clear();
  list[group].add(key);
  refreshList();
  byId("tables").scrollIntoView({ block: "start" });
  byId("tables").focus({ preventScroll: true });
}

function headCell(column) {
  const button = el("button.sort", { type: "button", onclick: () => sortBy(column) }, column.label);
  return el(`th${column.number ? ".number" : ""}`, { scope: "col", "data-key": column.key }, button);
}

function sortBy(column) {
  const again = list.sort === column.key;
  list.descending = again ? !list.descending : !column.text;
  list.sort = column.key;
  refreshList();
}

function refreshList() {
  const text = list.text.trim().toLowerCase();
  list.found = model.tables.filter((table) => isFound(table, text)).sort(comparator());
  for (const head of list.head.children) {
    const direction = list.descending ? "descending" : "ascending";
    head.setAttribute("aria-sort", head.dataset.key === list.sort ? direction : "none");
  }
  for (const chip of byId("list-filters").querySelectorAll(".chip")) {
    chip.setAttribute("aria-pressed", String(list[chip.dataset.group].has(chip.dataset.key)));
  }
  const all = model.tables.length;
  replace(
    byId("list-count"),
    list.found.length === all ? `${plural(all, "table")}` : `${count(list.found.length)} of ${plural(all, "table")}`
  );
  list.drawn = 0;
  list.body.replaceChildren();
  drawRows(PAGE);
  byId("list").scrollTop = 0;
}

function isFound(table, text) {
  if (list.importance.size && !list.importance.has(table.importanceClass)) return false;
  if (list.strategy.size && !list.strategy.has(table.strategy)) return false;
  for (const key of list.news) if (!NEWS[key](table)) return false;
  return !text || table.sought.includes(text) || (list.inColumns && columnsSought(table).includes(text));
}

// Nothing comes last in both directions; equal values in the order of rows, then of names.
function comparator() {
  const { value } = COLUMNS.find((column) => column.key === list.sort);
  const sign = list.descending ? -1 : 1;
  return (a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return (left === null) - (right === null) || compareText(a.name, b.name);
    return sign * (left < right ? -1 : left > right ? 1 : 0) || b.rows - a.rows || compareText(a.name, b.name);
  };
}

function drawRows(number) {
  const page = list.found.slice(list.drawn, list.drawn + number);
  list.body.append(...page.map(drawRow));
  list.drawn += page.length;
  const left = list.found.length - list.drawn;
  list.more.hidden = left === 0;
  replace(list.more, `Show ${count(left)} more`);
  if (!list.found.length) list.body.append(el(
    "tr", {},
    el(
      "td.empty", { colspan: COLUMNS.length },
      model.tables.length ? "No table fits. Clear the text or a chip." : "There is no table."
    )
  ));
}

function drawRow(table) {
  const cells = COLUMNS.map((column, at) => el(
    `${at ? "td" : "th"}${column.number ? ".number" : ""}`, at ? {} : { scope: "row" }, column.cell(table)
  ));
  const row = el(
    "tr", { onclick: () => choose(table.name), "aria-current": table.name === state.chosen && "true" }, cells
  );
  table.row = row;
  return row;
}

function markList(before) {
  model.byName.get(before)?.row?.removeAttribute("aria-current");
  model.byName.get(state.chosen)?.row?.setAttribute("aria-current", "true");
}
