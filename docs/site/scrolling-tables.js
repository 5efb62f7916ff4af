"use strict";

// The theme puts each table into a box that scrolls, while the page loads; results of a notebook bring such boxes along.
// They are reached by keyboard too.
const BOXES = ".md-typeset__scrollwrap:not([tabindex]), .result [style*=overflow]:not([tabindex])";
const reachable = () => {
  document.querySelectorAll(BOXES).forEach((box) => {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "table");
  });
};
new MutationObserver(reachable).observe(document.body, { childList: true, subtree: true });
reachable();
