// The comparison: a run lights up wherever it stands; a stretch drawn along an axis keeps few.
"use strict";
(() => {
  const main = document.getElementById("main");
  const brushes = new Map(); // number of an axis -> [top, bottom] in the picture's own units
  let quiet = ""; // what the line below the picture says when nothing is pointed at

  const lines = () => [...main.querySelectorAll(".parallel .line")];
  const readout = () => document.getElementById("readout");

  const light = (run) => {
    const picture = main.querySelector(".parallel");
    if (picture) picture.classList.toggle("lit", Boolean(run));
    for (const one of main.querySelectorAll("[data-run]")) {
      one.classList.toggle("on", Boolean(run) && one.dataset.run === run);
    }
    const line = run && lines().find((one) => one.dataset.run === run);
    if (!readout()) return;
    quiet ||= readout().textContent;
    readout().textContent = line ? `${line.dataset.name}: ${line.dataset.told}` : summary() || quiet;
    if (line) line.parentNode.append(line); // on top of the others
  };
  const summary = () => {
    if (!brushes.size) return "";
    const kept = lines().filter((one) => !one.classList.contains("out")).length;
    return `${kept} of ${lines().length} runs pass there. Click an axis to let all pass again.`;
  };
  document.addEventListener("mouseover", (event) => {
    const from = event.target.closest("[data-run]");
    if (from && main.contains(from)) light(from.dataset.run);
  });
  document.addEventListener("mouseout", (event) => {
    if (event.target.closest("[data-run]") && !event.relatedTarget?.closest?.("[data-run]")) light("");
  });

  // ---------------------------------------------------------------- brushing

  const sift = () => {
    for (const line of lines()) {
      const at = line.dataset.at.split(" ").map(Number);
      const stays = [...brushes].every(([n, [top, bottom]]) => at[n] >= top && at[n] <= bottom);
      line.classList.toggle("out", !stays);
    }
    for (const axis of main.querySelectorAll(".parallel .axis")) {
      const brush = brushes.get(Number(axis.dataset.axis));
      const box = axis.querySelector(".brush");
      box.setAttribute("y", brush ? brush[0] : 0);
      box.setAttribute("height", brush ? brush[1] - brush[0] : 0);
    }
    const out = new Set(lines().filter((one) => one.classList.contains("out")).map((one) => one.dataset.run));
    for (const row of main.querySelectorAll("tr[data-run]")) row.hidden = out.has(row.dataset.run);
    if (readout()) readout().textContent = summary() || quiet || readout().textContent;
  };
  let drawing = null;
  const place = (event, picture) => {
    const box = picture.getBoundingClientRect();
    return ((event.clientY - box.top) / box.height) * picture.viewBox.baseVal.height;
  };
  document.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".parallel .grip");
    if (!grip) return;
    event.preventDefault();
    quiet ||= readout()?.textContent || "";
    const picture = grip.closest("svg");
    drawing = { picture, axis: Number(grip.closest(".axis").dataset.axis), from: place(event, picture) };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    const to = place(event, drawing.picture);
    const [top, bottom] = [Math.min(drawing.from, to), Math.max(drawing.from, to)];
    if (bottom - top <= 3) return;
    drawing.moved = true;
    brushes.set(drawing.axis, [top, bottom]);
    sift();
  });
  document.addEventListener("pointerup", () => {
    if (drawing && !drawing.moved) { // a click lets all pass again
      brushes.delete(drawing.axis);
      sift();
    }
    drawing = null;
  });
  document.addEventListener("mainspring:replaced", () => { if (brushes.size) sift(); });
})();
