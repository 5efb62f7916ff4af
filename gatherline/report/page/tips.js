"use strict";
// The tip beside a point, what a screen reader says of it, and the keys that go from point to point.
(() => {
  const GAP = 14; // pixels between a point and its tip
  let live = null;

  const say = (text) => {
    if (!live) {
      live = Gatherline.html("div", { class: "hidden-text", role: "status", "aria-live": "polite" });
      document.body.append(live);
    }
    live.textContent = text;
  };

  // Shows text beside a place of the window, moved so that all of it is seen.
  const showTip = (text, left, top) => {
    const tip = document.getElementById("tip");
    if (!tip) return;
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const wide = document.documentElement.clientWidth, high = window.innerHeight;
    const beside = left + GAP + box.width <= wide ? left + GAP : left - GAP - box.width;
    const under = top + GAP + box.height <= high ? top + GAP : top - GAP - box.height;
    tip.style.left = `${Math.max(4, Math.min(beside, wide - box.width - 4))}px`;
    tip.style.top = `${Math.max(4, under)}px`;
  };
  let follow = null; // puts the tip beside its point again, once the page has moved
  const hideTip = () => {
    const tip = document.getElementById("tip");
    follow = null;
    if (tip) tip.hidden = true;
  };

  // Makes a picture's places reachable. lists: of each series its places, {x, y, text} in pixels of the picture, in the
  // order in which keys go through them; along: the keys within a list and between lists. mark(place or null) shows
  // which one is meant; choose(place), where given, takes a click or Enter. near: how far a pointer may be.
  const reachable = (picture, lists, { mark, choose, near, along }) => {
    const [next, previous, nextList, previousList] = along;
    let list = 0, at = -1;
    const toWindow = (place) => {
      const box = picture.getBoundingClientRect();
      const scale = box.width / (picture.viewBox.baseVal.width || box.width || 1);
      return [box.left + place.x * scale, box.top + place.y * scale];
    };
    const tell = (place, spoken) => {
      mark(place);
      follow = () => showTip(place.text, ...toWindow(place));
      follow();
      if (spoken) say(place.text.replace(/\n/g, ", "));
    };
    const leave = () => { mark(null); hideTip(); };
    const closest = (event) => {
      const box = picture.getBoundingClientRect();
      const scale = (picture.viewBox.baseVal.width || box.width) / (box.width || 1);
      return near((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
    };
    picture.addEventListener("pointermove", (event) => {
      const place = closest(event);
      picture.style.cursor = place && choose ? "pointer" : "";
      if (place) tell(place, false); else leave();
    });
    picture.addEventListener("pointerleave", leave);
    picture.addEventListener("click", (event) => {
      const place = closest(event);
      if (!place) return;
      tell(place, false); // a finger has no hover
      if (choose) choose(place);
    });
    picture.addEventListener("blur", leave);
    picture.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const full = lists.map((places, index) => (places.length ? index : -1)).filter((index) => index >= 0);
      if (!full.length) return;
      if (event.key === "Escape") { leave(); return; }
      if ((event.key === "Enter" || event.key === " ") && at >= 0 && choose) {
        event.preventDefault();
        choose(lists[list][at]);
        return;
      }
      if (!lists[list] || !lists[list].length) list = full[0];
      const here = full.indexOf(list);
      const last = () => lists[list].length - 1;
      if (event.key === next) at = Math.min(at + 1, last());
      else if (event.key === previous) at = Math.max(at - 1, 0);
      else if (event.key === "Home") at = 0;
      else if (event.key === "End") at = last();
      else if (event.key === nextList) list = full[Math.min(here + 1, full.length - 1)];
      else if (event.key === previousList) list = full[Math.max(here - 1, 0)];
      else return;
      event.preventDefault();
      at = Math.max(0, Math.min(at, last()));
      tell(lists[list][at], true);
    });
  };

  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  window.addEventListener("scroll", () => { if (follow) follow(); }, { passive: true, capture: true });
  Object.assign(Gatherline, { say, showTip, hideTip, reachable });
})();
