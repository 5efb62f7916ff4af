"use strict";
// The first time that a word of the page's list is used in running text it says what it means, and leads to the list.
// Pages without a list, as those of sweeps, are left as they are; so is what scripts write and rewrite.
(() => {
  const entries = [...document.querySelectorAll("#words dt[data-words]")];
  const skipped = "a, abbr, button, code, pre, summary, label, select, svg, script, style, figure, h1, h2, h3, h4, bdi, #words, [aria-live], .why, .layer-columns, table";
  const places = "main > section p, main > section li, main > section dd, main > section .how";
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const meaningOf = new Map();
  for (const entry of entries) {
    const found = { id: entry.id, meaning: entry.nextElementSibling.textContent.trim(), used: false };
    for (const word of entry.dataset.words.split("|")) if (word) meaningOf.set(word.toLowerCase(), found);
  }
  if (!meaningOf.size) return;
  // the longest first: "error band" is not "band"
  const words = [...meaningOf.keys()].sort((one, other) => other.length - one.length).map(escaped);
  const pattern = new RegExp(`(?<![\\w:-])(?:${words.join("|")})(?![\\w:/-])`, "gi");

  const linked = (found, text) => {
    const link = document.createElement("a");
    link.href = `#${found.id}`;
    link.className = "word";
    link.title = found.meaning;
    link.textContent = text;
    return link;
  };
  const explain = (node) => {
    const parts = [];
    let from = 0;
    for (const { 0: text, index } of node.data.matchAll(pattern)) {
      const found = meaningOf.get(text.toLowerCase());
      if (found.used) continue;
      found.used = true;
      parts.push(node.data.slice(from, index), linked(found, text));
      from = index + text.length;
    }
    if (parts.length) node.replaceWith(...parts, node.data.slice(from));
  };
  const seen = new Set();
  for (const place of document.querySelectorAll(places)) {
    const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (texts.nextNode()) nodes.push(texts.currentNode);
    for (const node of nodes) {
      if (seen.has(node) || node.parentElement.closest(skipped)) continue;
      seen.add(node);
      explain(node);
    }
  }
})();
