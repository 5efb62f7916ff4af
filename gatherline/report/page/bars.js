"use strict";
// Draws a chart of kind "bars": stacked horizontal bars, a row each; many rows in pages of 100. The sum of a row stands
// at its bar's end, or the row's own text "end". A mark ("mark", told as "markText") that lies so far out that bars would
// be slivers stands at the end of the axis as an arrow with its number.
(() => {
  const { svg, short, axis, titled, colour } = Gatherline;
  const NARROW = 620, THICK = 18, GAP = 8, LABEL_LINE = 18;
  const LETTER = 7, LONGEST = 34; // pixels of a letter, letters of a label beside its bar
  const TOP = 26; // the axis stands above the bars too: pages are longer than windows
  const SHORT_LABEL = 7; // letters; labels as short as these stand left of the axis on a phone too
  const FAR = 1.5; // a mark so many times as far out as the longest bar does not stretch the axis
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
    if (box.above) group.append(svg("text", { x: box.left + 5, y: top - 6, class: "row-label over-grid" }, text));
    else group.append(svg("text", { x: box.left - 8, y: top + THICK * 0.72, "text-anchor": "end", class: "row-label" }, text));
    segments(row, hidden).forEach(([from, to], index) => {
      const start = scale.pixel(Math.min(from, to)), width = Math.abs(scale.pixel(to) - scale.pixel(from));
      if (width <= 0) return;
      const place = { x: start, y: top, width, height: THICK };
      group.append(svg("rect", { ...place, class: "segment", style: `fill:${colour(data.series[index].colour)}` }));
      if (texture(index)) group.append(svg("rect", { ...place, fill: `url(#${name}-${texture(index)})`, class: "over" }));
    });
    drawEnd(row, box, hidden, group);
    return group;
  };

  // The number at the bar's end, and what the bar is compared with: a mark, or an arrow where it lies beyond the axis.
  const drawEnd = (row, { top, scale, wide, most }, hidden, group) => {
    const line = top + THICK * 0.72;
    const beyond = row.mark > most, marked = Number.isFinite(row.mark) && !beyond;
    if (marked) {
      const at = scale.pixel(row.mark);
      group.append(svg("line", { x1: at, x2: at, y1: top - 3, y2: top + THICK + 3, class: "beside" }));
    }
    if (beyond) group.append(svg("text", { x: wide - 4, y: line, "text-anchor": "end", class: "beyond" }, `${row.markText || short(row.mark, 3)} \u25b6`));
    const text = endText(row, hidden);
    let at = scale.pixel(Math.max(...segments(row, hidden).flat(), 0)) + 5;
    const mark = marked ? scale.pixel(row.mark) : NaN;
    if (mark >= at - 4 && mark <= at + text.length * LETTER + 2) at = mark + 6; // a number does not stand under a mark
    group.append(svg("text", { x: at, y: line, class: "bar-end" }, text));
  };
  const endText = (row, hidden) => {
    const shown = row.values.filter((value, index) => Number.isFinite(value) && !hidden.has(index));
    if (!shown.length) return "";
    // a row's own text is of the whole row
    return row.end && !hidden.size ? row.end : short(shown.reduce((sum, value) => sum + value, 0), 3);
  };

  const drawScale = (data, box, high) => {
    const group = svg("g", { class: "axes" });
    for (const tick of box.scale.ticks) {
      const at = box.scale.pixel(tick);
      group.append(svg("line", { x1: at, x2: at, y1: TOP - 6, y2: high - 38, class: "grid" }));
      for (const y of [high - 24, TOP - 11]) group.append(svg("text", { x: at, y, "text-anchor": "middle" }, short(tick)));
    }
    const zero = box.scale.pixel(0);
    group.append(svg("line", { x1: zero, x2: zero, y1: TOP - 6, y2: high - 38, class: "axis" }));
    group.append(svg("text", { x: (box.left + box.wide) / 2, y: high - 6, "text-anchor": "middle", class: "label" }, titled(data.x)));
    return group;
  };

  // Values that the axis holds, and the largest one: marks too, unless they would leave the bars too little of it.
  const extent = (rows) => {
    const ends = [0], marks = rows.map((row) => row.mark).filter(Number.isFinite);
    for (const row of rows) for (const pair of segments(row, new Set())) ends.push(...pair);
    const longest = Math.max(...ends), farthest = Math.max(...marks, 0);
    if (!(longest > 0) || farthest <= longest * FAR) return { ends: [...ends, ...marks], most: Infinity };
    return { ends, most: longest * 1.01 }; // sums and rounded times of equal bars differ in their last digits
  };

  // Returns the picture of the first rows, and how many rows are left.
  const drawBars = (data, wide, hidden, choose, shownRows) => {
    const rows = data.rows.slice(0, shownRows || PAGE);
    const longest = Math.min(LONGEST, Math.max(4, ...rows.map((row) => row.label.length)));
    const above = wide < NARROW && longest > SHORT_LABEL;
    const left = above ? 6 : longest * LETTER + 14;
    const { ends, most } = extent(rows);
    const beyond = rows.filter((row) => row.mark > most);
    const room = Math.max(...rows.map((row) => endText(row, new Set()).length), 0) * LETTER
      + Math.max(...beyond.map((row) => (row.markText || short(row.mark, 3)).length + 3), 0) * LETTER + 10;
    const scale = axis(ends, { from: left, to: Math.max(wide - room, left + 40), most: Math.min(10, Math.max(3, Math.floor((wide - left - room) / 70))) });
    const pitch = THICK + GAP + (above ? LABEL_LINE : 0);
    const high = rows.length * pitch + TOP + 44;
    const name = `texture${(drawings += 1)}`;
    const picture = svg("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high }, [textures(name), drawScale(data, { left, wide, scale }, high)]);
    const places = [];
    rows.forEach((row, index) => {
      const top = TOP + index * pitch + (above ? LABEL_LINE : 0);
      picture.append(drawRow(row, data, { top, scale, left, wide, above, most }, name, hidden));
      const end = Math.max(...segments(row, hidden).flat(), 0);
      const numbers = data.series.map((series, at) => `${series.name} ${short(row.values[at]) || "no number"}`).join("\n");
      places.push({ x: scale.pixel(end), y: top + THICK / 2, row, index, text: row.tip || `${row.label}\n${numbers}` });
    });
    const ring = svg("rect", { class: "ring", visibility: "hidden", x: 1, width: wide - 2, height: pitch - 2, rx: 3 });
    picture.append(ring);
    const mark = (place) => {
      ring.setAttribute("visibility", place ? "visible" : "hidden");
      if (place) ring.setAttribute("y", TOP + place.index * pitch - GAP / 2 + 1);
    };
    Gatherline.reachable(picture, [places], {
      mark, choose, near: (x, y) => places[Math.floor((y - TOP + GAP / 2) / pitch)] || null, along: ["ArrowDown", "ArrowUp", "", ""],
    });
    const bad = data.rows.reduce((sum, row) => sum + row.values.filter((value) => !Number.isFinite(value)).length, 0);
    const notes = [
      ...(bad ? [`${bad} value${bad > 1 ? "s" : ""} left out: no number.`] : []),
      ...(beyond.length ? ["An arrow with a number: the mark lies beyond the axis, which would leave the bars too short."] : []),
    ];
    return { picture, note: notes.join(" "), count: rows.length, more: data.rows.length - rows.length, keys: "Arrow keys move from bar to bar." };
  };

  Object.assign(Gatherline, { drawBars, BARS_PAGE: PAGE });
})();
