// Everything about the chosen table, with the reason of each choice.

function drawDetails(table) {
  replace(byId("details"), detailsHead(table), el("div.details-body", {},
    newsOf(table),
    section("Replication key", drawReplication(table)),
    section("Relationships", drawGraph(table), referenceLists(table)),
    section("Importance", drawImportance(table)),
    section("Configuration", drawConfiguration(table)),
    section(`Columns (${count(table.columns.length)})`, drawColumns(table)),
    section(`Indexes (${count(table.indexes.length + (table.primary_key.length ? 1 : 0))})`, drawIndexes(table)),
    section(
      "Structure",
      facts([
        ["Schema hash", code(table.schema_hash)], ["Engine", table.engine], ["Character set", table.charset],
        ["Last analysed", table.configuration.last_analyzed ?? "never"]
      ])
    )));
}

const section = (title, ...content) => el("section.block", {}, el("h3", {}, title), content);
const facts = (pairs) => el(
  "dl.facts", {}, pairs.filter(Boolean).map(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])
);

function detailsHead(table) {
  const title = el("h2", { tabindex: "-1", id: "details-title" }, nameText(table.name));
  const wide = el(
    "button.icon.wide-button",
    {
      type: "button", "aria-pressed": String(byId("layout").classList.contains("wide")), title: "Wider",
      "aria-label": "Wider", onclick: widen
    },
    "⤢"
  );
  const close = el(
    "button.icon", { type: "button", title: "Close", "aria-label": "Close", onclick: () => choose(null) }, "×"
  );
  const megabytes = megabytesText(table.megabytes, table.rows);
  const size = `${rowsText(table)} rows  ·  ${megabytes} MB  ·  updates: ${words(table.frequency)}`;
  const tags = [table.importanceClass, table.strategy].map((value) => el(`span.pill.${tone(value)}`, {}, words(value)));
  const name = el("div.details-name", {}, title, el("p.muted", {}, size), el("p.tags", {}, tags));
  return el("div.details-head", {}, name, wide, close);
}

function widen(event) {
  const on = byId("layout").classList.toggle("wide");
  event.currentTarget.setAttribute("aria-pressed", String(on));
}

function newsOf(table) {
  if (!table.changes.length && !table.problems.length) return null;
  const problem = ({ key, message }) => el("p", {}, badge("problem", "warn"), " ", code(key), " ", message);
  const change = (each) => el("p", {}, badge("changed", "new"), " ", describeChange(each));
  return el("div.news", {}, table.problems.map(problem), table.changes.map(change));
}

function drawReplication(table) {
  const { replication } = table;
  const rejected = replication.candidates.filter((candidate) => candidate.column !== replication.key);
  const notes = [
    replication.key && (replication.indexed ? "indexed" : "not indexed"), replication.append_only && "append-only"
  ].filter(Boolean);
  const whole = table.key && table.strategy === "full_table";
  return [
    el(
      "p.answer", {}, replication.key ? code(replication.key) : el("b", {}, "none"), notes.map((note) => badge(note))
    ),
    el("p", {}, sentence(replication.reason)),
    whole && el(
      "p", {}, "Read whole all the same: ", table.reasons.extraction_strategy ?? "its strategy is full table"
    ),
    table.key !== replication.key && el(
      "p", {}, badge("set by a person", "new"), " tables.yml reads by ", code(table.key)
    ),
    el(
      "p.muted", {}, `Updates ${words(table.usage.update_frequency)}: ${table.usage.reason}`,
      Number.isInteger(table.usage.recent_rows) && ` (${count(table.usage.recent_rows)} rows in the last week)`
    ),
    rejected.length > 0 && el("h4", {}, "Turned down"),
    rejected.length > 0 && el(
      "ul.candidates", {},
      groupCandidates(rejected).map((group) => el(
        "li", {},
        el("div", {}, badge(words(group.verdict), "trap"), group.columns.map((column) => [" ", code(column)])),
        el("p.muted", {}, sentence(group.reason))
      ))
    ),
  ];
}

// Columns that were turned down for the same reason stand together.
function groupCandidates(candidates) {
  const groups = new Map();
  for (const { column, verdict, reason } of candidates) {
    const key = `${verdict}\n${reason}`;
    if (!groups.has(key)) groups.set(key, { verdict, reason, columns: [] });
    groups.get(key).columns.push(column);
  }
  return [...groups.values()];
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

function drawImportance(table) {
  const { importance } = table;
  const set = table.importanceClass !== importance.importance && el(
    "p", {}, badge("set by a person", "new"), ` tables.yml says ${words(table.importanceClass)}`
  );
  return [
    el(
      "div.meter", { role: "img", "aria-label": `score ${importance.score} of 100` },
      el(`i.${tone(importance.importance)}`, { style: { width: `${Math.min(100, Math.max(0, importance.score))}%` } })
    ),
    el("p", {}, el("b", {}, words(importance.importance)), `, score ${importance.score} of 100`), set,
    el("ul.reasons", {}, importance.reasons.map((reason) => {
      const [points] = /^[+-]\d+/.exec(reason) ?? [""];
      return el("li", {}, el("b", {}, points), el("span", {}, reason.slice(points.length).trim()));
    })),
  ];
}

const HIDDEN_SETTINGS = new Set(["schema_hash", "last_analyzed", "analysis_version", "overrides", "dependencies"]);

function drawConfiguration(table) {
  const { configuration, reasons } = table;
  const rows = Object.entries(configuration).filter(([key]) => !HIDDEN_SETTINGS.has(key)).flatMap(([key, value]) => {
    if (key !== "monitoring" || typeof value !== "object" || !value) return [[key, value]];
    return Object.entries(value).map(([part, each], at) => [`${key}.${part}`, each, at === 0 ? key : null]);
  });
  rows.sort(([a], [b]) => settingOrder(a) - settingOrder(b) || compareText(a, b));
  const overridden = (key) => Object.hasOwn(configuration.overrides ?? {}, key) || Object.hasOwn(
    configuration.overrides ?? {}, key.split(".")[0]
  );
  const reasonOf = (key) => (Object.hasOwn(reasons, key) ? reasons[key] : null);
  return [
    el("div.scroll", {
      tabindex: "0", role: "region", "aria-label": "Configuration"
    }, el("table.grid.small.settings", {}, el("tbody", {}, rows.map(([key, value, explained = key]) => el("tr", {}, el(
      "th", { scope: "row" }, code(key)
    ),
      el(
        "td", {}, valueText(value), overridden(key) && badge("set by a person", "new")
      ), el("td.muted", {}, reasonOf(explained))))))),
    (configuration.dependencies ?? []).length > 0 && el(
      "p.dependencies", {}, el("span.muted", {}, "Loads after "),
      configuration.dependencies.map((name, at) => [at > 0 && ", ", tableLink(name)])
    ),
  ];
}

const SETTINGS = [
  "incremental_column", "extraction_strategy", "batch_size", "table_importance", "is_modeled", "estimated_rows",
  "estimated_size_mb", "column_overrides"
];
const settingOrder = (key) => (SETTINGS.indexOf(key) + SETTINGS.length + 1) % (SETTINGS.length + 1);

function valueText(value) {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return value.toLocaleString("en-US", { maximumFractionDigits: 3 });
  if (Array.isArray(value)) return value.map(valueText).join(", ") || "none";
  if (typeof value !== "object") return words(value) === value ? value : words(value);
  const parts = Object.entries(value).map(([key, each]) => `${key}: ${valueText(each)}`);
  return parts.join("; ") || "none";
}

function drawColumns(table) {
  const targets = new Map(table.references.map((reference) => [reference.column, reference]));
  const rows = table.columns.map((column) => el("tr", {}, el("th", { scope: "row" }, code(column.name)),
    el(
      "td", {}, el("span.type", {}, column.type), column.nullable && el("span.muted", {}, " null"),
      column.default !== null && column.default !== "NULL" && el(
        "span.muted.default", {}, ` default ${column.default}`
      )
    ),
    el("td", {}, el("div.badges", {}, badgesOf(table, column, targets.get(column.name))))));
  return el(
    "div.scroll", { tabindex: "0", role: "region", "aria-label": "Columns" },
    el("table.grid.small.columns", {}, el("tbody", {}, rows))
  );
}

function badgesOf(table, column, reference) {
  const kinds = Object.entries(column.kinds ?? {}).filter(([kind]) => kind !== "reference");
  return [
    column.name === table.key && badge("replication key", "new", table.replication.reason),
    kinds.map(([kind, reason]) => badge(words(kind), kind === "key" ? "key" : "", reason)),
    reference && el(
      "span.badge.target", { title: reference.reason }, "→ ", tableLink(reference.to_table),
      evidenceOf(reference) === "guessed" && ` ${percent(reference.confidence)}`
    ),
    (column.patient_data ?? []).map((each) => badge(words(each), "patient", "patient data")),
    column.secret && badge("secret", "secret", `never read: ${column.secret}`),
  ];
}

function drawIndexes(table) {
  const prefix = (column) => (column.length ? `(${column.length})` : "");
  const part = (column) => `${column.name}${prefix(column)}${column.descending ? " desc" : ""}`;
  const primary = table.primary_key.length > 0 && el(
    "li", {}, code(table.primary_key.join(", ")), badge("primary key", "key")
  );
  const others = table.indexes.map((index) => el(
    "li", {}, code(index.columns.map(part).join(", ")), index.unique && badge("unique"),
    index.kind !== "BTREE" && badge(index.kind.toLowerCase()), el("span.muted", {}, nameText(index.name))
  ));
  if (!primary && !others.length) return el(
    "p.muted", {}, "None: without a primary key the table can only be read whole."
  );
  return el("ul.plain.indexes", {}, primary, others);
}

function referenceLists(table) {
  const out = table.references.map((reference) => el(
    "li", {}, code(reference.column), " → ", tableLink(reference.to_table), " ", evidence(reference)
  ));
  const incoming = [...table.incoming].sort((a, b) => compareText(a.table, b.table) || compareText(a.column, b.column));
  return [
    foldable("outgoing", `Refers to, by column (${count(out.length)})`, out),
    foldable(
      "incoming", `Referred to, by column (${count(incoming.length)})`,
      incoming.map((reference) => el(
        "li", {}, tableLink(reference.table), code(reference.column), " ", evidence(reference)
      ))
    ),
  ];
}

function foldable(side, title, items) {
  if (!items.length) return null;
  return el("details", { id: `references-${side}` }, el("summary", {}, title), el("ul.plain.references", {}, items));
}

function evidence(reference) {
  const orphans = `, ${count(reference.orphans)} of ${count(reference.sampled)} sampled values had no row there`;
  const probe = reference.sampled ? orphans : "";
  return el("span.muted", { title: reference.reason }, describeEvidence(reference) + probe);
}
