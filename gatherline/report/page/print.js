"use strict";
// What is printed: the parts that are shown, with a line that says of which device, and folded parts that tell something
// of their own (data-print) open while it is printed. The table of totals is printed with its next hundred rows.
(() => {
  const line = document.createElement("p");
  line.className = "note for-print";
  const opened = [];
  window.addEventListener("beforeprint", () => {
    const chosen = Gatherline.choice ? Gatherline.choice() : null;
    const several = document.querySelectorAll("[data-picker='Device'] > [data-choice][hidden]").length > 0;
    line.textContent = chosen && several
      ? `On paper: the first tables have all devices; sections of one device at a time show ${chosen.device}.`
      : "";
    line.hidden = !line.textContent;
    const first = document.querySelector("main > section");
    if (first) first.append(line);
    const more = document.querySelector("#totals .scroll + button:not([hidden])");
    if (more) more.click();
    for (const part of document.querySelectorAll("details[data-print]:not([open])")) { part.open = true; opened.push(part); }
  });
  window.addEventListener("afterprint", () => {
    line.remove();
    for (const part of opened.splice(0)) part.open = false;
  });
})();
