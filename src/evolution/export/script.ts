/**
 * The report's script: plain JavaScript, no network. It reads the node data that the page carries, and puts text into
 * the page by `textContent` only, so that a hostile source stays text.
 */
export const SCRIPT = `"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const nodes = data.nodes, index = new Map(nodes.map((n, i) => [n.id, i]));
const panel = document.getElementById("panel"), tip = document.getElementById("tip"), tree = document.getElementById("tree");
const make = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
const cache = new Map();
function source(i) {
  const chain = [];
  while (!cache.has(i)) { const n = nodes[i]; if (n.s !== undefined) { cache.set(i, n.s.split("\\n")); break; } chain.push(i); i = n.b; }
  let lines = cache.get(i);
  for (const at of chain.reverse()) {
    const out = []; let pos = 0;
    for (const op of nodes[at].p) {
      if (typeof op === "number") { if (op > 0) { for (let k = 0; k < op; k++) out.push(lines[pos++]); } else pos -= op; }
      else for (const line of op) out.push(line);
    }
    cache.set(at, out); lines = out;
  }
  return lines;
}
function diff(i) {
  const n = nodes[i], box = make("pre");
  if (n.p === undefined) return null;
  const before = source(n.b); let pos = 0;
  n.p.forEach((op, at) => {
    if (typeof op !== "number") for (const line of op) box.append(make("span", "add", "+ " + line));
    else if (op < 0) for (let k = 0; k < -op; k++) box.append(make("span", "del", "- " + before[pos++]));
    else {
      const head = at === 0 ? 0 : 3, tail = at === n.p.length - 1 ? 0 : 3;
      for (let k = 0; k < op; k++, pos++) {
        if (op > head + tail + 1 && k === head) box.append(make("span", "gap", "\\u22ef " + (op - head - tail) + " equal lines"));
        if (op <= head + tail + 1 || k < head || k >= op - tail) box.append(make("span", "", "  " + before[pos] + "\\n"));
      }
    }
  });
  return box;
}
let current = -1, tab = "source";
const marked = new Map();
for (const e of document.querySelectorAll("[data-n]")) { const k = +e.dataset.n; if (!marked.has(k)) marked.set(k, []); marked.get(k).push(e); }
const inTree = (i) => (marked.get(i) || []).find((e) => e.dataset.x !== undefined);
function trail(i) {
  let d = "";
  for (let at = i, guard = 0; at !== undefined && guard < 5000; guard++) {
    const n = nodes[at], up = n.parents.length ? index.get(n.parents[0]) : undefined;
    if (up === undefined) break;
    const a = inTree(up), b = inTree(at);
    if (a && b) { const x0 = +a.dataset.x, y0 = +a.dataset.y, x1 = +b.dataset.x, y1 = +b.dataset.y, w = Math.min(x1 - x0, 26);
      d += y0 === y1 ? "M" + x0 + " " + y0 + "H" + x1 : "M" + x0 + " " + y0 + "C" + (x0 + w / 2) + " " + y1 + " " + Math.min(x1 - w * .7, x1) + " " + y1 + " " + x1 + " " + y1; }
    at = up;
  }
  document.getElementById("trail").setAttribute("d", d);
}
function content(i) {
  const n = nodes[i], box = make("div");
  if (tab === "source") { box.append(make("pre", "", source(i).join("\\n"))); }
  else if (tab === "changes") {
    const d = diff(i);
    box.append(d ? make("p", "sub", "Against step " + nodes[n.b].step + ".") : make("p", "sub", "A root: it has no parent to compare with."));
    if (d) box.append(d);
  } else {
    const t = make("table", "grid");
    for (const [k, v] of n.facts) { const r = make("tr"); r.append(make("th", "", k), make("td", "", v)); t.append(r); }
    box.append(t);
    if (n.work.length) {
      box.append(make("h3", "", "Workloads"));
      const w = make("table", "grid");
      for (const row of n.work) { const r = make("tr"); row.forEach((v, k) => r.append(make("td", k ? "n" : "", v))); w.append(r); }
      box.append(w);
    }
    if (n.text) box.append(make("h3", "", "Compiler output (untrusted)"), make("pre", "", n.text));
  }
  return box;
}
function show(i, focus) {
  if (i === undefined || i < 0 || i >= nodes.length) return;
  for (const e of marked.get(current) || []) e.classList.remove("on");
  current = i;
  for (const e of marked.get(i) || []) e.classList.add("on");
  trail(i);
  const n = nodes[i];
  panel.hidden = false; panel.textContent = "";
  const head = make("header"), close = make("button", "", "Close");
  close.addEventListener("click", hide);
  head.append(make("h2", "", "Step " + n.step + ", " + n.op), make("span", "chip " + n.out, n.label), close);
  const nav = make("div", "row");
  const go = (label, to) => { if (to === undefined || to < 0 || to >= nodes.length) return; const b = make("button", "", label); b.addEventListener("click", () => show(to)); nav.append(b); };
  n.parents.forEach((p, k) => go(n.parents.length > 1 ? "Parent " + (k + 1) : "Parent", index.get(p)));
  go("Previous", i - 1); go("Next", i + 1); go("Best", data.best);
  const tabs = make("div", "row"); tabs.setAttribute("role", "tablist");
  for (const [key, label] of [["source", "Source"], ["changes", "Changes"], ["evaluation", "Evaluation"]]) {
    const b = make("button", "", label); b.setAttribute("role", "tab"); b.setAttribute("aria-selected", String(tab === key));
    b.addEventListener("click", () => { tab = key; show(i); }); tabs.append(b);
  }
  panel.append(head, make("p", "sub", n.why || ""), make("p", "", n.sum), nav, tabs, content(i));
  panel.scrollTop = 0;
  const mark = inTree(i);
  if (mark && tree) {
    const x = +mark.dataset.x, y = +mark.dataset.y;
    if (x < tree.scrollLeft + 40 || x > tree.scrollLeft + tree.clientWidth - 40) tree.scrollLeft = x - tree.clientWidth / 2;
    if (y < tree.scrollTop + 20 || y > tree.scrollTop + tree.clientHeight - 20) tree.scrollTop = y - tree.clientHeight / 2;
  }
  if (focus) panel.focus();
}
function hide() { panel.hidden = true; for (const e of marked.get(current) || []) e.classList.remove("on"); document.getElementById("trail").setAttribute("d", ""); current = -1; }
const target = (event) => event.target instanceof Element ? event.target.closest("[data-n]") : null;
document.addEventListener("click", (event) => { const e = target(event); if (e) show(+e.dataset.n); });
document.addEventListener("mousemove", (event) => {
  const e = target(event);
  if (!e || e.tagName === "TR") { tip.hidden = true; return; }
  const n = nodes[+e.dataset.n];
  tip.hidden = false; tip.textContent = "Step " + n.step + " \\u00b7 " + n.op + " \\u00b7 " + n.sum;
  tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
});
for (const e of document.querySelectorAll("svg .mark title")) e.remove();
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !panel.hidden) { hide(); return; }
  if (!tree || !(tree === document.activeElement)) return;
  const n = nodes[current];
  let to;
  if (current < 0) to = data.best >= 0 ? data.best : 0;
  else if (event.key === "ArrowLeft") to = index.get(n.parents[0]);
  else if (event.key === "ArrowRight") { nodes.forEach((c, k) => { if (c.parents.includes(n.id) && (to === undefined || c.fit > nodes[to].fit)) to = k; }); }
  else if (event.key === "ArrowUp") to = current - 1;
  else if (event.key === "ArrowDown") to = current + 1;
  else if (event.key === "Enter") { show(current, true); return; }
  else return;
  if (!event.key.startsWith("Arrow") && event.key !== "Enter") return;
  event.preventDefault(); show(to);
});
const wanted = /^#step-([0-9]+)$/.exec(location.hash);
if (wanted) show(nodes.findIndex((n) => n.step === +wanted[1]));
for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", () => {
  const outcome = button.dataset.show;
  for (const b of document.querySelectorAll("[data-show]")) b.setAttribute("aria-pressed", String(b === button));
  for (const row of document.querySelectorAll("#all tbody tr")) row.hidden = outcome !== "all" && row.dataset.o !== outcome;
});
})();
`;
