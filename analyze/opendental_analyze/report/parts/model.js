// The analysis, and what follows from it: who refers to whom, and what is new about each table.

function readModel() {
  const analysis = JSON.parse(byId("analysis").textContent);
  const tables = analysis.tables.map(prepare);
  const byName = new Map(tables.map((table) => [table.name, table]));
  linkReferences(tables, byName);
  markNews(analysis, byName);
  return { analysis, tables, byName };
}

function prepare(facts) {
  const configuration = facts.configuration ?? {};
  const key = configuration.incremental_column ?? facts.replication.key;
  return {
    ...facts,
    configuration,
    key,
    importanceClass: configuration.table_importance ?? facts.importance.importance,
    strategy: configuration.extraction_strategy ?? "full_table",
    batchSize: configuration.batch_size ?? null,
    frequency: facts.usage.update_frequency,
    incoming: [], // references from other tables, as the tables that hold them describe them
    changes: [],
    problems: [],
    sought: `${facts.name}\n${key ?? ""}`.toLowerCase(),
    soughtColumns: null, // made when first asked for
  };
}

function linkReferences(tables, byName) {
  const known = new Set();
  for (const table of tables) {
    for (const reference of table.references) {
      byName.get(reference.to_table)?.incoming.push(reference);
      known.add(`${reference.to_table}\n${table.name}.${reference.column}`);
    }
  }
  // Tables outside a partial analysis are known by the text "table.column" alone.
  for (const table of tables) {
    for (const text of table.referenced_by) {
      if (known.has(`${table.name}\n${text}`)) continue;
      const at = text.lastIndexOf(".");
      table.incoming.push({ table: text.slice(0, at), column: text.slice(at + 1), to_table: table.name });
    }
  }
}

function markNews(analysis, byName) {
  for (const kind of ["changes", "problems"]) {
    for (const entry of analysis[kind] ?? []) byName.get(entry.table)?.[kind].push(entry);
  }
}

function columnsSought(table) {
  table.soughtColumns ??= table.columns.map((column) => column.name.toLowerCase()).join("\n");
  return table.soughtColumns;
}

// Neighbours of one side: one entry a table, its columns together; the weightiest first.
function neighbours(references, nameOf) {
  const found = new Map();
  for (const reference of references) {
    const name = nameOf(reference);
    if (!found.has(name)) found.set(name, { name, references: [] });
    found.get(name).references.push(reference);
  }
  const all = [...found.values()];
  const weight = (entry) => model.byName.get(entry.name)?.importance.score ?? -1;
  for (const entry of all) {
    entry.evidence = EVIDENCE.find((each) => entry.references.some((reference) => evidenceOf(reference) === each));
    entry.confidence = Math.max(0, ...entry.references.map((reference) => reference.confidence ?? 0));
  }
  return all.sort((a, b) => weight(b) - weight(a) || compareText(a.name, b.name));
}

// A reference from a table that was not analysed has no source: nothing is known of it but that it is there.
const EVIDENCE = ["documented", "guessed", "unknown"];

function evidenceOf({ source }) {
  if (!source) return "unknown";
  return source === "documented" ? source : "guessed";
}

const compareText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
