"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const colour = (text) => {
    const [name, opacity] = text.split("/");
    const value = getComputedStyle(root).getPropertyValue(name).trim();
    if (!opacity || !/^#[0-9a-f]{6}$/i.test(value)) return value;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${opacity})`;
  };
  const painted = (value) => {
    if (typeof value === "string") return /^--[a-z0-9-]+(\/[0-9.]+)?$/.test(value) ? colour(value) : value;
    if (Array.isArray(value)) return value.map(painted);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v)]));
    return value;
  };
  const drawn = new Set();
  const draw = (chart) => {
    const { data, layout } = painted(figures[Number(chart.dataset.figure)]);
    layout.dragmode = false;
    drawn.add(chart);
    window.Plotly.react(chart, data, layout, { displayModeBar: false, responsive: true, showTips: false });
  };
  if (window.Plotly) {
    // A chart is drawn when it is first seen: a table may have a thousand columns.
    const seen = new IntersectionObserver((found) => {
      for (const one of found) if (one.isIntersecting) { seen.unobserve(one.target); draw(one.target); }
    }, { rootMargin: "300px" });
    for (const chart of document.querySelectorAll("[data-figure]")) {
      chart.style.minHeight = `${figures[Number(chart.dataset.figure)].layout.height}px`;
      seen.observe(chart);
    }
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
    window.addEventListener("beforeprint", () => document.querySelectorAll("details[open] [data-figure], section > [data-figure]").forEach(draw));
  }
  const open = () => {
    const to = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (to && to.tagName === "DETAILS") { to.open = true; to.scrollIntoView(); }
  };
  window.addEventListener("hashchange", open);
  open();
})();
