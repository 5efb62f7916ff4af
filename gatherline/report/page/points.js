"use strict";
// Draws a chart of kind "xy": series of points and lines over two axes, with bands and level lines.
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
    if (which === 1) for (const level of data.levels || []) found.push(level.y);
    return found.filter((value) => typeof value === "number");
  };

  // Room left of the axis for its widest tick.
  const ticksWide = (one) => Math.max(...one.ticks.map((tick) => short(tick).length), 1) * TEXT_WIDTH + 12;

  const frame = (data, wide, high) => {
    const yLog = data.y.scale === "log", xLog = data.x.scale === "log";
    const ys = valuesOf(data, 1), xs = valuesOf(data, 0);
    const y = axis(ys, { log: yLog, from: high - 46, to: 14, most: high > 350 ? 8 : 6 });
    const left = ticksWide(y) + 20;
    const x = axis(xs, { log: xLog, from: left + 8, to: wide - 16, most: Math.min(10, Math.max(3, Math.floor((wide - left) / 80))) });
    return { x, y, left, right: wide - 8, top: 8, bottom: high - 40 };
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
      group.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "level" }));
      group.append(svg("text", { x: box.right - 4, y: at - 5, "text-anchor": "end", class: "level-text" }, level.label));
    }
  };

  const drawSeries = (series, box, group) => {
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
    const area = bandPath(series, box);
    if (area) drawn.append(svg("path", { d: area, class: area.endsWith("z") ? "band" : "band-bar", style: `fill:${hue};stroke:${hue}` }));
    if (series.line) {
      // a point that cannot be shown breaks the line: no line leads across it
      const d = line.map((one, index) => (one === null ? "" : `${index && line[index - 1] !== null ? "L" : "M"}${one}`)).join("");
      drawn.append(svg("path", { d, class: "line", style: `stroke:${hue}`, "stroke-dasharray": dash(series.colour) }));
    }
    if (series.marks !== false) drawn.append(svg("path", { d: marks.join(""), class: "marks", style: `fill:${hue};stroke:${hue}` }));
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
    const drawn = data.series.map((series, index) => (hidden.has(index) ? { places: [], left: 0 } : drawSeries(series, box, group)));
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
    const note = left ? `${left} point${left > 1 ? "s" : ""} left out: no number${log ? ", or none above zero, which a logarithmic axis needs" : ""}.` : "";
    return { picture, note, count: lists.reduce((sum, places) => sum + places.length, 0), keys: "Arrow keys move from point to point and between series." };
  };

  Object.assign(Gatherline, { drawPoints });
})();
