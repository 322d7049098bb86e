// The state of the page is the chosen table; the address keeps it (#t=patient), so that it can be sent to someone.

const model = readModel();
const state = { chosen: null };

function choose(name) {
  const hash = name === null ? "" : `#t=${encodeURIComponent(name)}`;
  if (location.hash === hash) return;
  history.pushState(null, "", hash || location.pathname + location.search);
  follow();
}

function chosenInAddress() {
  const found = /^#t=(.*)$/s.exec(location.hash);
  if (!found) return null;
  try {
    const name = decodeURIComponent(found[1]);
    return model.byName.has(name) ? name : null;
  } catch {
    return null; // a broken escape, typed by hand
  }
}

function follow() {
  const before = state.chosen;
  const panel = byId("details");
  const wasInside = panel.contains(document.activeElement);
  state.chosen = chosenInAddress();
  const table = model.byName.get(state.chosen);
  if (before === state.chosen && before !== null) return;
  hideTip();
  panel.hidden = !table;
  byId("layout").classList.toggle("with-details", Boolean(table));
  if (table) drawDetails(table);
  else panel.replaceChildren();
  panel.scrollTop = 0;
  markList(before);
  markTreemap();
  moveFocus(table, before, wasInside);
  document.title = `${table ? `${table.name}, ` : ""}${model.analysis.database}: schema analysis`;
}

// The element that had the focus may be gone: go on where a reader would look.
function moveFocus(table, before, wasInside) {
  const covers = innerWidth < 900;
  if (table && (wasInside || covers)) byId("details-title").focus({ preventScroll: true });
  if (table || !wasInside) return;
  const row = model.byName.get(before)?.row;
  (row?.querySelector("button") ?? byId("tables")).focus({ preventScroll: true });
}

function start() {
  drawMasthead();
  drawTiles();
  drawDrift();
  setUpList();
  setUpTreemap();
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
  addEventListener("scroll", hideTip, { passive: true });
  addEventListener("keydown", (event) => event.key === "Escape" && state.chosen !== null && choose(null));
  follow();
}

start();
