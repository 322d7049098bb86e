// Sizes as areas: a squarified treemap of buttons, one for each table that is large enough to be seen.

const treemap = { size: "megabytes", colour: "importanceClass", cells: [], tables: new Map() };
const SMALLEST_CELL = 48; // square pixels
const MOST_CELLS = 800;

function setUpTreemap() {
  // In a small practice most tables are below 0.05 MB: its rows tell more.
  const drawn = (size) => model.tables.filter((table) => table[size] > 0).length;
  if (drawn("megabytes") * 3 < drawn("rows")) treemap.size = "rows";
  replace(
    byId("treemap-switches"),
    switcher("Area", [["megabytes", "MB"], ["rows", "rows"]], "size"),
    switcher("Colour", [["importanceClass", "importance"], ["strategy", "strategy"]], "colour"),
  );
  const box = byId("treemap");
  box.addEventListener("keydown", moveInTreemap);
  box.addEventListener("mouseover", (event) => tipForCell(event.target.closest("button")));
  box.addEventListener("mouseleave", hideTip);
  new ResizeObserver(() => drawTreemap()).observe(box);
}

function switcher(label, options, key) {
  const press = () => buttons.forEach((button, at) => {
    button.setAttribute("aria-pressed", String(options[at][0] === treemap[key]));
  });
  const choice = (value) => () => {
    treemap[key] = value;
    press();
    drawTreemap();
  };
  const buttons = options.map(([value, text]) => el("button", { type: "button", onclick: choice(value) }, text));
  press();
  return el("div.switch", { role: "group", "aria-label": label }, el("span.muted", {}, label), buttons);
}

function drawTreemap() {
  const box = byId("treemap");
  const [width, height] = [box.clientWidth, box.clientHeight];
  const entries = entriesBySize(width * height);
  const focused = treemap.tables.get(document.activeElement);
  treemap.tables.clear();
  treemap.cells = squarify(entries, { x: 0, y: 0, width, height }).map(drawCell);
  replace(box, treemap.cells);
  markTreemap();
  if (focused) treemap.cells.find((cell) => treemap.tables.get(cell) === focused)?.focus();
  drawLegend();
}

function entriesBySize(area) {
  const sized = model.tables.filter((table) => table[treemap.size] > 0);
  sized.sort((a, b) => b[treemap.size] - a[treemap.size]);
  const total = sized.reduce((all, table) => all + table[treemap.size], 0);
  const drawn = sized.filter((table, at) => at < MOST_CELLS && (table[treemap.size] / total) * area >= SMALLEST_CELL);
  const rest = sized.slice(drawn.length);
  const entries = drawn.map((table) => ({ table, value: table[treemap.size] }));
  const small = rest.reduce((all, table) => all + table[treemap.size], 0);
  if (rest.length) entries.push({ rest: rest.length, value: Math.max(small, (total * 60) / Math.max(area, 1)) });
  noteLeftOut(model.tables.length - sized.length);
  return entries.sort((a, b) => b.value - a.value);
}

function noteLeftOut(zero) {
  const what = treemap.size === "rows" ? "without rows" : "below 0.05 MB";
  replace(byId("treemap-note"), zero ? `${plural(zero, "table")} ${what}, not drawn` : "");
}

// Rows of cells along the shorter side, each row as long as its cells get squarer (Bruls, Huizing, van Wijk 2000).
function squarify(entries, space) {
  const total = entries.reduce((all, entry) => all + entry.value, 0);
  const scale = total ? (space.width * space.height) / total : 0;
  const sized = entries.map((entry) => ({ ...entry, area: entry.value * scale }));
  const placed = [];
  let [start, left] = [0, { ...space }];
  while (start < sized.length) {
    const side = Math.min(left.width, left.height);
    let [end, area] = [start + 1, sized[start].area];
    while (end < sized.length && worst(
      sized, start, end + 1, area + sized[end].area, side
    ) <= worst(sized, start, end, area, side)) {
      area += sized[end].area;
      end += 1;
    }
    left = placeRow(sized.slice(start, end), area, left, placed);
    start = end;
  }
  return placed;
}

// The cells are in falling order: the first and the last are the extremes.
function worst(sized, start, end, area, side) {
  const square = (side * side) / (area * area);
  return Math.max(sized[start].area * square, 1 / (sized[end - 1].area * square));
}

function placeRow(row, area, space, placed) {
  const across = space.width >= space.height;
  const thickness = area / (across ? space.height : space.width) || 0;
  let at = across ? space.y : space.x;
  for (const entry of row) {
    const length = entry.area / thickness || 0;
    placed.push(across ? {
      ...entry, x: space.x, y: at, width: thickness, height: length
    } : { ...entry, x: at, y: space.y, width: length, height: thickness });
    at += length;
  }
  return across
    ? { ...space, x: space.x + thickness, width: space.width - thickness }
    : { ...space, y: space.y + thickness, height: space.height - thickness };
}

function drawCell(cell) {
  const gap = Math.min(cell.width, cell.height) > 12 ? 2 : 1;
  const place = {
    left: `${cell.x}px`, top: `${cell.y}px`, width: `${Math.max(cell.width - gap, 1)}px`,
    height: `${Math.max(cell.height - gap, 1)}px`
  };
  if (cell.rest) return el(
    "span.cell.rest", { style: place, title: plural(cell.rest, "smaller table") },
    cell.width > 42 && cell.height > 20 && `+ ${count(cell.rest)}`
  );
  const { table } = cell;
  const labelled = cell.height > 20 && cell.width > Math.min(54, 14 + 7.5 * table.name.length);
  const button = el(`button.cell.${tone(table[treemap.colour])}`, {
    type: "button", tabindex: "-1", "aria-label": `${table.name}: ${cellAmount(table)}`, style: place,
    onclick: () => choose(table.name)
  },
    labelled && el("span.cell-name", {}, nameText(table.name)),
    labelled && cell.height > 40 && cell.width > 70 && el("span.cell-size", {}, cellAmount(table)));
  treemap.tables.set(button, table);
  return button;
}

function cellAmount(table) {
  return treemap.size === "rows" ? `${rowsText(table)} rows` : `${megabytesText(table.megabytes, table.rows)} MB`;
}

// One stop for the Tab key: the chosen table's cell, or the first.
function markTreemap() {
  const buttons = [...treemap.tables.keys()];
  const chosen = buttons.find((button) => treemap.tables.get(button).name === state.chosen);
  for (const button of buttons) {
    button.tabIndex = button === (chosen ?? buttons[0]) ? 0 : -1;
    button.classList.toggle("chosen", button === chosen);
  }
}

function moveInTreemap(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = [...treemap.tables.keys()];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (!next) return;
  document.activeElement.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  tipForCell(next);
}

function drawLegend() {
  const totals = new Map();
  for (const table of model.tables) totals.set(
    table[treemap.colour], (totals.get(table[treemap.colour]) ?? 0) + table[treemap.size]
  );
  const order = treemap.colour === "strategy" ? STRATEGIES : IMPORTANCES;
  const amount = (value) => (treemap.size === "rows" ? `${millions(value)} rows` : sizeText(value));
  replace(
    byId("treemap-legend"),
    order.filter((key) => totals.get(key)).map((key) => el(
      "li", {}, dot(key), words(key), " ", el("span.muted", {}, amount(totals.get(key)))
    ))
  );
}

function tipForCell(button) {
  const table = treemap.tables.get(button);
  if (!table) return hideTip();
  const tip = replace(byId("tip"), el("b", {}, nameText(table.name)), el(
    "span", {}, `${rowsText(table)} rows, ${megabytesText(table.megabytes, table.rows)} MB`
  ),
    el(
      "span", {}, `${words(table.importanceClass)}, ${words(table.strategy)}`
    ), table.key && el("span", {}, "key ", code(table.key)));
  tip.hidden = false;
  const cell = button.getBoundingClientRect();
  const x = Math.min(cell.left + 10, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const y = cell.bottom + 6 + tip.offsetHeight > innerHeight ? cell.top - tip.offsetHeight - 6 : cell.bottom + 6;
  dress(tip, [], { style: { left: `${Math.max(x, 8)}px`, top: `${Math.max(y, 8)}px` } });
}

function hideTip() {
  byId("tip").hidden = true;
}
