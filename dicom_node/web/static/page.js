// The page works without this file. With it: live updates, and keys in the slice viewer.
"use strict";

// A change on the node reloads the part of the page that is marked as live, unless somebody is filling in a form of it.
(function () {
  const source = document.body.dataset.live;
  if (!source || !document.getElementById("live") || !window.EventSource || !window.htmx) return;
  let waits = false;
  const busy = () => {
    const live = document.getElementById("live");
    const inside = live && live.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button, summary");
    return inside || (live && live.querySelector("details[open]"));
  };
  new EventSource(source).addEventListener("changed", () => {
    if (waits) return;
    waits = true;
    // Not all open pages at the same moment.
    setTimeout(() => {
      waits = false;
      if (!busy()) window.htmx.trigger(document.body, "changed");
    }, 800 + 1200 * Math.random());
  });
})();

// The slice viewer.
(function () {
  const viewer = document.querySelector("[data-viewer]");
  if (!viewer) return;
  const image = document.getElementById("slice");
  const words = document.getElementById("slice-words");
  const strip = Array.from(viewer.querySelectorAll("[data-slice]"));
  const count = Number(viewer.dataset.count);
  let at = Number(viewer.dataset.at);
  let mask = viewer.dataset.mask;
  const address = (slice, shown) => `/jobs/${viewer.dataset.job}/slices/${slice}.png?mask=${shown}`;
  const fetched = new Map();
  const fetchAhead = (slice, shown) => {
    const url = address(slice, shown);
    if (slice < 1 || slice > count || fetched.has(url)) return;
    const ahead = new Image();
    ahead.src = url;
    fetched.set(url, ahead);
  };
  const show = (slice, shown) => {
    at = Math.min(Math.max(slice, 1), count);
    mask = shown;
    image.src = address(at, mask);
    image.alt = `Slice ${at} of ${count}` + (mask === "1" ? " with the outline of white matter hyperintensities" : "");
    words.textContent = `Slice ${at} of ${count}, ${strip[at - 1].dataset.ml} mL WMH`;
    strip.forEach((link, place) => (place === at - 1 ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
    document.getElementById("mask").textContent = (mask === "1" ? "Hide" : "Show") + " the mask";
    history.replaceState(null, "", `?slice=${at}&mask=${mask}`);
    for (const step of [1, -1, 2, -2]) fetchAhead(at + step, mask);
    fetchAhead(at, mask === "1" ? "0" : "1");
  };
  const other = () => (mask === "1" ? "0" : "1");
  const on = (name, act) => document.getElementById(name).addEventListener("click", (event) => { event.preventDefault(); act(); });
  on("lower", () => show(at - 1, mask));
  on("higher", () => show(at + 1, mask));
  on("mask", () => show(at, other()));
  strip.forEach((link) => link.addEventListener("click", (event) => { event.preventDefault(); show(Number(link.dataset.slice), mask); }));
  image.addEventListener("wheel", (event) => { event.preventDefault(); show(at + (event.deltaY < 0 ? 1 : -1), mask); }, { passive: false });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const keys = {
      ArrowUp: () => show(at + 1, mask), ArrowRight: () => show(at + 1, mask),
      ArrowDown: () => show(at - 1, mask), ArrowLeft: () => show(at - 1, mask),
      Home: () => show(1, mask), End: () => show(count, mask),
      m: () => show(at, other()), M: () => show(at, other()),
    };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  fetchAhead(at, other());
})();
