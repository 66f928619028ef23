// Keeps the page current without reloading it. The server renders everything;
// this asks whether anything changed, fetches the same page again if it did,
// and lays it over what is shown, so that focus, selection and scroll stay.
"use strict";
(() => {
  const PERIOD = 5000; // ms between two questions
  const LONGEST = 60000; // ms, after failures
  const app = document.body;
  const live = document.getElementById("live");
  let etag = app.dataset.etag;
  let asOf = Date.parse(app.dataset.asof);
  let timer = 0, wait = PERIOD, turn = 0, lost = false;

  // --- laying a new page over the shown one -------------------------------

  // What the script itself has put on elements and the server does not know.
  const OWN = new Set(["tabindex", "role", "open"]);
  const keyOf = (n) => n.nodeType === 1 ? n.id || n.dataset?.key || "" : "";

  function attributes(a, b) {
    for (const { name, value } of [...b.attributes])
      if (a.getAttribute(name) !== value) a.setAttribute(name, value);
    for (const { name } of [...a.attributes])
      if (!b.hasAttribute(name) && !OWN.has(name)) a.removeAttribute(name);
  }

  function lay(a, b) {
    if (a.nodeType === 3 || a.nodeType === 8) {
      if (a.data !== b.data) a.data = b.data;
      return;
    }
    attributes(a, b);
    if (a === live || a.id === "link") return;
    const keyed = new Map();
    for (const c of a.childNodes) if (keyOf(c)) keyed.set(keyOf(c), c);
    let at = a.firstChild;
    for (const want of [...b.childNodes]) {
      const key = keyOf(want);
      // A keyed element that stands here and is wanted later is not this one.
      while (at && keyOf(at) && keyOf(at) !== key && !b.querySelector(`:scope > [data-key="${CSS.escape(keyOf(at))}"], :scope > [id="${CSS.escape(keyOf(at))}"]`)) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      let have = key ? keyed.get(key) : at && !keyOf(at) && at.nodeType === want.nodeType && at.nodeName === want.nodeName ? at : null;
      if (have && have.nodeName !== want.nodeName) have = null;
      if (!have) {
        a.insertBefore(document.importNode(want, true), at);
        continue;
      }
      if (have === at) at = at.nextSibling;
      else a.insertBefore(have, at);
      lay(have, want);
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  const states = () => new Map([...document.querySelectorAll("a.cell")].map((c) => [c.dataset.key, c.dataset.state]));

  function say(text) {
    live.textContent = "";
    requestAnimationFrame(() => { live.textContent = text; });
  }

  function changes(before, after) {
    const moved = [];
    for (const [key, state] of after) if (before.has(key) && before.get(key) !== state) moved.push([key, state, before.get(key)]);
    if (moved.length === 0) return "";
    if (moved.length <= 3) return moved.map(([k, s, was]) => `${k.replace(">", " from ")}: ${s}, was ${was}`).join(". ");
    const counts = new Map();
    for (const [, s] of moved) counts.set(s, (counts.get(s) ?? 0) + 1);
    return `${moved.length} peers changed: ` + [...counts].map(([s, n]) => `${n} ${s}`).join(", ");
  }

  // A session that has ended is begun anew where it was.
  async function get(url, options) {
    const answer = await fetch(url, { cache: "no-store", redirect: "error", ...options });
    if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
    return answer;
  }

  async function show(url) {
    const mine = ++turn;
    const answer = await get(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return false; // a newer wish came in between
    const before = states();
    document.title = page.title;
    lay(app, page.body);
    etag = app.dataset.etag;
    asOf = Date.parse(app.dataset.asof);
    rove();
    const news = changes(before, states());
    if (news) say(news);
    return true;
  }

  // --- asking ---------------------------------------------------------------

  function linked(ok) {
    const link = document.getElementById("link");
    if (ok) {
      link.textContent = "· live";
      lost = false;
    } else {
      link.textContent = "· Peerkeeper does not answer; what is shown may be old";
      if (!lost) say("Peerkeeper does not answer; what is shown may be old");
      lost = true;
    }
  }

  async function ask() {
    clearTimeout(timer);
    if (document.hidden) return; // visibilitychange asks again
    try {
      const answer = await get("/api/status.json", { method: "HEAD", headers: { "If-None-Match": etag } });
      const at = Date.parse(answer.headers.get("Peerkeeper-As-Of") ?? "");
      if (answer.status === 304) {
        if (!Number.isNaN(at)) asOf = at;
      } else if (answer.ok) {
        await show(location.href);
      } else {
        throw new Error(String(answer.status));
      }
      wait = PERIOD;
      linked(true);
      relative();
    } catch {
      wait = Math.min(wait * 2, LONGEST);
      linked(false);
    }
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  // The words are those of ago() on the server.
  function words(ms) {
    const min = Math.floor(Math.abs(ms) / 60000);
    if (min < 1) return "just now";
    const d = Math.floor(min / 1440), h = Math.floor(min / 60) % 24, m = min % 60;
    const span = d > 0 ? `${d} d${h ? ` ${h} h` : ""}` : h > 0 ? `${h} h${m ? ` ${m} min` : ""}` : `${m} min`;
    return ms < 0 ? `in ${span}` : `${span} ago`;
  }

  function relative() {
    const iso = new Date(asOf).toISOString();
    const now = document.getElementById("asof");
    now.dateTime = iso;
    now.textContent = `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
    for (const t of document.querySelectorAll("time.rel")) {
      const w = words(asOf - Date.parse(t.dateTime));
      if (t.textContent !== w) t.textContent = w;
    }
  }

  // --- the matrix by keyboard ------------------------------------------------

  const table = () => document.getElementById("matrix");

  // rove makes the matrix one stop of the Tab key: a grid.
  function rove(to) {
    const cells = [...table().querySelectorAll("a.cell")];
    const stop = to ?? (cells.includes(document.activeElement) ? document.activeElement : null)
      ?? table().querySelector('a.cell[tabindex="0"]') ?? table().querySelector("a.cell[aria-current]") ?? cells[0];
    table().setAttribute("role", "grid");
    for (const c of cells) {
      const v = c === stop ? "0" : "-1";
      if (c.getAttribute("tabindex") !== v) c.setAttribute("tabindex", v);
    }
  }

  function mark(cell) {
    for (const h of table().querySelectorAll("th.on")) h.classList.remove("on");
    if (!cell) return;
    table().tHead.rows[0].cells[cell.closest("td").cellIndex].classList.add("on");
  }

  const STEP = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && app.classList.contains("chosen")) {
      choose("/");
      return;
    }
    const cell = e.target.closest?.("a.cell");
    if (!cell || e.altKey || e.metaKey) return;
    const body = table().tBodies[0], td = cell.closest("td");
    let row = td.parentElement.sectionRowIndex, col = td.cellIndex, step = STEP[e.key];
    if (e.key === " ") {
      e.preventDefault();
      cell.click();
      return;
    }
    if (e.key === "Home" || e.key === "End") {
      const end = e.key === "End";
      if (e.ctrlKey) row = end ? body.rows.length - 1 : 0;
      col = end ? body.rows[row].cells.length - 1 : 1;
      step = [0, end ? -1 : 1];
    } else if (step) {
      row += step[0];
      col += step[1];
    } else {
      return;
    }
    e.preventDefault();
    for (; body.rows[row] && col >= 1; row += step[0], col += step[1]) {
      const td = body.rows[row].cells[col];
      if (!td) return;
      const next = td.querySelector("a.cell");
      if (next) {
        rove(next);
        next.focus();
        return;
      }
    }
  });
  document.addEventListener("focusin", (e) => {
    const cell = e.target.closest?.("a.cell");
    if (cell) rove(cell);
    mark(cell);
  });
  document.addEventListener("mouseover", (e) => {
    const cell = e.target.closest?.("a.cell");
    if (cell) mark(cell);
  });

  // --- choosing ---------------------------------------------------------------

  async function choose(href) {
    try {
      if (!await show(href)) return;
      history.pushState(null, "", href);
    } catch {
      location.assign(href); // the browser shows what the server says
      return;
    }
    const panel = document.getElementById("panel");
    if (app.classList.contains("chosen")) {
      const box = panel.getBoundingClientRect();
      if (box.top < 0 || box.top > innerHeight - 120) panel.scrollIntoView({ block: "start" });
      say(`${panel.querySelector("h2").textContent}: ${panel.querySelector(".verdict .state").textContent}`);
    }
  }

  document.addEventListener("click", (e) => {
    const a = e.target.closest?.("a[data-peer]");
    if (!a || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    choose(a.getAttribute("href"));
  });
  addEventListener("popstate", () => { show(location.href).catch(() => location.reload()); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });

  rove();
  ask();
})();
