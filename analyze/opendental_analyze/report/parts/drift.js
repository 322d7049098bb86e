// What is different from the last tables.yml, and what needs a person.

const SHOWN = 6;

function drawDrift() {
  const { changes, problems, left_out: leftOut, missing } = model.analysis;
  const columns = [
    driftList(
      "Changes", plural(changes.length, "change"), groupChanges(changes),
      (group) => el("li", {}, tableLink(group.table), " ", group.texts.map((text) => el("span.change", {}, text)))
    ),
    driftList(
      "Problems", plural(problems.length, "problem"), problems,
      (problem) => el("li", {}, tableLink(problem.table), " ", code(problem.key), " ", problem.message), "warn"
    ),
    driftList(
      "Left out", `${plural(leftOut.length, "table")} left out`, leftOut,
      (entry) => el("li", {}, nameText(entry.table), " ", el("span.change", {}, entry.reason))
    ),
    driftList(
      "Missing", `${plural(missing.length, "official table")} not seen`, missing,
      (name) => el("li", {}, nameText(name))
    ),
  ].filter(Boolean);
  const quietly = "No difference from the last tables.yml, or there was none; nothing left out, no problem.";
  replace(byId("drift"), el("div.panel-head", {}, el("h2", { id: "drift-title" }, "Since the last run")),
    columns.length ? el("div.drift", {}, columns) : el("p.muted", {}, quietly));
}

function driftList(kind, title, items, render, tint = "") {
  if (!items.length) return null;
  return el(
    `div.drift-column${tint ? "." + tint : ""}`, { "data-kind": kind }, el("h3", {}, title),
    shortList(items, SHOWN, render)
  );
}

// One entry a table. A first run, which makes every table new, is one line.
function groupChanges(changes) {
  const added = changes.filter((change) => change.key === "table" && change.before === null);
  const firstRun = added.length > SHOWN && added.length === model.tables.length;
  const groups = new Map();
  for (const change of firstRun ? changes.filter((each) => !added.includes(each)) : changes) {
    if (!groups.has(change.table)) groups.set(change.table, { table: change.table, texts: [] });
    groups.get(change.table).texts.push(describeChange(change));
  }
  const first = firstRun ? [{ table: "first run:", texts: [`all ${count(added.length)} tables are new`] }] : [];
  return [...first, ...groups.values()];
}

function describeChange({ key, before, after }) {
  if (key === "table") return before === null ? "new table" : "no longer there";
  if (key === "schema_hash") return before === null ? "structure reviewed for the first time" : "structure changed";
  const parts = [`${words(key)}: ${valueText(before)} → ${valueText(after)}`];
  if (typeof before === "number" && typeof after === "number" && before > 0 && key.startsWith("estimated")) {
    const change = Math.round((100 * (after - before)) / before);
    parts.push(` (${change > 0 ? "+" : ""}${change}%)`);
  }
  return parts.join("");
}
