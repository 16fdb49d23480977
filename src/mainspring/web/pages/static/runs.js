// The tables of runs: finds rows, keeps what was ticked, opens files without leaving the page.
"use strict";
(() => {
  const main = document.getElementById("main");

  // ---------------------------------------------------------------- finding rows of a table

  const find = (box) => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const where = document.getElementById(box.dataset.find);
    if (!where) return;
    for (const row of where.querySelectorAll("tbody tr, label.column")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  };
  const findAll = () => { for (const box of document.querySelectorAll("[data-find]")) if (box.value) find(box); };
  for (const one of document.querySelectorAll(".finder, .copy")) one.hidden = false;
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-find]")) find(event.target);
  });

  // ---------------------------------------------------------------- copying

  document.addEventListener("click", async (event) => {
    const from = event.target.closest("[data-copy]");
    if (!from) return;
    const text = document.getElementById(from.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      from.textContent = "Copied";
    } catch {
      const range = document.createRange(); // not allowed to: leave it selected for the reader
      range.selectNodeContents(document.getElementById(from.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      from.textContent = "Selected";
    }
    setTimeout(() => { from.textContent = "Copy"; }, 1500);
  });

  // ---------------------------------------------------------------- menus

  // A menu closes when one clicks or types Escape elsewhere.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // ---------------------------------------------------------------- choosing runs

  // What is ticked stays ticked over pages, sorting and filters, until the window is closed.
  const form = document.getElementById("pick");
  const kept = "mainspring:picked";
  const remembered = () => JSON.parse(sessionStorage.getItem(kept) || "[]");
  const picked = new Set(form ? remembered() : []);
  const boxes = () => (form ? [...form.querySelectorAll("input[name=run]")] : []);
  const tell = () => {
    if (!form) return;
    sessionStorage.setItem(kept, JSON.stringify([...picked]));
    const here = boxes().filter((one) => one.checked).length;
    const bar = document.getElementById("picked");
    const text = picked.size ? `${picked.size} chosen${picked.size > here ? `, ${picked.size - here} not on this page` : ""}` : "";
    if (bar.textContent !== text) bar.textContent = text;
    form.classList.toggle("choosing", picked.size > 0);
    for (const one of form.querySelectorAll("[data-least]")) one.disabled = picked.size < Number(one.dataset.least);
    const all = document.getElementById("pick-all");
    if (all) {
      all.checked = here > 0 && here === boxes().length;
      all.indeterminate = here > 0 && here < boxes().length;
    }
  };
  const restore = () => {
    for (const one of boxes()) one.checked = picked.has(one.value);
    tell();
  };
  if (form) {
    let last = null;
    form.addEventListener("click", (event) => {
      const box = event.target.closest("input[name=run]");
      if (!box) return;
      const all = boxes();
      const from = all.indexOf(last);
      if (event.shiftKey && from >= 0) { // a stretch of them
        const [low, high] = [from, all.indexOf(box)].sort((a, b) => a - b);
        for (const one of all.slice(low, high + 1)) one.checked = box.checked;
      }
      last = box;
    });
    form.addEventListener("change", (event) => {
      if (event.target.id === "pick-all") for (const one of boxes()) one.checked = event.target.checked;
      for (const one of boxes()) if (one.checked) picked.add(one.value); else picked.delete(one.value);
      tell();
    });
    form.addEventListener("submit", (event) => {
      for (const one of form.querySelectorAll("input[type=hidden].also")) one.remove();
      const shown = new Set(boxes().map((one) => one.value));
      for (const run of picked) {
        if (shown.has(run)) continue;
        const one = document.createElement("input");
        one.type = "hidden"; one.name = "run"; one.value = run; one.className = "also";
        form.append(one);
      }
      const deletes = event.submitter?.dataset.confirm;
      if (deletes && !confirm(deletes.replace("%", String(picked.size)))) event.preventDefault();
      else if (deletes) { picked.clear(); sessionStorage.removeItem(kept); }
    });
    document.getElementById("unpick").addEventListener("click", () => { picked.clear(); restore(); });
    restore();
    // A page that the browser has kept, or filled in by itself, may show what was ticked then.
    window.addEventListener("pageshow", () => {
      picked.clear();
      for (const run of remembered()) picked.add(run);
      restore();
    });
  }

  // Buttons that ask before they send.
  document.addEventListener("click", (event) => {
    const from = event.target.closest("button[data-ask]");
    if (from && !confirm(from.dataset.ask)) event.preventDefault();
  });

  // Fields that send their form by themselves.
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-send]")) event.target.form.requestSubmit();
  });

  document.addEventListener("mainspring:replaced", () => {
    findAll();
    for (const one of main.querySelectorAll(".copy")) one.hidden = false;
    if (form) restore();
  });
})();
