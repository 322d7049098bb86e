// Elements and words. Names of tables and columns are hostile text: they become text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

// el("button.chip", {type: "button", onclick}, "text", element, [more], null): properties on*, data, class, attributes.
function el(spec, properties = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  return fill(dress(document.createElement(tag), classes, properties), children);
}

function svg(spec, properties = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  return fill(dress(document.createElementNS(SVG, tag), classes, properties), children);
}

function dress(element, classes, properties) {
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, text] of Object.entries(value)) element.style.setProperty(name, text);
    else element.setAttribute(key, value === true ? "" : value);
  }
  return element;
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

const byId = (id) => document.getElementById(id);
const replace = (element, ...children) => fill((element.replaceChildren(), element), children);

// A name keeps its own direction: a Hebrew table does not turn the line around.
const nameText = (name) => el("bdi", {}, name);
const code = (text) => el("code", {}, el("bdi", {}, text));

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const TENTH = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

const count = (value) => WHOLE.format(value ?? 0);
const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many ?? one + "s"}`;

function rowsText(table) {
  return (table.rows_exact === false && table.rows ? "≈ " : "") + count(table.rows);
}

function megabytesText(megabytes, rows = 0) {
  if (!megabytes) return rows ? "< 0.1" : "0";
  return megabytes < 100 ? TENTH.format(megabytes) : WHOLE.format(megabytes);
}

function sizeText(megabytes) {
  return megabytes >= 1024 ? `${TENTH.format(megabytes / 1024)} GB` : `${megabytesText(megabytes)} MB`;
}

function millions(value) {
  if (value >= 1e6) return `${TENTH.format(value / 1e6)} million`;
  return count(value);
}

const WORDS = {
  full_table: "full table",
  incremental: "incremental",
  chunked_incremental: "chunked",
  streaming_incremental: "streaming",
  insert_only: "insert only",
  event_time: "event time",
  dead_copy: "dead copy",
  append_only_key: "append-only key",
  sentinel_date: "sentinel date",
  large_text: "large text",
  ticks: "duration (ticks)",
  interval: "duration",
  incremental_column: "replication key",
  extraction_strategy: "strategy",
  table_importance: "importance",
  estimated_size_mb: "size in MB",
  estimated_rows: "rows",
  is_modeled: "modeled",
  schema_hash: "structure",
  no_primary_key: "no primary key",
  contained_name: "name contains a key",
  name: "named like a key",
};
const words = (key) => (Object.hasOwn(WORDS, key) ? WORDS[key] : String(key).replaceAll("_", " "));

const IMPORTANCES = ["critical", "important", "reference", "audit", "standard"];
const STRATEGIES = ["full_table", "incremental", "chunked_incremental", "streaming_incremental"];
// A class of ours, or none: a value that this page does not know gets no colour, and nothing else happens.
const tone = (value) => (IMPORTANCES.includes(value) || STRATEGIES.includes(value) ? `tone-${value}` : "tone-standard");

const badge = (text, kind, title) => el(`span.badge${kind ? "." + kind : ""}`, { title }, text);
const dot = (value) => el(`i.dot.${tone(value)}`, { "aria-hidden": "true" });

// A button that chooses a table; plain text when the analysis does not have it.
function tableLink(name) {
  if (!model.byName.has(name)) return nameText(name);
  return el("button.link", { type: "button", onclick: () => choose(name) }, nameText(name));
}

// The first `limit` entries, and a button that shows the others.
function shortList(items, limit, render, spec = "ul.plain") {
  const list = el(spec, {}, items.slice(0, limit).map(render));
  if (items.length <= limit) return [list];
  const more = el("button.more", { type: "button" }, `Show ${count(items.length - limit)} more`);
  more.addEventListener("click", () => {
    fill(list, items.slice(limit).map(render));
    more.remove();
  });
  return [list, more];
}
