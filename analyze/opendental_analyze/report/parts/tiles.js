// The head of the page: what was analysed, and the numbers that a person asks for first.

function drawMasthead() {
  const { analysis } = model;
  replace(byId("database"), nameText(analysis.database));
  const flavour = { mariadb: "MariaDB", mysql: "MySQL" }[analysis.server?.flavour] ?? analysis.server?.flavour;
  const version = String(analysis.server?.version ?? "").replace(/-MariaDB.*$/, "");
  const known = `knowledge of Open Dental ${analysis.knowledge_version}`;
  const facts = [
    `${flavour} ${version}`,
    `analysed on ${analysis.analyzed_on}`,
    analysis.knowledge_version === "none" ? "no knowledge of Open Dental" : known,
    analysis.probed ? "data sampled" : "structure only, no data sampled",
  ];
  const partial = `${plural(model.tables.length, "table")} only, chosen with --tables`;
  replace(
    byId("provenance"),
    analysis.complete === false && [badge("partial", "warn"), ` ${partial}  ·  `], facts.join("  ·  ")
  );
  replace(
    byId("colophon"),
    `Analysis version ${analysis.analysis_version}. This page holds no row values, and loads nothing from anywhere.`
  );
}

function drawTiles() {
  const { summary } = model.analysis;
  const avoided = Object.keys(TRAPS).filter((key) => summary.traps?.[key]);
  replace(
    byId("tiles"),
    tile(
      "Tables", count(summary.tables),
      `${count(summary.columns)} columns, ${plural(summary.empty_tables, "empty table")}`
    ),
    tile("Size", sizeText(summary.megabytes), `${millions(summary.rows)} rows`),
    tile("Replication keys", count(summary.incremental_columns), incrementalShare()),
    tile(
      "Traps avoided", count(avoided.reduce((total, key) => total + summary.traps[key], 0)),
      avoided.map((key) => plural(summary.traps[key], ...TRAPS[key])).join(", ") || "no column would have misled"
    ),
    tile("References", count(summary.references), "columns that hold keys of other tables"),
    tile("Monitored", count(summary.monitored), "tables that raise an alert when they fail"),
    tile("Secrets withheld", count(summary.secrets), "columns that are never read"),
    tile("Since the last run", plural(summary.changes, "change"), driftHint(summary), summary.problems ? "warn" : ""),
    barTile("Importance", IMPORTANCES, summary.importance, "importance"),
    barTile("Strategy", STRATEGIES, summary.strategies, "strategy"),
  );
}

// Columns that look like a replication key, and would lose changes.
const TRAPS = {
  event_time: ["event time"],
  insert_only: ["insert-only time"],
  dead_copy: ["dead copy", "dead copies"],
  unusable: ["unusable key"],
};

function incrementalShare() {
  const all = model.tables.reduce((total, table) => total + table.rows, 0);
  const changed = model.tables.filter((table) => table.strategy !== "full_table").reduce(
    (total, table) => total + table.rows, 0
  );
  return all ? `${Math.round((100 * changed) / all)}% of all rows are read only when they change` : "no rows yet";
}

function driftHint(summary) {
  const parts = [
    summary.problems && plural(summary.problems, "problem"),
    summary.left_out && `${count(summary.left_out)} left out`,
    summary.missing && `${count(summary.missing)} missing`,
  ].filter(Boolean);
  return parts.join(", ") || "no problem found";
}

function tile(label, value, hint, kind = "") {
  return el(
    `div.tile${kind ? "." + kind : ""}`, {}, el("h2.tile-label", {}, label), el("p.tile-value", {}, value),
    el("p.tile-hint", {}, hint)
  );
}

// A bar of all tables, and its parts as buttons that filter the list.
function barTile(label, order, counts = {}, group) {
  const parts = order.filter((key) => counts[key]);
  const bar = parts.map((key) => el(`i.${tone(key)}`, { style: { "flex-grow": counts[key] } }));
  const legend = parts.map((key) => el("li", {}, el("button.legend-item", {
    type: "button", title: `Show these tables only`, onclick: () => filterOnly(group, key)
  },
    dot(key), el("span", {}, words(key)), el("b", {}, count(counts[key])))));
  return el(
    "div.tile.wide", {}, el("h2.tile-label", {}, label), el("div.bar", { "aria-hidden": "true" }, bar),
    el("ul.legend", {}, legend)
  );
}
