"use strict";
// Parts of a page of which one is looked at: a box to choose from, one for all parts that offer the same names.
// Without scripts every part stands there under its heading, one after the other.
(() => {
  const groups = [...document.querySelectorAll("[data-picker]")];
  const choicesOf = (group) => [...group.children].filter((part) => part.dataset.choice !== undefined);

  const show = (group, name) => {
    const parts = choicesOf(group);
    if (!parts.some((part) => part.dataset.choice === name)) return;
    for (const part of parts) part.hidden = part.dataset.choice !== name;
    const box = group.querySelector(":scope > .tools select");
    if (box) box.value = name;
  };

  // A device that is chosen in one section is the one that the reader wants to see in the others
  const showAll = (picker, name) => {
    for (const group of groups) if (group.dataset.picker === picker) show(group, name);
  };

  groups.forEach((group, place) => {
    const parts = choicesOf(group);
    if (parts.length < 2) return;
    const tools = document.createElement("div");
    tools.className = "tools";
    const label = document.createElement("label");
    label.textContent = group.dataset.picker;
    const box = document.createElement("select");
    box.id = `choice-${place}`;
    label.htmlFor = box.id;
    for (const part of parts) box.append(new Option(part.dataset.choice, part.dataset.choice));
    box.addEventListener("change", () => {
      // what is above may become longer or shorter: keep the box where the reader's eyes are
      const before = box.getBoundingClientRect().top;
      showAll(group.dataset.picker, box.value);
      window.scrollBy({ top: box.getBoundingClientRect().top - before, behavior: "instant" });
    });
    label.append(box);
    tools.append(label);
    group.prepend(tools);
    show(group, parts[0].dataset.choice);
  });
})();
