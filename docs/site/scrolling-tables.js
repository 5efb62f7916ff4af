"use strict";

// The theme puts each table into a box that scrolls, while the page loads. The box is reached by keyboard too.
const reachable = () => {
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((box) => {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "table");
  });
};
new MutationObserver(reachable).observe(document.body, { childList: true, subtree: true });
reachable();
