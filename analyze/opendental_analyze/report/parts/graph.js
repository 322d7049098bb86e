// The chosen table in the middle, the tables that refer to it on the left, those that it refers to on the right.
// Nodes are buttons; lines are drawn behind them. On a narrow screen the two sides stand below each other.

const SIDE = 24; // neighbours a side
const NODE = { height: 26, step: 31 };

function drawGraph(table) {
  const incoming = neighbours(
    table.incoming.filter((reference) => reference.table !== table.name), (reference) => reference.table
  );
  const outgoing = neighbours(
    table.references.filter((reference) => reference.to_table !== table.name), (reference) => reference.to_table
  );
  const itself = table.references.filter((reference) => reference.to_table === table.name);
  const box = el("div.graph", { role: "group", "aria-label": "Tables around the chosen one" });
  const caption = el("p.graph-caption.muted", {}, captionOf(table, itself));
  if (!incoming.length && !outgoing.length) return [
    el("p.muted", {}, "No reference to or from another table."), caption
  ];
  const sides = { incoming, outgoing, caption, rest: captionOf(table, itself) };
  new ResizeObserver(() => layOut(box, table, sides)).observe(box);
  return [graphKey([...incoming, ...outgoing].some((entry) => entry.evidence === "unknown")), box, caption];
}

function graphKey(withUnknown) {
  const line = (kind) => svg(
    "svg", { width: 28, height: 8, "aria-hidden": "true" }, svg(`line.edge${kind}`, { x1: 0, y1: 4, x2: 28, y2: 4 })
  );
  const entry = (kind, text) => el("span", {}, line(`.${kind}`), text);
  return el(
    "p.graph-key.muted", {}, entry("documented", "documented"), entry("guessed", "guessed, with its confidence"),
    withUnknown && entry("unknown", "from a table that was not analysed")
  );
}

function captionOf(table, itself) {
  const parts = [];
  if (itself.length) parts.push(`Refers to itself by ${itself.map((reference) => reference.column).join(", ")}.`);
  const names = table.polymorphic.join(", ");
  const verb = table.polymorphic.length === 1 ? "points" : "point";
  if (names) parts.push(`${names} ${verb} to different tables from row to row.`);
  return parts.join(" ") || "Point at a table to see the columns; choose it to walk there.";
}

function layOut(box, table, sides) {
  const width = box.clientWidth;
  if (!width || box.dataset.width === String(width)) return;
  box.dataset.width = width;
  const plan = width < 480 ? planTree(width, sides) : planSides(width, sides);
  const lines = svg("svg.edges", { width, height: plan.height, "aria-hidden": "true" }, arrowHead());
  const edges = [];
  const nodes = plan.nodes.map((node) => {
    if (node.heading) return el("span.graph-heading", { style: placeOf(node) }, node.heading);
    if (node.more) return drawMore(node);
    const edge = svg(`path.edge.${node.entry.evidence}`, { d: node.path, "marker-end": "url(#arrow)" });
    edges.push(edge);
    return drawNode(node, edge, table, sides, box);
  });
  const centre = el(
    `div.node.centre.${tone(table.importanceClass)}`, { style: placeOf(plan.centre) },
    el("b", {}, nameText(table.name)), el("span", {}, `${rowsText(table)} rows`)
  );
  box.style.height = `${plan.height}px`;
  replace(box, fill(lines, edges), centre, nodes);
}

function drawMore(node) {
  const properties = { type: "button", style: placeOf(node), onclick: () => openReferences(node.side) };
  return el("button.node.more-node", properties, `and ${count(node.more)} more`);
}

const placeOf = ({ x, y, width, height }) => ({
  left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px`
});

function arrowHead() {
  return svg(
    "defs", {},
    svg(
      "marker",
      {
        id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8,
        markerUnits: "userSpaceOnUse", orient: "auto-start-reverse"
      },
      svg("path.arrow", { d: "M0 0L8 4L0 8z" })
    )
  );
}

function drawNode(node, edge, table, sides, box) {
  const { entry } = node;
  const known = model.byName.get(entry.name);
  const text = describeEdge(entry);
  const light = (on) => () => {
    box.classList.toggle("lit", on);
    edge.classList.toggle("lit", on);
    replace(sides.caption, on ? text : sides.rest);
  };
  const properties = {
    type: "button", title: text, style: placeOf(node), disabled: !known, onclick: () => choose(entry.name),
    onmouseenter: light(true), onmouseleave: light(false), onfocus: light(true), onblur: light(false)
  };
  return el(`button.node.${tone(known?.importanceClass)}`, properties, el("span.node-name", {}, nameText(entry.name)),
    entry.references.length > 1 && el("span.node-note", {}, `×${entry.references.length}`),
    entry.evidence === "guessed" && el("span.node-note", {}, percent(entry.confidence)));
}

const percent = (confidence) => `${Math.round(100 * confidence)}%`;

function describeEdge(entry) {
  return entry.references.map((reference) => {
    const target = [reference.to_table, reference.to_column].filter(Boolean).join(".");
    return `${reference.table}.${reference.column} → ${target} (${describeEvidence(reference, " sure")})`;
  }).join("\n");
}

function describeEvidence(reference, sure = "") {
  const evidence = evidenceOf(reference);
  if (evidence === "guessed") return `${words(reference.source)}, ${percent(reference.confidence)}${sure}`;
  return evidence === "unknown" ? "its table was not analysed" : evidence;
}

function planSides(width, { incoming, outgoing }) {
  const side = Math.min(230, width * 0.32);
  const middle = Math.min(190, width * 0.24);
  const tallest = Math.max(sideRows(incoming), sideRows(outgoing), 2);
  const height = 26 + tallest * NODE.step;
  const centre = { x: (width - middle) / 2, y: 26 + (height - 26) / 2 - 27, width: middle, height: 54 };
  const nodes = [
    ...planSide(
      incoming, { x: 0, width: side, height, side: "incoming", heading: `${count(incoming.length)} refer to it` }
    ),
    ...planSide(
      outgoing,
      { x: width - side, width: side, height, side: "outgoing", heading: `refers to ${count(outgoing.length)}` }
    ),
  ];
  for (const node of nodes) if (node.entry) node.path = curve(node, centre);
  return { height, centre, nodes };
}

const sideRows = (entries) => Math.min(entries.length, SIDE) + (entries.length > SIDE ? 1 : 0);

function planSide(entries, place) {
  const top = 26 + (place.height - 26 - sideRows(entries) * NODE.step) / 2;
  const at = (row) => ({
    x: place.x, y: top + row * NODE.step, width: place.width, height: NODE.height, side: place.side
  });
  const nodes = entries.slice(0, SIDE).map((entry, row) => ({ ...at(row), entry }));
  if (entries.length > SIDE) nodes.push({ ...at(SIDE), more: entries.length - SIDE });
  return [{ x: place.x, y: 0, width: place.width, height: 20, heading: place.heading }, ...nodes];
}

// Arrows point at the table that is referred to.
function curve(node, centre) {
  const incoming = node.side === "incoming";
  const y = node.y + node.height / 2;
  const spread = (y - (centre.y + centre.height / 2)) * 0.05;
  const middle = centre.y + centre.height / 2 + Math.max(-20, Math.min(20, spread));
  const [x1, y1, x2, y2] = incoming ? [node.x + node.width, y, centre.x - 1, middle] : [
    centre.x + centre.width, middle, node.x - 1, y
  ];
  const bend = (x2 - x1) / 2;
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

function planTree(width, { incoming, outgoing }) {
  const centre = { x: 0, y: 0, width: Math.min(width, 240), height: 48 };
  const nodes = [];
  let y = 62;
  for (const [side, entries, heading] of [
    ["outgoing", outgoing, "refers to"], ["incoming", incoming, "referred to by"]
  ]) {
    if (!entries.length) continue;
    nodes.push({ x: 34, y, width: width - 34, height: 20, heading: `${heading} ${count(entries.length)}` });
    y += 24;
    for (const entry of entries.slice(0, SIDE)) {
      const middle = y + NODE.height / 2;
      const path = side === "outgoing" ? `M14 48V${middle}H33` : `M33 ${middle}H14V49`;
      nodes.push({ x: 34, y, width: width - 34, height: NODE.height, side, entry, path });
      y += NODE.step;
    }
    if (entries.length > SIDE) {
      nodes.push({ x: 34, y, width: width - 34, height: NODE.height, side, more: entries.length - SIDE });
      y += NODE.step;
    }
    y += 8;
  }
  return { height: y, centre, nodes };
}

function openReferences(side) {
  const all = byId(`references-${side}`);
  all.open = true;
  all.scrollIntoView({ block: "nearest" });
  all.querySelector("summary").focus({ preventScroll: true });
}
