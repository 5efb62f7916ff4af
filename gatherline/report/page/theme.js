"use strict";
// The theme button: dark or light, kept where the browser lets a page keep something.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const known = (theme) => (theme === "dark" || theme === "light" ? theme : null); // others may write there, too
  const kept = () => { try { return known(localStorage.getItem("gatherline-theme")); } catch { return null; } };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    button.textContent = isDark() ? "Light" : "Dark";
    document.dispatchEvent(new Event("gatherline-theme"));
  };
  if (kept()) root.dataset.theme = kept();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("gatherline-theme", root.dataset.theme); } catch { /* a page from a disk may not keep it */ }
    show();
  });
  system.addEventListener("change", show);
  show();
  button.hidden = false; // without scripts it would do nothing
})();
