// Keeps a page fresh: asks the server for what changes, puts in only what did, draws charts.
"use strict";
(() => {
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const every = Number(main.dataset.live || 0);
  const tags = new Map(); // address -> ETag of what is shown
  const shown = new Map(); // name of a part -> its HTML as the server sent it
  const figures = new Map(); // id of a chart -> the figure last drawn, colours still by name
  const options = new Map(); // id of a chart -> what was chosen for it
  let busy = false;
  let last = ""; // address of the parts that are shown
  let toward = ""; // what was asked for, and is to be seen once it is there
  let again = false; // the address has changed while the page was being refreshed

  // Tracking clients print addresses such as /#/experiments/1/runs/ID: lead on from there.
  const printed = /^#\/experiments\/\d+(?:\/runs\/([A-Za-z0-9_.-]+))?$/.exec(location.hash);
  if (printed && location.pathname === "/") {
    location.replace(printed[1] ? "/runs/" + printed[1] : "/experiments");
  }

  const address = (query) => {
    const to = new URL(location.href);
    to.hash = "";
    for (const [key, value] of Object.entries(query)) {
      to.searchParams.delete(key);
      for (const one of [value].flat()) to.searchParams.append(key, one);
    }
    return to.toString();
  };

  // Returns the answer, or null where nothing changed since it was last shown.
  const ask = async (to) => {
    const headers = tags.has(to) ? { "If-None-Match": tags.get(to) } : {};
    const answer = await fetch(to, { headers, cache: "no-store", redirect: "error" });
    if (answer.status === 304) return null;
    if (answer.status === 401) {
      location.assign("/login?next=" + encodeURIComponent(location.pathname));
      return null;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    tags.set(to, answer.headers.get("etag"));
    return answer;
  };

  const selecting = (part) => {
    const chosen = window.getSelection();
    if (part.querySelector("input[type=range]:active")) return true; // a hand holds it
    if (part.querySelector("dialog[open]")) return true; // a person is asked something
    const typing = document.activeElement;
    if (typing.matches?.(".word-form input") && part.contains(typing) && typing.value) return true;
    return chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
  };

  // Replaces a part, and keeps what the reader did to it: scrolling, open details, focus.
  const replace = (part, html) => {
    const spots = [...part.querySelectorAll("[id].scroll, ol.decisions")].map(
      (one) => [one.id || one.className, one.scrollLeft, one.matches(".tail") && one.scrollTop + one.clientHeight > one.scrollHeight - 8 ? Infinity : one.scrollTop]);
    const details = new Map([...part.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const ticks = new Map([...part.querySelectorAll("input[type=checkbox]")].map((one) => [one.name + " " + one.value, one.checked]));
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
    for (const [name, left, top] of spots) {
      const one = [...part.querySelectorAll(".scroll, ol.decisions")].find((e) => (e.id || e.className) === name);
      if (one) { one.scrollLeft = left; one.scrollTop = Math.min(top, one.scrollHeight); }
    }
    for (const one of part.querySelectorAll("details[id]")) {
      if (details.has(one.id)) one.open = details.get(one.id);
    }
    for (const one of part.querySelectorAll("input[type=checkbox]")) {
      const name = one.name + " " + one.value;
      if (ticks.has(name)) one.checked = ticks.get(name);
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    press();
    part.dispatchEvent(new CustomEvent("mainspring:replaced", { bubbles: true }));
  };

  const parts = async () => {
    const to = address({ part: "main" });
    if (to !== last) tags.delete(to); // another page was shown meanwhile
    last = to;
    const answer = await ask(to);
    if (answer === null) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const next of fresh.querySelectorAll("[data-part]")) {
      const name = next.dataset.part;
      const part = main.querySelector(`[data-part="${CSS.escape(name)}"]`);
      if (!part || shown.get(name) === next.innerHTML) continue;
      const before = shown.get(name);
      if (selecting(part)) { tags.delete(to); continue; } // next time round
      shown.set(name, next.innerHTML);
      if (before !== undefined || part.innerHTML !== next.innerHTML) replace(part, next.innerHTML);
    }
  };

  // ---------------------------------------------------------------- charts

  const probe = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (text) => {
    const [name, opacity] = text.split("/");
    const value = probe(name);
    if (!opacity || !/^#[0-9a-f]{6}$/i.test(value)) return value;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${opacity})`;
  };
  // Returns a copy in which every colour named like a variable is what it is just now.
  const painted = (value) => {
    if (typeof value === "string") return /^--[a-z0-9-]+(\/[0-9.]+)?$/.test(value) ? colour(value) : value;
    if (Array.isArray(value)) return value.map(painted);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, painted(one)]));
    }
    return value;
  };

  const config = {
    displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset",
    showTips: false, staticPlot: false,
  };
  // Several charts side by side, each under its title, in the order in which they came.
  const panels = async (chart, figure) => {
    chart.querySelector(".nothing")?.remove();
    const there = new Map([...chart.children].map((one) => [one.dataset.title, one]));
    const wanted = [];
    for (const [n, panel] of figure.panels.entries()) {
      let one = there.get(panel.title);
      if (!one) {
        one = document.createElement("figure");
        one.dataset.title = panel.title;
        const caption = document.createElement("figcaption");
        caption.textContent = caption.title = panel.title;
        const body = document.createElement("div");
        body.className = "chart small-chart";
        body.setAttribute("role", "img");
        body.setAttribute("aria-label", panel.title);
        one.append(caption, body);
      }
      there.delete(panel.title);
      wanted.push(one);
      if (chart.children[n] !== one) chart.insertBefore(one, chart.children[n] || null);
    }
    for (const one of there.values()) { window.Plotly.purge(one.lastChild); one.remove(); }
    for (const [n, one] of wanted.entries()) await plot(one.lastChild, figure.panels[n]);
    chart.dataset.drawn = String(Number(chart.dataset.drawn || 0) + 1);
  };
  const plot = async (chart, figure) => {
    const { data, layout } = painted({ data: figure.data, layout: figure.layout });
    // A finger that drags wants to scroll the page; a mouse that drags wants to look closer.
    layout.dragmode = window.matchMedia("(hover: hover)").matches ? "zoom" : false;
    await window.Plotly.react(chart, data, layout, config);
    chart.dataset.drawn = String(Number(chart.dataset.drawn || 0) + 1);
  };
  const draw = async (chart) => {
    const figure = figures.get(chart.id);
    if (!figure || !window.Plotly) return;
    if (figure.panels) return panels(chart, figure);
    if (figure.empty) {
      for (const one of chart.querySelectorAll(".chart")) window.Plotly.purge(one);
      if (chart.classList.contains("chart")) window.Plotly.purge(chart);
      const told = document.createElement("p");
      told.className = "nothing";
      told.textContent = figure.empty;
      chart.replaceChildren(told);
      chart.classList.remove("tall", "mid", "low");
      return;
    }
    chart.querySelector(".nothing")?.remove();
    await plot(chart, figure);
  };

  const choices = (one) => {
    if (!options.has(one.id)) options.set(one.id, {});
    return options.get(one.id);
  };
  const figureOf = (one) => address({
    figure: one.dataset.figure,
    ...Object.fromEntries(new URLSearchParams(one.dataset.fixed || "")),
    ...choices(one),
  });
  const chart = async (one) => {
    const answer = await ask(figureOf(one));
    if (answer === null) return;
    const figure = await answer.json();
    figures.set(one.id, figure);
    if (figure.column) choices(one).column = figure.column;
    Object.assign(choices(one), figure.options || {});
    press();
    await draw(one);
  };
  const charts = () => Promise.all([...document.querySelectorAll("[data-figure]")].map(chart));

  // Shows which of the buttons that choose for a chart is chosen.
  const press = () => {
    for (const one of document.querySelectorAll("button[data-option]")) {
      const chosen = (options.get(one.dataset.for) || {})[one.dataset.option];
      one.setAttribute("aria-pressed", String(chosen === one.dataset.value));
    }
  };
  const choose = (from, value) => {
    const one = document.getElementById(from.dataset.for);
    choices(one)[from.dataset.option] = value;
    tags.delete(figureOf(one));
    press();
    chart(one).catch(() => say("away"));
  };
  document.addEventListener("change", (event) => {
    const from = event.target.closest("select[data-option]");
    if (from) choose(from, from.value);
    const tick = event.target.closest("input[type=checkbox][data-option]");
    if (!tick) return;
    const name = `input[data-option="${tick.dataset.option}"][data-for="${tick.dataset.for}"]:checked`;
    choose(tick, [...main.querySelectorAll(name)].map((one) => one.value));
  });
  document.addEventListener("click", (event) => {
    const from = event.target.closest("button[data-option]");
    if (from) choose(from, from.dataset.value);
  });
  const repaint = () => { for (const one of document.querySelectorAll("[data-figure]")) draw(one); };
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

  // ---------------------------------------------------------------- staying fresh

  const say = (state) => {
    const text = { ok: "live", away: "reconnecting…", paused: "paused" }[state];
    if (live.textContent !== text) live.textContent = text;
    live.className = "live " + state;
  };
  const refresh = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      do {
        again = false;
        await parts();
        if (toward) document.getElementById(toward)?.scrollIntoView({ block: "nearest" });
        toward = "";
        if (!again) await charts(); // what was asked for meanwhile comes first
      } while (again);
      say("ok");
    } catch {
      say("away");
    } finally {
      busy = false;
    }
  };
  const now = () => { again = true; refresh(); };

  if (!every) return;
  for (const part of main.querySelectorAll("[data-part]")) shown.set(part.dataset.part, part.innerHTML);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) say("paused"); else refresh();
  });
  window.addEventListener("online", refresh);
  document.addEventListener("mainspring:refresh", now);

  // The address changes and the parts of the page are asked for anew: charts and scroll stay.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-soft]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.pushState(null, "", link.href.baseVal ?? link.href); // links in pictures have two
    for (const one of link.closest("nav, table")?.querySelectorAll("[aria-current]") || []) one.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    if (link.dataset.soft) toward = location.hash.slice(1);
    document.dispatchEvent(new Event("mainspring:refresh"));
  });
  window.addEventListener("popstate", now);
  // A slider over windows, oldest first: the address names the window it stands at.
  document.addEventListener("input", (event) => {
    const slider = event.target.closest("input[data-ids]");
    if (!slider) return;
    const to = new URL(location.href);
    to.searchParams.set("window", JSON.parse(slider.dataset.ids)[Number(slider.value)]);
    history.replaceState(null, "", to);
    now();
  });
  refresh();
  setInterval(refresh, every);
})();
