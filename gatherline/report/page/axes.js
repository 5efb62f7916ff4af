"use strict";
// Ground of the charts: numbers as text, ticks, scales from values to pixels, SVG elements, colours and marks.
// Gatherline is the one global name of a page; the other files add to it.
const Gatherline = {};

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const PREFIXES = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
  const MOST_TICKS = 8;

  // An element with its attributes and children; text goes in as text, never as markup.
  const element = (make, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) make.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of [].concat(children === undefined ? [] : children)) {
      if (child !== null) make.append(typeof child === "object" ? child : String(child));
    }
    return make;
  };
  const svg = (name, attributes, children) => element(document.createElementNS(SVG, name), attributes, children);
  const html = (name, attributes, children) => element(document.createElement(name), attributes, children);

  // A tick or a value in few letters: plain from 0.001 to 10,000, with a prefix outside; "" for what is no number.
  const short = (value, digits = 4) => {
    if (!Number.isFinite(value)) return "";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e-3 && size < 1e4) return String(Number(value.toPrecision(digits)));
    for (const [unit, letter] of PREFIXES) {
      if (size >= unit * 0.99999) return `${Number((value / unit).toPrecision(digits))}${letter}`;
    }
    return value.toExponential(2);
  };

  // Round steps of 1, 2, 2.5 or 5 times a power of ten that lie within low and high.
  const linearTicks = (low, high, most) => {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999) || 10 * power;
    const ticks = [];
    for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9 && ticks.length < 50; at += 1) {
      ticks.push(Number((at * step).toPrecision(12)));
    }
    return ticks;
  };

  // Powers of ten; with 2 and 5 between them, or plain steps, where there are too few of them.
  const logTicks = (low, high, most) => {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const within = (factors, stride) => {
      const ticks = [];
      for (let power = first; power <= last; power += stride) {
        for (const factor of factors) {
          const tick = Number((factor * 10 ** power).toPrecision(12));
          if (tick >= low * 0.999999 && tick <= high * 1.000001) ticks.push(tick);
        }
      }
      return ticks;
    };
    const fine = within([1, 2, 5], 1);
    if (fine.length < 3) return linearTicks(low, high, Math.min(most, 5));
    if (fine.length <= most) return fine;
    return within([1], Math.max(1, Math.ceil((last - first) / most)));
  };

  // Where an axis begins and ends: room beside the values; zero where the values come near it; never of no length.
  const domain = (values, log) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return log ? [1, 10] : [0, 1];
    if (log) {
      const room = low === high ? 2 : (high / low) ** 0.05;
      return [Math.max(low / room, 1e-300), Math.min(high * room, 1e300)];
    }
    if (low === high) {
      if (low === 0) return [0, 1];
      return low > 0 ? [0, low * 2] : [low * 2, 0];
    }
    if (low >= 0 && low < high * 0.6) return [0, high * 1.05];
    const room = (high - low) * 0.06;
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  };

  // An axis over values: pixel(value), ticks, and whether it can show a value at all.
  const axis = (values, { log = false, from = 0, to = 1, most = MOST_TICKS } = {}) => {
    const shows = (value) => Number.isFinite(value) && (!log || value > 0);
    const [low, high] = domain(values.filter(shows), log);
    const place = log ? Math.log10 : (value) => value;
    const span = place(high) - place(low);
    const pixel = (value) => from + ((place(value) - place(low)) / span) * (to - from);
    return { low, high, shows, pixel, ticks: (log ? logTicks : linearTicks)(low, high, most) };
  };

  const titled = (part) => (part.unit ? `${part.label} (${part.unit})` : part.label);

  // Colours stand in the page's CSS, so that a change of theme needs no new drawing.
  const COLOURS = 6;
  const colour = (name) => (typeof name === "number" ? `var(--c${((name % COLOURS) + COLOURS) % COLOURS})` : `var(--${name})`);

  // Marks differ by shape too: path of one at (x, y) with radius r. A chart's points are one path, so that 10,000 are quick.
  const SHAPES = [
    (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
    (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    (x, y, r) => `M${x} ${y - 1.3 * r}L${x + 1.2 * r} ${y + r}H${x - 1.2 * r}z`,
    (x, y, r) => `M${x} ${y - 1.4 * r}L${x + 1.4 * r} ${y}L${x} ${y + 1.4 * r}L${x - 1.4 * r} ${y}z`,
    (x, y, r) => `M${x} ${y + 1.3 * r}L${x + 1.2 * r} ${y - r}H${x - 1.2 * r}z`,
    (x, y, r) => `M${x - r} ${y - r}L${x} ${y - r * 0.4}L${x + r} ${y - r}L${x + r * 0.4} ${y}L${x + r} ${y + r}L${x} ${y + r * 0.4}L${x - r} ${y + r}L${x - r * 0.4} ${y}z`,
  ];
  const CROSS = (x, y, r) => `M${x - r} ${y - 1}h${r - 1}v${1 - r}h2v${r - 1}h${r - 1}v2h${1 - r}v${r - 1}h-2v${1 - r}h${1 - r}z`;
  // Rings are two circles that turn opposite ways, so that what they are around stays in sight.
  const ring = (x, y, outer, inner) => `M${x - outer} ${y}a${outer} ${outer} 0 1 0 ${2 * outer} 0a${outer} ${outer} 0 1 0 ${-2 * outer} 0z`
    + `M${x - inner} ${y}a${inner} ${inner} 0 1 1 ${2 * inner} 0a${inner} ${inner} 0 1 1 ${-2 * inner} 0z`;
  const STAR = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => [Math.sin((at * Math.PI) / 5), -Math.cos((at * Math.PI) / 5), at % 2 ? 0.8 : 2]);
  // What points are, beside what they are made of: on a front, its knee, out of bounds, too many to tell apart.
  const NAMED = {
    member: (x, y, r) => ring(x, y, 1.5 * r, 1.2 * r),
    knee: (x, y, r) => `${ring(x, y, 2.7 * r, 2.3 * r)}M${STAR.map(([right, down, far]) => `${x + right * r * far * 0.75} ${y + down * r * far * 0.75}`).join("L")}z`,
    broken: (x, y, r) => `M${x - r} ${y - 1}h${2 * r}v2h${-2 * r}z`,
    rest: (x, y, r) => `M${x - r / 2} ${y}a${r / 2} ${r / 2} 0 1 0 ${r} 0a${r / 2} ${r / 2} 0 1 0 ${-r} 0z`,
  };
  const shape = (name) => (typeof name === "number" ? SHAPES[((name % COLOURS) + COLOURS) % COLOURS] : NAMED[name] || CROSS);
  const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "4 2", "12 4"];
  const dash = (name) => (typeof name === "number" ? DASHES[((name % COLOURS) + COLOURS) % COLOURS] : "5 5");

  Object.assign(Gatherline, { svg, html, short, axis, titled, colour, shape, dash });
})();
