"use strict";
// Draws every figure of class "chart" from the JSON inside it: picture, legend, notes; again when its box changes.
// drawChart(figure, data, choose) also serves other scripts: choose(place) is called for a point or row that is taken.
(() => {
  const { html, svg, colour, shape, dash } = Gatherline;
  const LEAST_WIDTH = 260, PRINT_WIDTH = 680;
  const states = new WeakMap(); // figure -> {data, choose, hidden, rows, width}
  const figures = new Set();

  const swatch = (series, kind) => {
    const hue = colour(series.colour);
    const lineOnly = series.line && series.marks === false;
    const mark = kind === "bars" ? svg("rect", { x: 1, y: 2, width: 12, height: 10, style: `fill:${hue}` })
      : lineOnly ? svg("line", { x1: 0, x2: 14, y1: 7, y2: 7, class: "line", style: `stroke:${hue}`, "stroke-dasharray": dash(series.colour) })
      : svg("path", { d: shape(series.colour)(7, 7, 4.5), class: "marks", style: `fill:${hue};stroke:${hue}` });
    return svg("svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" }, mark);
  };

  // A button a series: pressed means shown.
  const legend = (figure, state) => {
    const { data, hidden } = state;
    const buttons = data.series.map((series, index) => {
      const button = html("button", { type: "button", "aria-pressed": String(!hidden.has(index)) }, [swatch(series, data.kind), ` ${series.name}`]);
      button.addEventListener("click", () => {
        if (hidden.has(index)) hidden.delete(index); else hidden.add(index);
        button.setAttribute("aria-pressed", String(!hidden.has(index)));
        drawPicture(figure, state);
      });
      return button;
    });
    return html("div", { class: "legend", role: "group", "aria-label": `Series of ${data.title}` }, buttons);
  };

  const drawPicture = (figure, state) => {
    const { data, hidden, plot, note, more, choose } = state;
    const wide = Math.max(LEAST_WIDTH, Math.floor(state.width));
    const drawn = data.kind === "bars"
      ? Gatherline.drawBars(data, wide, hidden, choose, state.rows)
      : Gatherline.drawPoints(data, wide, hidden, choose);
    const { picture } = drawn;
    // one stop of the Tab key; its points are reached by arrows and said by the live region
    picture.setAttribute("role", "application");
    picture.setAttribute("aria-roledescription", "chart");
    picture.setAttribute("tabindex", "0");
    picture.setAttribute("aria-label", `${data.title}: ${drawn.count} ${data.kind === "bars" ? "bars" : "points"}. ${drawn.keys}`);
    for (const child of picture.children) child.setAttribute("aria-hidden", "true");
    plot.replaceChildren(picture);
    note.textContent = [drawn.count ? "" : "Nothing to draw.", drawn.note].filter(Boolean).join(" ");
    note.hidden = !note.textContent;
    more.hidden = !(drawn.more > 0);
    if (drawn.more > 0) {
      const all = drawn.more <= Gatherline.BARS_PAGE;
      more.textContent = all ? `Show the other ${drawn.more}` : `Show ${Gatherline.BARS_PAGE} of the other ${drawn.more}`;
    }
  };

  const problem = (data) => {
    if (!data || (data.kind !== "xy" && data.kind !== "bars")) return `a chart of an unknown kind: ${data && data.kind}`;
    if (!Array.isArray(data.series)) return "a chart without series";
    return data.kind === "bars" && !Array.isArray(data.rows) ? "a chart of bars without rows" : "";
  };

  const drawChart = (figure, data, choose) => {
    const wrong = problem(data);
    if (wrong) throw new Error(`Gatherline: ${wrong}`);
    const before = states.get(figure);
    if (before) before.parts.forEach((part) => part.remove());
    const plot = html("div", { class: "plot" }), note = html("p", { class: "note", hidden: true });
    const more = html("button", { type: "button", class: "tool", hidden: true });
    const keep = before && before.data.series.length === data.series.length ? before.hidden : new Set();
    const state = { data, choose, hidden: keep, rows: data.page || Gatherline.BARS_PAGE, plot, note, more, width: figure.clientWidth };
    const named = data.series.length > 1 ? [legend(figure, state)] : [];
    state.parts = [...named, plot, more, note];
    more.addEventListener("click", () => {
      state.rows += Gatherline.BARS_PAGE;
      drawPicture(figure, state);
      Gatherline.say(`${Math.min(state.rows, data.rows.length)} of ${data.rows.length} bars`);
      if (more.hidden) plot.firstChild.focus(); // the focus never falls off a button that went away
    });
    const caption = figure.querySelector("figcaption");
    if (caption) caption.after(...state.parts); else figure.prepend(...state.parts);
    states.set(figure, state);
    state.width = plot.clientWidth || figure.clientWidth || PRINT_WIDTH;
    drawPicture(figure, state);
    if (!figures.has(figure)) { figures.add(figure); resizes.observe(figure); }
  };

  const redraw = (figure, width) => {
    const state = states.get(figure);
    if (!state || !width || Math.abs(width - state.width) < 1) return;
    state.width = width;
    drawPicture(figure, state);
  };
  const resizes = new ResizeObserver((entries) => {
    for (const { target } of entries) redraw(target, states.get(target).plot.clientWidth);
  });
  const redrawAll = (width) => {
    for (const figure of figures) redraw(figure, width || states.get(figure).plot.clientWidth);
  };
  // colours come from the page's style and change with it: nothing is drawn again
  document.addEventListener("gatherline-theme", () => Gatherline.hideTip());
  window.addEventListener("beforeprint", () => { Gatherline.hideTip(); redrawAll(PRINT_WIDTH); });
  window.addEventListener("afterprint", () => redrawAll(0)); // the width that each has on the screen

  Object.assign(Gatherline, { drawChart });
  for (const figure of document.querySelectorAll("figure.chart")) {
    const source = figure.querySelector("script.chart-data");
    if (source) drawChart(figure, JSON.parse(source.textContent));
  }
})();
