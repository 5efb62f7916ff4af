"use strict";
// What a reader chooses for the whole page: a device, and how many weights they can remove. The bar on top holds it, the
// address keeps it, and the event "gatherline-choice" on the document tells it: {device, limit}, at load and at every change.
// Also parts of a page of which one is looked at (data-picker): a box to choose from, one for all parts that offer the
// same names. Without scripts every part stands there under its heading, one after the other.
(() => {
  const source = document.getElementById("choices-data");
  const data = source ? JSON.parse(source.textContent) : null;
  const bar = document.getElementById("choices");
  const box = document.getElementById("choice-device");
  const WITHIN = 0.005; // what removes half a point more than the limit still keeps to it
  const state = data ? { device: data.devices[0], limit: data.limits[data.preset], kept: false } : null;
  // a page inside another one (srcdoc, sandbox) has no address of its own to keep
  const keepAddress = (address) => { try { history.replaceState(null, "", address); } catch { /* the view is as chosen */ } };
  // What a link asks for and the page has not, in a line of the section that it leads to; "" takes the line away.
  const sayAbsent = (section, words) => {
    const head = document.querySelector(`#${CSS.escape(section)} h2`);
    if (!head) return;
    const next = head.nextElementSibling;
    if (next && next.classList.contains("absent")) next.remove();
    if (!words) return;
    const note = document.createElement("p");
    note.className = "note absent";
    note.textContent = words;
    head.after(note);
  };
  Object.assign(Gatherline, { keepAddress, sayAbsent });
  const choice = () => (state ? { device: state.device, limit: state.limit } : null);

  // Parts that are shown one at a time
  const groups = [...document.querySelectorAll("[data-picker]")];
  const choicesOf = (group) => [...group.children].filter((part) => part.dataset.choice !== undefined);
  const ofDevice = (group) => Boolean(data) && group.dataset.picker === "Device";
  const sayNone = (group, words) => {
    let note = group.querySelector(":scope > .none-here");
    if (!note) {
      note = document.createElement("p");
      note.className = "note none-here";
      group.prepend(note);
    }
    note.textContent = words;
    note.hidden = !words;
  };
  const show = (group, name) => {
    const parts = choicesOf(group);
    const there = parts.some((part) => part.dataset.choice === name);
    if (!there && !ofDevice(group)) return;
    if (ofDevice(group)) sayNone(group, there ? "" : `Nothing to show here for ${name}.`);
    for (const part of parts) part.hidden = part.dataset.choice !== name;
    const picker = group.querySelector(":scope > .tools select");
    if (picker) picker.value = name;
  };
  const steadily = (element, change) => { // what is above may become longer or shorter: keep it where the reader's eyes are
    const before = element.getBoundingClientRect().top;
    change();
    window.scrollBy({ top: element.getBoundingClientRect().top - before, behavior: "instant" });
  };
  groups.forEach((group, place) => {
    const parts = choicesOf(group);
    if (parts.length < 2 || ofDevice(group)) return;
    const tools = document.createElement("div");
    tools.className = "tools";
    const label = document.createElement("label");
    label.textContent = group.dataset.picker;
    const picker = document.createElement("select");
    picker.id = `choice-${place}`;
    label.htmlFor = picker.id;
    for (const part of parts) picker.append(new Option(part.dataset.choice, part.dataset.choice));
    picker.addEventListener("change", () => steadily(picker, () => {
      for (const other of groups) if (other.dataset.picker === group.dataset.picker) show(other, picker.value);
    }));
    label.append(picker);
    tools.append(label);
    group.prepend(tools);
    show(group, parts[0].dataset.choice);
  });

  // The bar is of one height or of two lines: what is jumped to must not lie under it
  const top = document.querySelector(".top");
  const measure = () => document.documentElement.style.setProperty("--top", `${Math.ceil(top.getBoundingClientRect().height)}px`);
  if (bar) bar.hidden = false;
  measure();
  window.addEventListener("resize", measure);
  if (!data) return;

  const beyond = (cell) => data.limits.length > 1 && Number(cell.dataset.removed) > state.limit + WITHIN;
  const apply = () => {
    const place = data.limits.indexOf(state.limit);
    for (const group of groups) if (ofDevice(group)) show(group, state.device);
    for (const part of document.querySelectorAll("[data-device]")) part.classList.toggle("chosen", part.dataset.device === state.device);
    for (const part of document.querySelectorAll(".glance [data-limit]")) part.classList.toggle("chosen", Number(part.dataset.limit) === state.limit);
    for (const part of document.querySelectorAll(".glance th[data-limit]")) part.setAttribute("aria-current", String(Number(part.dataset.limit) === state.limit));
    for (const part of document.querySelectorAll(".answer[data-limit]")) part.hidden = Number(part.dataset.limit) !== state.limit;
    for (const cell of data.limits.length > 1 ? document.querySelectorAll(".heat td[data-best]") : []) {
      const best = cell.dataset.best.split(" ").includes(String(place));
      cell.classList.toggle("best", best);
      cell.classList.toggle("beyond", beyond(cell));
      cell.querySelector(".mark").textContent = best ? " fastest within the limit" : beyond(cell) ? " beyond the limit" : "";
    }
    if (box) box.value = state.device;
    if (bar) for (const button of bar.querySelectorAll("[name=limit]")) button.checked = Number(button.value) === state.limit;
  };
  const tell = () => document.dispatchEvent(new CustomEvent("gatherline-choice", { detail: choice() }));

  // The address: #section?device=...&limit=..., beside what other parts of the page keep there
  const asked = () => new URLSearchParams(location.hash.split("?")[1] || "");
  const fromAddress = () => {
    const device = asked().get("device"), limit = Number(asked().get("limit"));
    const before = `${state.device} ${state.limit}`;
    if (data.devices.includes(device)) state.device = device;
    const section = location.hash.slice(1).split("?")[0];
    // the layers tell what they lack themselves
    if (device && section && section !== "layers") sayAbsent(section, data.devices.includes(device) ? "" : `The link asks for the device "${device}", which is not in this page.`);
    if (asked().has("limit") && data.limits.includes(limit)) state.limit = limit;
    state.kept = state.kept || asked().has("device") || asked().has("limit");
    return before !== `${state.device} ${state.limit}`;
  };
  const keep = () => {
    const section = location.hash.split("?")[0] || "#headline", values = asked();
    values.set("device", state.device);
    values.set("limit", state.limit);
    state.kept = true;
    const address = `${section}?${values}`;
    if (address !== location.hash) keepAddress(address);
  };
  const choose = (changed) => {
    Object.assign(state, changed);
    apply();
    tell();
    keep();
  };

  if (bar) {
    bar.addEventListener("submit", (event) => event.preventDefault());
    bar.addEventListener("change", ({ target }) => {
      // the section that is read now must stay where it is, whatever grows above it
      const read = [...document.querySelectorAll("main > section")].find((part) => part.getBoundingClientRect().bottom > top.offsetHeight);
      steadily(read || top, () => choose(target === box ? { device: box.value } : { limit: Number(target.value) }));
    });
  }
  fromAddress();
  apply();
  document.documentElement.classList.add("has-choices");
  // the other scripts listen by then
  document.addEventListener("DOMContentLoaded", () => {
    tell();
    const section = location.hash.includes("?") && document.getElementById(location.hash.slice(1).split("?")[0]);
    if (section && section.id !== "headline") section.scrollIntoView();
  });
  window.addEventListener("hashchange", () => {
    if (fromAddress()) { apply(); tell(); }
    if (state.kept) keep(); // a link within the page has left it out
  });
  // the layers keep what is picked there in the address, too, and leave the limit out
  for (const kind of ["change", "click"]) {
    document.addEventListener(kind, () => { if (state.kept && location.hash.includes("?") && !asked().has("limit")) keep(); });
  }
  Gatherline.choice = choice;
})();
