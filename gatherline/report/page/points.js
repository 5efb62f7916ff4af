"use strict";
// Draws a chart of kind "xy": series of points and lines over two axes, with bands and level lines ("low" and "high" of
// a level: its band). Lines that lie on one another are drawn once, under all their names.
(() => {
  const { svg, short, axis, titled, colour, shape, dash } = Gatherline;
  const RADIUS = 4.5, NEAR = 28;
  const SAME = 3, MOST_TOLD = 6; // pixels within which points are one place; of them, so many are told
  const HIGH = 400, HIGH_NARROW = 320, NARROW = 520;
  const TEXT_WIDTH = 7; // of a letter of the axes, about

  const points = (series) => series.points || [];
  const band = (series) => series.band || [];

  // Values that an axis must hold: points of all series, shown or not, so that hiding one moves nothing.
  const valuesOf = (data, which) => {
    const found = [];
    for (const series of data.series) {
      for (const point of points(series)) found.push(point[which]);
      for (const [x, low, high] of band(series)) found.push(...(which === 0 ? [x] : [low, high]));
    }
    if (which === 1) for (const level of data.levels || []) found.push(level.y, level.low, level.high);
    return found.filter((value) => typeof value === "number");
  };

  // Room left of the axis for its widest tick.
  const ticksWide = (one) => Math.max(...one.ticks.map((tick) => short(tick).length), 1) * TEXT_WIDTH + 12;

  // Names beside the ends of lines, where the picture is wide enough for them; lists of names by line.
  const ALIKE = 2, LINE_HIGH = 14, WIDEST_NAME = 24; // pixels, pixels, letters
  const STEPS = 24; // of a piece of a line that is looked at
  const clipped = (text) => (text.length > WIDEST_NAME ? `${text.slice(0, WIDEST_NAME - 1)}…` : text);
  const isLine = (series) => series.line && points(series).length > 1;
  const endRoom = (data, wide) => {
    const ends = data.series.filter(isLine).map((series) => Math.max(...points(series).map(([x]) => (Number.isFinite(x) ? x : -Infinity))));
    const farthest = Math.max(...valuesOf(data, 0).filter(Number.isFinite));
    const names = data.series.filter(isLine).filter((series, index) => ends[index] === farthest).map((series) => clipped(series.name).length);
    return wide < NARROW || !names.length ? 0 : (Math.max(...names) + 6) * TEXT_WIDTH;
  };

  const frame = (data, wide, high) => {
    const yLog = data.y.scale === "log", xLog = data.x.scale === "log";
    const ys = valuesOf(data, 1), xs = valuesOf(data, 0);
    const y = axis(ys, { log: yLog, from: high - 46, to: 14, most: high > 350 ? 8 : 6 });
    const left = ticksWide(y) + 20;
    const room = endRoom(data, wide);
    const x = axis(xs, { log: xLog, from: left + 8, to: wide - 16 - room, most: Math.min(10, Math.max(3, Math.floor((wide - left - room) / 80))) });
    return { x, y, left, right: wide - 8 - room, room, wide: wide >= NARROW, top: 8, bottom: high - 40 };
  };

  const axes = (data, box) => {
    const group = svg("g", { class: "axes" });
    for (const tick of box.y.ticks) {
      const at = box.y.pixel(tick);
      group.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "grid" }));
      group.append(svg("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, short(tick)));
    }
    for (const tick of box.x.ticks) {
      const at = box.x.pixel(tick);
      group.append(svg("line", { x1: at, x2: at, y1: box.top, y2: box.bottom, class: "grid" }));
      group.append(svg("text", { x: at, y: box.bottom + 16, "text-anchor": "middle" }, short(tick)));
    }
    group.append(svg("path", { d: `M${box.left} ${box.top}V${box.bottom}H${box.right}`, class: "axis" }));
    group.append(svg("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle", class: "label" }, titled(data.x)));
    const middle = (box.top + box.bottom) / 2;
    group.append(svg("text", { x: 12, y: middle, "text-anchor": "middle", class: "label", transform: `rotate(-90 12 ${middle})` }, titled(data.y)));
    return group;
  };

  const bandPath = (series, box) => {
    const seen = band(series).filter(([x, low, high]) => box.x.shows(x) && Number.isFinite(low) && box.y.shows(high));
    if (seen.length < 2) {
      // one point's band: a bar with feet
      return seen.map(([x, low, high]) => {
        const at = box.x.pixel(x), bottom = box.y.shows(low) ? box.y.pixel(low) : box.bottom, top = box.y.pixel(high);
        return `M${at - 4} ${top}h8M${at} ${top}V${bottom}M${at - 4} ${bottom}h8`;
      }).join("");
    }
    const sorted = [...seen].sort((one, other) => one[0] - other[0]);
    const upper = sorted.map(([x, , high]) => `${box.x.pixel(x)} ${box.y.pixel(high)}`);
    const lower = sorted.map(([x, low]) => `${box.x.pixel(x)} ${box.y.shows(low) ? box.y.pixel(low) : box.bottom}`).reverse();
    return `M${upper.join("L")}L${lower.join("L")}z`;
  };

  const drawLevels = (data, box, group) => {
    for (const level of data.levels || []) {
      if (!box.y.shows(level.y)) continue;
      const at = box.y.pixel(level.y);
      if (box.y.shows(level.low) && box.y.shows(level.high)) {
        const top = box.y.pixel(level.high), bottom = box.y.pixel(level.low);
        group.append(svg("rect", { x: box.left, y: top, width: box.right - box.left, height: Math.max(bottom - top, 0), class: "level-band" }));
      }
      group.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "level" }));
      group.append(svg("text", { x: box.right - 4, y: at - 5, "text-anchor": "end", class: "level-text" }, level.label));
    }
  };

  const inPixels = (series, box) => points(series).map(([x, y]) => (box.x.shows(x) && box.y.shows(y) ? [box.x.pixel(x), box.y.pixel(y)] : null));
  const near = (one, other) => one.length === other.length && one.every((place, index) => {
    const beside = other[index];
    if (!place || !beside) return place === beside;
    return Math.abs(place[0] - beside[0]) <= ALIKE && Math.abs(place[1] - beside[1]) <= ALIKE;
  });
  const bandAlike = (one, other, box) => {
    const corners = (series) => band(series).flatMap(([x, low, high]) => [[x, low], [x, high]]);
    return near(inPixels({ points: corners(one) }, box), inPixels({ points: corners(other) }, box));
  };

  // Lines that are shown, those alike in one list: the first is drawn for all.
  const alike = (data, hidden, box) => {
    const groups = [];
    data.series.forEach((series, index) => {
      if (hidden.has(index) || !isLine(series)) return;
      const places = inPixels(series, box);
      const same = groups.find((each) => near(each.places, places));
      if (same) same.members.push(series); else groups.push({ places, members: [series] });
    });
    return groups;
  };

  // Whether a line runs through a box of the picture.
  const crossed = (groups, levels, [left, top, right, bottom]) => levels.some((y) => y > top && y < bottom)
    || groups.some(({ places }) => places.some((place, index) => {
      const before = index ? places[index - 1] : null;
      if (!place || !before) return false;
      for (let step = 0; step <= STEPS; step += 1) {
        const x = before[0] + ((place[0] - before[0]) * step) / STEPS, y = before[1] + ((place[1] - before[1]) * step) / STEPS;
        if (x > left && x < right && y > top && y < bottom) return true;
      }
      return false;
    }));

  // The names at the lines' ends: beside the picture where the line ends at its right, moved apart; within it where
  // nothing is in the way; else none, which the legend makes up for.
  const drawNames = (groups, levels, box, group) => {
    const ended = groups.map(({ places, members }) => {
      const end = places.filter(Boolean).sort((one, other) => other[0] - one[0])[0];
      const names = members.map((series) => clipped(series.name));
      if (names.length > 1) names[names.length - 1] += " alike";
      return { end, names, series: members[0], high: names.length * LINE_HIGH };
    }).filter(({ end }) => end).sort((one, other) => one.end[1] - other.end[1]);
    if (!box.wide || !ended.length) return;
    const farthest = Math.max(...ended.map(({ end }) => end[0]));
    const outer = box.room ? ended.filter(({ end }) => end[0] > farthest - 1) : [];
    for (const { names, end, high, series } of ended.filter((label) => !outer.includes(label))) {
      const x = end[0] + 10, wide = Math.max(...names.map((name) => name.length)) * TEXT_WIDTH, top = end[1] - high / 2;
      if (x + wide > box.right || top < box.top || top + high > box.bottom) continue;
      if (crossed(groups.filter(({ members }) => members[0] !== series), levels, [x, top, x + wide, top + high])) continue;
      names.forEach((name, index) => group.append(svg("text", { x, y: top + (index + 0.8) * LINE_HIGH, class: "line-name" }, name)));
    }
    besideThem(outer, box, group);
  };
  const besideThem = (ended, box, group) => {
    if (ended.reduce((sum, { high }) => sum + high, 0) > box.bottom - box.top) return;
    let free = box.top;
    for (const label of ended) { label.top = Math.max(free, label.end[1] - label.high / 2); free = label.top + label.high; }
    let limit = box.bottom;
    for (const label of ended.reverse()) { label.top = Math.min(label.top, limit - label.high); limit = label.top; }
    for (const { top, names, series, end } of ended) {
      const x = box.right + 8;
      group.append(svg("path", { d: `M${end[0] + 6} ${end[1]}L${x - 2} ${top + names.length * LINE_HIGH / 2}`, class: "to-name", style: `stroke:${colour(series.colour)}` }));
      names.forEach((name, index) => group.append(svg("text", { x, y: top + (index + 0.8) * LINE_HIGH, class: "line-name" }, name)));
    }
  };

  // first: of lines alike the one that is drawn, which may be this one
  const drawSeries = (series, box, group, first) => {
    const hue = colour(series.colour);
    const line = [], marks = [], places = [];
    let left = 0;
    const radius = points(series).length > 400 ? RADIUS * 0.6 : RADIUS;
    for (const point of points(series)) {
      const [x, y, text] = point;
      if (!box.x.shows(x) || !box.y.shows(y)) { left += 1; line.push(null); continue; }
      const place = { x: Math.round(box.x.pixel(x) * 10) / 10, y: Math.round(box.y.pixel(y) * 10) / 10 };
      places.push({ ...place, text: text || `${series.name}: ${short(x)}, ${short(y)}`, series, point });
      line.push(`${place.x} ${place.y}`);
      marks.push(shape(series.colour)(place.x, place.y, radius));
    }
    const drawn = svg("g", { class: "series", "data-name": series.name });
    const again = first !== series; // its places can be reached all the same
    const area = again && bandAlike(first, series, box) ? "" : bandPath(series, box);
    if (area) drawn.append(svg("path", { d: area, class: area.endsWith("z") ? "band" : "band-bar", style: `fill:${hue};stroke:${hue}` }));
    if (series.line && !again) {
      // a point that cannot be shown breaks the line: no line leads across it
      const d = line.map((one, index) => (one === null ? "" : `${index && line[index - 1] !== null ? "L" : "M"}${one}`)).join("");
      drawn.append(svg("path", { d, class: "line", style: `stroke:${hue}`, "stroke-dasharray": dash(series.colour) }));
    }
    if (series.marks !== false && !(again && first.marks !== false)) drawn.append(svg("path", { d: marks.join(""), class: "marks", style: `fill:${hue};stroke:${hue}` }));
    group.append(drawn);
    return { places: places.sort((one, other) => one.x - other.x), left };
  };

  const closest = (lists) => (x, y) => {
    let found = null, least = NEAR * NEAR;
    for (const places of lists) {
      for (const place of places) {
        const far = (place.x - x) ** 2 + (place.y - y) ** 2;
        if (far < least) { least = far; found = place; }
      }
    }
    return found;
  };

  // Points that lie on one another are told together; the first of them is the one that is taken.
  const together = (lists) => (x, y) => {
    const found = closest(lists)(x, y);
    if (!found) return null;
    const here = lists.flat().filter((place) => Math.abs(place.x - found.x) < SAME && Math.abs(place.y - found.y) < SAME);
    if (here.length === 1) return found;
    const told = here.slice(0, MOST_TOLD).map((place) => place.text);
    if (here.length > MOST_TOLD) told.push(`and ${here.length - MOST_TOLD} more here`);
    return { ...found, text: told.join("\n") };
  };

  // Returns the picture, its places by series, and how many points cannot be shown.
  const drawPoints = (data, wide, hidden, choose) => {
    const high = wide < NARROW ? HIGH_NARROW : HIGH;
    const box = frame(data, wide, high);
    const group = svg("g", {});
    drawLevels(data, box, group);
    const groups = alike(data, hidden, box);
    const firstOf = (series) => (groups.find(({ members }) => members.includes(series)) || { members: [series] }).members[0];
    const drawn = data.series.map((series, index) => (hidden.has(index) ? { places: [], left: 0 } : drawSeries(series, box, group, firstOf(series))));
    drawNames(groups, (data.levels || []).filter(({ y }) => box.y.shows(y)).map(({ y }) => box.y.pixel(y)), box, group);
    const lists = drawn.map((one) => one.places);
    const ring = svg("circle", { r: RADIUS + 4, class: "ring", visibility: "hidden" });
    const picture = svg("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high }, [axes(data, box), group, ring]);
    const mark = (place) => {
      ring.setAttribute("visibility", place ? "visible" : "hidden");
      if (place) { ring.setAttribute("cx", place.x); ring.setAttribute("cy", place.y); }
    };
    Gatherline.reachable(picture, lists, {
      mark, choose, near: together(lists), along: ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"],
    });
    const left = drawn.reduce((sum, one) => sum + one.left, 0);
    const log = [data.x, data.y].some((one) => one.scale === "log");
    const bad = left ? [`${left} point${left > 1 ? "s" : ""} left out: no number${log ? ", or none above zero, which a logarithmic axis needs" : ""}.`] : [];
    const same = groups.filter(({ members }) => members.length > 1).map(({ members }) => `${members.map(({ name }) => name).join(", ")}: alike, one line.`);
    return { picture, note: [...bad, ...same].join(" "), count: lists.reduce((sum, places) => sum + places.length, 0), keys: "Arrow keys move from point to point and between series." };
  };

  Object.assign(Gatherline, { drawPoints });
})();
