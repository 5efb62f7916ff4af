"use strict";
// Draws a chart of kind "bars": stacked horizontal bars, a row each; many rows in pages of 100.
(() => {
  const { svg, short, axis, titled, colour } = Gatherline;
  const NARROW = 620, THICK = 18, GAP = 8, LABEL_LINE = 18;
  const LETTER = 7, LONGEST = 34; // pixels of a letter, letters of a label beside its bar
  const PAGE = 100;

  const clipped = (text, letters) => (text.length > letters ? `${text.slice(0, Math.max(1, letters - 1))}…` : text);
  const finite = (value) => (Number.isFinite(value) ? value : 0);

  // Ends of a row's segments: what is below zero goes to the left, the rest to the right.
  const segments = (row, hidden) => {
    let above = 0, below = 0;
    return row.values.map((raw, index) => {
      const value = hidden.has(index) ? 0 : finite(raw);
      const from = value < 0 ? below : above;
      if (value < 0) below += value; else above += value;
      return [from, from + value];
    });
  };

  // Every second and third series also has a texture: colours alone tell too little, on paper above all.
  const texture = (index) => {
    if (index % 3 === 1) return "repeating-diagonal";
    return index % 3 === 2 ? "dots" : null;
  };
  let drawings = 0;
  const textures = (name) => svg("defs", {}, [
    svg("pattern", { id: `${name}-repeating-diagonal`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "texture" })),
    svg("pattern", { id: `${name}-dots`, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, svg("circle", { cx: 3, cy: 3, r: 1.1, class: "texture-dot" })),
  ]);

  const drawRow = (row, data, box, name, hidden) => {
    const group = svg("g", { class: "row", "data-layer": row.layer });
    const { top, scale } = box;
    const letters = box.above ? Math.floor(box.wide / LETTER) - 2 : LONGEST;
    const text = clipped(row.label, letters);
    if (box.above) group.append(svg("text", { x: 4, y: top - 6, class: "row-label" }, text));
    else group.append(svg("text", { x: box.left - 8, y: top + THICK * 0.72, "text-anchor": "end", class: "row-label" }, text));
    segments(row, hidden).forEach(([from, to], index) => {
      const start = scale.pixel(Math.min(from, to)), width = Math.abs(scale.pixel(to) - scale.pixel(from));
      if (width <= 0) return;
      const place = { x: start, y: top, width, height: THICK };
      group.append(svg("rect", { ...place, class: "segment", style: `fill:${colour(data.series[index].colour)}` }));
      if (texture(index)) group.append(svg("rect", { ...place, fill: `url(#${name}-${texture(index)})`, class: "over" }));
    });
    if (Number.isFinite(row.mark)) {
      const at = scale.pixel(row.mark); // what the bar is compared with
      group.append(svg("line", { x1: at, x2: at, y1: top - 3, y2: top + THICK + 3, class: "beside" }));
    }
    return group;
  };

  const drawScale = (data, box, high) => {
    const group = svg("g", { class: "axes" });
    for (const tick of box.scale.ticks) {
      const at = box.scale.pixel(tick);
      group.append(svg("line", { x1: at, x2: at, y1: 4, y2: high - 38, class: "grid" }));
      group.append(svg("text", { x: at, y: high - 24, "text-anchor": "middle" }, short(tick)));
    }
    const zero = box.scale.pixel(0);
    group.append(svg("line", { x1: zero, x2: zero, y1: 4, y2: high - 38, class: "axis" }));
    group.append(svg("text", { x: (box.left + box.wide) / 2, y: high - 6, "text-anchor": "middle", class: "label" }, titled(data.x)));
    return group;
  };

  // Returns the picture of the first rows, and how many rows are left.
  const drawBars = (data, wide, hidden, choose, shownRows) => {
    const rows = data.rows.slice(0, shownRows || PAGE);
    const above = wide < NARROW;
    const longest = Math.min(LONGEST, Math.max(4, ...rows.map((row) => row.label.length)));
    const left = above ? 6 : longest * LETTER + 14;
    const ends = [0];
    for (const row of rows) {
      for (const pair of segments(row, new Set())) ends.push(...pair);
      if (Number.isFinite(row.mark)) ends.push(row.mark);
    }
    const scale = axis(ends, { from: left, to: wide - 14, most: Math.min(10, Math.max(3, Math.floor((wide - left) / 80))) });
    const pitch = THICK + GAP + (above ? LABEL_LINE : 0);
    const high = rows.length * pitch + 50;
    const name = `texture${(drawings += 1)}`;
    const picture = svg("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high }, [textures(name), drawScale(data, { left, wide, scale }, high)]);
    const places = [];
    rows.forEach((row, index) => {
      const top = 6 + index * pitch + (above ? LABEL_LINE : 0);
      picture.append(drawRow(row, data, { top, scale, left, wide, above }, name, hidden));
      const end = Math.max(...segments(row, hidden).flat(), 0);
      const numbers = data.series.map((series, at) => `${series.name} ${short(row.values[at]) || "no number"}`).join("\n");
      places.push({ x: scale.pixel(end), y: top + THICK / 2, row, index, text: row.tip || `${row.label}\n${numbers}` });
    });
    const ring = svg("rect", { class: "ring", visibility: "hidden", x: 1, width: wide - 2, height: pitch - 2, rx: 3 });
    picture.append(ring);
    const mark = (place) => {
      ring.setAttribute("visibility", place ? "visible" : "hidden");
      if (place) ring.setAttribute("y", 6 + place.index * pitch - GAP / 2 + 1);
    };
    Gatherline.reachable(picture, [places], {
      mark, choose, near: (x, y) => places[Math.floor((y - 6 + GAP / 2) / pitch)] || null, along: ["ArrowDown", "ArrowUp", "", ""],
    });
    const bad = data.rows.reduce((sum, row) => sum + row.values.filter((value) => !Number.isFinite(value)).length, 0);
    const note = bad ? `${bad} value${bad > 1 ? "s" : ""} left out: no number.` : "";
    return { picture, note, count: rows.length, more: data.rows.length - rows.length, keys: "Arrow keys move from bar to bar." };
  };

  Object.assign(Gatherline, { drawBars, BARS_PAGE: PAGE });
})();
