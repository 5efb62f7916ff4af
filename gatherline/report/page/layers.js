"use strict";
// The section of layers: time by cause, roofline, table, and why a layer is slow, for a device and a variant that the
// reader picks. What is picked stands in the address, so that a link opens the same view.
(() => {
  const source = document.getElementById("layer-data");
  if (!source) return;
  const { html, duration, share, amount, signed } = Gatherline;
  const data = JSON.parse(source.textContent);
  const { sentences, causesOf } = Gatherline.layerWords(data);
  const part = (name) => document.getElementById(`layer-${name}`);
  const FIRST_BARS = 30, MOST_NAMES = 60;
  const HASH = "#layers?";
  const state = { device: 0, variant: 0, beside: -1, layer: -1, order: "slowest" };

  // A run's columns, read by the place of a layer in it; a column of one value all over is that value.
  const column = (run, name) => data.columns[run.columns[name]];
  const at = (run, name, place) => { const all = column(run, name); return Array.isArray(all) ? all[place] : all; };
  const layersOf = (run) => [].concat(column(run, "layer"));
  const runs = new Map(data.runs.map((run) => {
    const places = new Map(layersOf(run).map((layer, place) => [layer, place]));
    return [`${run.device}/${run.variant}`, { ...run, places }];
  }));
  const runOf = (variant) => runs.get(`${state.device}/${variant}`);
  const factsOf = (run, layer) => {
    const place = run ? run.places.get(layer) : undefined;
    if (place === undefined) return null;
    const facts = {};
    for (const name of [...data.names.numbers, ...data.names.flags]) facts[name] = at(run, name, place);
    for (const name of data.names.texts) facts[name] = data.texts[at(run, name, place)];
    return facts;
  };
  const besideLabel = () => (state.beside >= 0 && state.beside !== state.variant ? data.variants[state.beside].label : "");
  const seconds = (facts) => (facts ? facts.latency_s || 0 : 0);

  // Layers of the shown run with their facts, and those of the variant beside; by time, the slowest first.
  let shown = [];
  const readRun = () => {
    const run = runOf(state.variant), beside = besideLabel() ? runOf(state.beside) : null;
    shown = [...run.places.keys()].map((layer) => ({ layer, facts: factsOf(run, layer), beside: factsOf(beside, layer) }));
    const byTime = [...shown].sort((one, other) => seconds(other.facts) - seconds(one.facts));
    byTime.forEach((each, index) => { each.rank = index + 1; });
    return state.order === "slowest" ? byTime : shown;
  };

  // Seconds in the unit in which the largest of them reads well.
  const unitOf = (largest) => [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]].find(([each]) => largest >= each) || [1, "s"];

  const drawBars = (ordered) => {
    const largest = Math.max(...shown.map(({ facts, beside }) => Math.max(seconds(facts), seconds(beside))), 0);
    const [factor, unit] = unitOf(largest);
    const untold = shown.some(({ facts }) => !causesOf(facts));
    const series = data.causes.map((cause) => ({ name: cause.title, colour: cause.colour }));
    if (untold) series.push({ name: "not told apart", colour: "dense" });
    const total = runOf(state.variant).total_s;
    const rows = ordered.map(({ layer, facts, beside }) => {
      const told = causesOf(facts);
      const values = data.causes.map((cause) => (told ? facts[cause.column] / factor : 0));
      const name = data.layers[layer];
      const parts = told ? told.filter(([, each]) => each > 0).map(([cause, each]) => `${cause.title}: ${duration(each)}`) : [];
      const compared = beside ? [`${besideLabel()}: ${duration(beside.latency_s)}`] : [];
      return {
        label: name, layer, values: untold ? [...values, told ? 0 : seconds(facts) / factor] : values,
        end: duration(facts.latency_s), mark: beside ? seconds(beside) / factor : null, markText: beside ? duration(beside.latency_s) : "",
        tip: [name, `${duration(facts.latency_s)}, ${share(total ? seconds(facts) / total : null)} of the network`, ...parts, ...compared].join("\n"),
      };
    });
    const label = besideLabel();
    part("bars").querySelector("figcaption").textContent =
      `Time of each layer by cause: ${data.variants[state.variant].label} on ${data.devices[state.device].name}${label ? `; the upright mark is ${label}` : ""}`;
    Gatherline.drawChart(part("bars"), { kind: "bars", title: "Time of each layer by cause", x: { label: "time", unit }, series, rows, page: FIRST_BARS },
      (place) => choose(place.row.layer));
  };

  // A layer's point: multiply-adds for each byte of DRAM, and a second. Layers without either have no place in it.
  const rooflinePoint = (layer, facts) => {
    if (!facts || !(facts.macs_effectual > 0) || !(facts.dram_bytes > 0) || !(facts.latency_s > 0)) return null;
    const perByte = facts.macs_effectual / facts.dram_bytes, perSecond = facts.macs_effectual / facts.latency_s;
    const text = `${data.layers[layer]}\n${amount(perSecond)}MAC/s at ${amount(perByte)} MAC a byte\n${duration(facts.latency_s)}, limited by ${facts.bound || "?"}`;
    return [perByte, perSecond, text, layer];
  };
  const roofs = (points, peak, bytes) => {
    if (!(peak > 0) || !(bytes > 0)) return [];
    const ridge = peak / bytes;
    const xs = [ridge, ...points.map(([x]) => x)];
    const low = Math.min(...xs) / 1.5, high = Math.max(...xs) * 1.5;
    return [
      { name: "compute roof", colour: 5, line: true, marks: false, points: [[ridge, peak, `compute roof\n${amount(peak)}MAC/s`], [high, peak, `compute roof\n${amount(peak)}MAC/s`]] },
      { name: "DRAM roof", colour: 2, line: true, marks: false, points: [[low, low * bytes, `DRAM roof\n${amount(bytes)}B/s`], [ridge, peak, `both roofs meet\n${amount(ridge)} MAC a byte`]] },
    ];
  };
  const drawRoofline = () => {
    const { peak_macs_per_s: peak, dram_bytes_per_s: bytes } = data.devices[state.device];
    const points = shown.map(({ layer, facts }) => rooflinePoint(layer, facts)).filter(Boolean);
    const others = shown.map(({ layer, beside }) => rooflinePoint(layer, beside)).filter(Boolean);
    const series = [{ name: data.variants[state.variant].label, colour: 0, line: false, marks: true, points }];
    if (others.length) series.unshift({ name: besideLabel(), colour: "dense", line: false, marks: true, points: others });
    series.push(...roofs([...points, ...others], peak, bytes));
    Gatherline.drawChart(part("roofline"), {
      kind: "xy", title: `Roofline of ${data.devices[state.device].name}`, series,
      x: { label: "effectual MACs for each DRAM byte", unit: "MAC/B", scale: "log" },
      y: { label: "effectual MACs a second", unit: "MAC/s", scale: "log" },
    }, (place) => { if (place.point.length > 3) choose(place.point[3]); });
    const without = shown.length - points.length;
    part("without").textContent = without ? `${without} layers without multiply-adds or DRAM bytes have no point.` : "";
  };

  const drawTable = () => {
    const total = runOf(state.variant).total_s;
    const cell = (text, value) => ({ text: text || "-", value });
    const bare = shown.filter(({ facts }) => typeof facts.density !== "number"); // activations, pools, sums ...
    const some = bare.length > 0 && bare.length < shown.length;
    part("also-label").hidden = !some;
    const spent = bare.reduce((sum, { facts }) => sum + seconds(facts), 0);
    part("also-text").textContent = `also the ${bare.length} layers without weights (${share(total ? spent / total : null)} of the time)`;
    const inTable = some && !part("also").checked ? shown.filter((each) => !bare.includes(each)) : shown;
    const rows = inTable.map(({ layer, facts, beside }) => {
      const change = beside ? seconds(facts) - seconds(beside) : null;
      return {
        key: String(layer),
        cells: [
          cell(data.layers[layer]), cell(duration(facts.latency_s), facts.latency_s),
          cell(change === null ? "-" : change === 0 ? "same" : signed(change, duration(Math.abs(change))), change === null ? "" : change),
          cell(share(total ? seconds(facts) / total : null), seconds(facts)),
          cell(facts.largest), cell(facts.bound),
          cell(share(facts.density), facts.density), cell(share(facts.utilization), facts.utilization),
          cell(amount(facts.macs_effectual), facts.macs_effectual), cell(amount(facts.dram_bytes), facts.dram_bytes),
          cell(facts.kind), cell(facts.shape), cell(facts.kernel), cell(facts.encoding), cell(facts.mapping),
        ],
      };
    });
    Gatherline.dataTable(part("table"), rows, (key) => choose(Number(key)));
    part("table").closest(".scroll").hidden = !rows.length;
  };

  // The slowest layer is told about until one is chosen.
  const current = () => {
    if (state.layer >= 0 || !shown.length) return state.layer;
    return shown.find((each) => each.rank === 1).layer;
  };
  const markChosen = () => {
    const layer = String(current());
    for (const row of part("bars").querySelectorAll(".row")) row.classList.toggle("chosen", row.dataset.layer === layer);
    for (const row of part("table").tBodies[0].rows) row.classList.toggle("chosen", row.dataset.key === layer);
  };
  const tellWhy = () => {
    const layer = current();
    const found = shown.find((each) => each.layer === layer);
    const name = layer >= 0 ? data.layers[layer] : "";
    markChosen();
    part("name").value = name;
    part("why-title").textContent = name ? `Why does ${name} take its time?` : "Why is this layer slow?";
    if (!found) {
      const text = name ? `${data.variants[state.variant].label} has no layer ${name} here.` : "Choose a bar, a point or a row, or type a layer's name.";
      part("why").replaceChildren(html("p", {}, text));
      return;
    }
    const place = { layer: name, device: data.devices[state.device].name, total_s: runOf(state.variant).total_s, rank: found.rank, count: shown.length };
    const [first, ...rest] = sentences(found.facts, place, found.beside, besideLabel());
    part("why").replaceChildren(html("p", {}, html("strong", {}, first)), html("ul", {}, rest.map((line) => html("li", {}, line))));
  };

  const picked = () => {
    const asked = new URLSearchParams();
    asked.set("device", data.devices[state.device].name);
    asked.set("pattern", data.variants[state.variant].label);
    asked.set("beside", state.beside >= 0 ? data.variants[state.beside].label : "");
    if (state.layer >= 0) asked.set("layer", data.layers[state.layer]);
    if (state.order !== "slowest") asked.set("order", state.order);
    return HASH + asked.toString();
  };
  const keep = () => {
    Gatherline.keepAddress(picked());
    if (Gatherline.keepChoice) Gatherline.keepChoice(); // the limit of the page beside them
  };
  const keepHere = () => { if (location.hash.startsWith(HASH)) keep(); }; // a link to here stays true, others stay

  const draw = () => {
    const ordered = readRun();
    part("device").value = String(state.device);
    offer(part("variant"), variantsHere(), state.variant);
    offer(part("beside"), [-1, ...variantsHere()], state.beside);
    part("order").value = state.order;
    drawBars(ordered);
    drawRoofline();
    drawTable();
    tellWhy();
  };
  const choose = (layer) => {
    state.layer = layer;
    tellWhy();
    keep();
    if (part("panel").getBoundingClientRect().top < 0 || part("panel").getBoundingClientRect().bottom > window.innerHeight) {
      part("panel").scrollIntoView({ block: "nearest" });
    }
    Gatherline.say(part("why").textContent);
  };

  const variantsHere = () => data.variants.map((_, index) => index).filter((index) => runs.has(`${state.device}/${index}`));
  const offer = (select, values, chosen) => {
    const options = values.map((value) => html("option", { value }, value < 0 ? "nothing" : data.variants[value].label));
    select.replaceChildren(...options);
    select.value = String(chosen);
  };
  const denseHere = () => variantsHere().find((index) => data.variants[index].dense);
  const restart = (device) => {
    state.device = device;
    state.variant = data.devices[device].best;
    const dense = denseHere();
    state.beside = dense === undefined ? -1 : dense;
  };
  // Another device keeps what was picked, as far as it was run there.
  const changeDevice = (device) => {
    const { variant, beside } = state;
    restart(device);
    if (variantsHere().includes(variant)) state.variant = variant;
    if (beside < 0 || variantsHere().includes(beside)) state.beside = beside;
  };

  // The page-wide device and limit, as choices-data and its event tell them, until the reader picks a variant here.
  const pageWide = document.getElementById("choices-data");
  const choices = pageWide ? JSON.parse(pageWide.textContent) : null;
  let byHand = false;
  const follow = (choice) => {
    const device = choice ? data.devices.findIndex(({ name }) => name === choice.device) : -1;
    if (device < 0) return false;
    if (device !== state.device) changeDevice(device);
    if (byHand) return true;
    const limit = choices.limits.findIndex((each) => Math.abs(each - choice.limit) < 1e-9);
    const best = (choices.best[choices.devices.indexOf(choice.device)] || [])[limit];
    const variant = best ? data.variants.findIndex((each) => each.pattern === best.pattern && each.sparsity === best.sparsity) : -1;
    state.variant = variantsHere().includes(variant) ? variant : data.devices[device].best;
    return true;
  };

  const fromAddress = () => {
    if (!location.hash.startsWith(HASH)) return false;
    const asked = new URLSearchParams(location.hash.slice(HASH.length));
    const device = data.devices.findIndex((each) => each.name === asked.get("device"));
    if (device >= 0) restart(device);
    const lacks = [];
    const lack = (name, what, there) => { if (asked.get(name) && !there) lacks.push(`the ${what} "${asked.get(name)}"`); };
    const variant = (name) => data.variants.findIndex((each) => each.label === asked.get(name));
    if (variantsHere().includes(variant("pattern"))) { state.variant = variant("pattern"); byHand = true; }
    if (asked.get("beside") === "") state.beside = -1;
    else if (variantsHere().includes(variant("beside"))) state.beside = variant("beside");
    state.layer = asked.has("layer") ? data.layers.indexOf(asked.get("layer")) : -1;
    state.order = asked.get("order") === "network" ? "network" : "slowest";
    lack("device", "device", device >= 0);
    lack("pattern", "variant", variantsHere().includes(variant("pattern")));
    lack("beside", "variant", variantsHere().includes(variant("beside")));
    lack("layer", "layer", state.layer >= 0);
    Gatherline.sayAbsent("layers", lacks.length ? `The link asks for ${lacks.join(" and ")}, which this page has not.` : "");
    return true;
  };

  const suggest = () => {
    const typed = part("name").value.trim().toLowerCase();
    const names = [];
    for (const { layer } of shown) {
      const name = data.layers[layer];
      if (name.toLowerCase().includes(typed)) names.push(name);
      if (names.length === MOST_NAMES) break;
    }
    part("names").replaceChildren(...names.map((name) => html("option", { value: name })));
  };
  const byName = () => {
    const typed = part("name").value.trim();
    if (!typed || (current() >= 0 && data.layers[current()] === typed)) return;
    const same = shown.find(({ layer }) => data.layers[layer] === typed);
    const near = same || shown.find(({ layer }) => data.layers[layer].toLowerCase().includes(typed.toLowerCase()));
    if (near) { choose(near.layer); return; }
    part("why").replaceChildren(html("p", {}, `No layer's name holds "${typed}".`));
    Gatherline.say(part("why").textContent);
  };

  if (!data.devices.length) return;
  part("device").replaceChildren(...data.devices.map((device, index) => html("option", { value: index }, device.name)));
  const changed = (name, take) => part(name).addEventListener("change", () => { take(part(name).value); draw(); keep(); });
  changed("device", (value) => changeDevice(Number(value)));
  changed("variant", (value) => { state.variant = Number(value); byHand = true; });
  changed("beside", (value) => { state.beside = Number(value); });
  changed("order", (value) => { state.order = value; });
  part("also").addEventListener("change", () => { drawTable(); markChosen(); });
  part("name").addEventListener("focus", suggest);
  part("name").addEventListener("input", suggest);
  part("name").addEventListener("change", byName);
  part("name").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); byName(); } });
  part("view").hidden = false;
  restart(0);
  if (choices) {
    part("device-label").hidden = data.devices.every(({ name }) => choices.devices.includes(name)); // the page has one for all of it
    if (Gatherline.choice) follow(Gatherline.choice());
    document.addEventListener("gatherline-choice", ({ detail }) => { if (follow(detail)) { draw(); keepHere(); } });
  }
  const linked = fromAddress();
  draw();
  if (linked) document.getElementById("layers").scrollIntoView();
  window.addEventListener("hashchange", () => { if (fromAddress()) draw(); });
})();
