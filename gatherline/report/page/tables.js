"use strict";
// Tables of class "data": headers that sort, a box that filters (data-filter), 100 rows at a time, at first as many as
// data-first says. What lies to the right of a box that scrolls fades, and a line says that there is more.
// dataTable(table, rows, choose) fills a table whose rows a script has: {cells: [{text, value}], key}.
(() => {
  const PAGE = 100;
  const MOST_OF_A_FILTER = 200, SHORT_NAME = 32; // letters; names as short as these stay on one line where there is room
  const LONG_NAME = 160; // of longer names a few lines are seen, all of them when pointed at
  const build = (name, attributes, text) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // What a cell sorts by: data-value where it reads otherwise. A number that is none is missing.
  const sortKey = (raw, isNumber) => {
    const text = raw === null || raw === undefined ? "" : String(raw).trim();
    if (!isNumber) return text === "-" || text === "" ? null : text.toLowerCase();
    const value = text === "" ? NaN : Number(text.replace(/[,\u00a0\u202f ]|%$|x$/g, ""));
    return Number.isNaN(value) ? null : value;
  };

  // Names of layers may break after their dots and slashes, and not within a word.
  const breakable = (text) => text.split(/(?<=[./])(?=.)/).flatMap((part, index) => (index ? [document.createElement("wbr"), part] : [part]));
  const breakNames = (row) => {
    for (const cell of row.querySelectorAll("th[scope=row]")) {
      if (cell.textContent.length <= SHORT_NAME) cell.classList.add("short-name");
      const only = cell.childNodes.length === 1 ? cell.firstChild : null;
      if (only && only.nodeType === Node.TEXT_NODE && /[./]/.test(only.data)) cell.replaceChildren(...breakable(only.data.trim()));
    }
  };

  // Rows as records: those that stand in the page, or those that a script gives, whose elements are made when shown.
  const ofPage = (table) => [...table.tBodies].flatMap((body) => [...body.rows]).map((row) => ({
    row: () => row,
    // a cell that shows a few of many names has all of them as its value
    text: [...row.cells].map((cell) => `${cell.textContent.trim()} ${cell.title}`).join(" ").replace(/\s+/g, " ").toLowerCase(),
    values: [...row.cells].map((cell) => (cell.dataset.value === undefined ? cell.textContent : cell.dataset.value)),
  }));
  const ofScript = (rows, numbers, choose) => rows.map((record) => {
    let made = null;
    const row = () => {
      if (made) return made;
      made = document.createElement("tr");
      record.cells.forEach((cell, index) => {
        if (index > 0) {
          const kept = cell.value === undefined || cell.value === null ? {} : { "data-value": cell.value };
          made.append(build("td", numbers[index] ? { class: "number", ...kept } : kept, cell.text));
          return;
        }
        const head = build("th", { scope: "row" });
        const button = build("button", { type: "button", class: cell.text.length > SHORT_NAME ? "link" : "link short-name" });
        if (cell.text.length > LONG_NAME) button.append(build("span", { class: "clamp", title: cell.text }, cell.text));
        else button.append(...breakable(cell.text));
        button.addEventListener("click", () => choose(record.key));
        head.append(button);
        made.append(head);
      });
      made.dataset.key = record.key;
      return made;
    };
    return {
      row, text: record.cells.map((cell) => cell.text).join(" ").toLowerCase(),
      values: record.cells.map((cell) => (cell.value === undefined ? cell.text : cell.value)),
    };
  });

  const scrollBox = (table) => {
    let box = table.parentElement;
    if (!box.classList.contains("scroll")) {
      box = build("div", { class: "scroll" });
      table.before(box);
      box.append(table);
    }
    // a box that scrolls must be reachable by keys
    if (!box.hasAttribute("tabindex")) box.setAttribute("tabindex", "0");
    const caption = table.caption && table.caption.textContent.trim();
    if (!box.hasAttribute("aria-label") && !box.hasAttribute("aria-labelledby")) {
      box.setAttribute("aria-label", caption || table.dataset.filter || "Table");
    }
    if (!box.hasAttribute("role")) box.setAttribute("role", "region");
    return box;
  };

  // Says on which sides of a box more lies than is seen.
  const watched = new WeakSet();
  const edges = (box) => {
    const table = box.querySelector("table");
    if (!table || watched.has(box)) return;
    watched.add(box);
    const line = build("p", { class: "more-columns", "aria-hidden": "true" }, "more to the right \u2192");
    line.hidden = true;
    box.before(line);
    const look = () => {
      const most = box.scrollWidth - box.clientWidth;
      box.classList.toggle("more-right", box.scrollLeft < most - 2);
      box.classList.toggle("more-left", box.scrollLeft > 2);
      line.hidden = most <= 2;
      line.style.visibility = box.scrollLeft < most - 2 ? "visible" : "hidden";
    };
    box.addEventListener("scroll", look, { passive: true });
    const sizes = new ResizeObserver(look);
    sizes.observe(box);
    sizes.observe(table);
  };

  const letters = new Intl.Collator("en", { numeric: true });
  const compare = (one, other) => (typeof one === "number" ? one - other : letters.compare(one, other));

  const enhance = (table, given, choose) => {
    const body = table.tBodies[0] || table.createTBody();
    const headers = table.tHead ? [...table.tHead.rows[table.tHead.rows.length - 1].cells] : [];
    const numbers = headers.map((header) => header.dataset.type === "number");
    const box = scrollBox(table);
    const state = { records: [], sorted: -1, order: "none", words: [], shown: 0 };
    const first = Number(table.dataset.first) || PAGE;
    state.shown = first;
    const take = (rows) => { state.records = rows ? ofScript(rows, numbers, choose) : ofPage(table); };
    if (!given) for (const row of table.tBodies[0].rows) breakNames(row);
    take(given);

    const count = build("p", { class: "soft count", role: "status", "aria-live": "polite" });
    const more = build("button", { type: "button", class: "tool" });
    let keys = null; // of the sorted column, by record
    const wanted = () => {
      const kept = state.records.filter((record) => state.words.every((word) => record.text.includes(word)));
      if (state.order === "none") return kept;
      const sign = state.order === "ascending" ? 1 : -1;
      return kept.sort((one, other) => {
        const left = keys.get(one), right = keys.get(other);
        if (left === null || right === null) return (left === null) - (right === null); // missing last, either way
        return sign * compare(left, right);
      });
    };
    const show = () => {
      const rows = wanted();
      const pages = rows.slice(0, state.shown);
      for (const extra of [...table.tBodies].slice(1)) extra.remove();
      body.replaceChildren(...pages.map((record) => record.row()));
      const left = rows.length - pages.length;
      more.hidden = left <= 0;
      more.textContent = left <= PAGE ? `Show all ${rows.length}` : `Show ${PAGE} more`;
      const found = rows.length < state.records.length ? `${rows.length} of ${state.records.length} rows` : `${rows.length} rows`;
      count.textContent = left > 0 ? `${found}, the first ${pages.length} shown` : found;
      count.hidden = !table.dataset.filter && left <= 0 && state.shown === first;
    };

    headers.forEach((header, index) => {
      const button = build("button", { type: "button" });
      button.append(...header.childNodes, build("span", { class: "arrow", "aria-hidden": "true" }));
      header.append(button);
      button.addEventListener("click", () => {
        // up, down, and as it was
        const next = state.sorted !== index ? "ascending" : { none: "ascending", ascending: "descending", descending: "none" }[state.order];
        state.sorted = index;
        state.order = next;
        keys = new Map(state.records.map((record) => [record, sortKey(record.values[index], numbers[index])]));
        for (const other of headers) other.removeAttribute("aria-sort");
        if (next !== "none") header.setAttribute("aria-sort", next);
        show();
      });
    });

    if (table.dataset.filter) {
      const field = build("input", { type: "search", autocomplete: "off", spellcheck: "false", maxlength: String(MOST_OF_A_FILTER) });
      const name = build("label", { class: "filter" }, `Filter ${table.dataset.filter} `);
      name.append(field);
      const line = build("div", { class: "tools" });
      line.append(name, count);
      box.before(line);
      field.addEventListener("input", () => {
        state.words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        state.shown = first;
        show();
      });
    } else box.before(count);
    more.addEventListener("click", () => {
      const before = state.shown;
      state.shown += PAGE;
      show();
      const row = body.rows[before];
      const target = row && row.querySelector("button");
      if (target) target.focus(); else if (more.hidden) box.focus();
    });
    box.after(more);
    edges(box);
    // on paper the rows stand as they are seen: sorted, filtered, as many as were asked for
    show();
    const fresh = (rows) => {
      take(rows);
      if (state.sorted >= 0) keys = new Map(state.records.map((record) => [record, sortKey(record.values[state.sorted], numbers[state.sorted])]));
      show();
    };
    return { fresh };
  };

  // Fills a table from a script, the first time and again; it keeps its order and filter.
  const filled = new WeakMap();
  const dataTable = (table, rows, choose) => {
    if (filled.has(table)) filled.get(table).fresh(rows);
    else filled.set(table, enhance(table, rows, choose));
  };

  for (const table of document.querySelectorAll("table.data")) {
    if (!("script" in table.dataset)) enhance(table, null, null);
  }
  for (const box of document.querySelectorAll(".scroll")) edges(box);
  Object.assign(Gatherline, { dataTable });
})();
