// Walks the picture of a lineage: arrow keys go from box to box, and a box shows its own ties.
"use strict";
(() => {
  const box = document.getElementById("lineage-scroll");
  const find = document.getElementById("find");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    find.focus();
    find.select();
  });
  if (!box) return;
  const links = [...box.querySelectorAll("a[data-ref]")];
  const lines = [...box.querySelectorAll("path[data-up]")];
  const at = (one) => one.dataset.at.split(",").map(Number);
  const middle = (one) => { const r = one.getBoundingClientRect(); return r.top + r.height / 2; };
  const tied = (one) => new Set(lines.flatMap((line) =>
    line.dataset.up === one.dataset.ref ? [line.dataset.down]
      : line.dataset.down === one.dataset.ref ? [line.dataset.up] : []));

  // One box is reached by Tab, as in any group; arrows lead on from it.
  const current = box.querySelector("a[aria-current]") || links[0];
  for (const one of links) one.tabIndex = one === current ? 0 : -1;

  const go = (one) => {
    if (!one) return;
    for (const each of links) each.tabIndex = each === one ? 0 : -1;
    one.focus({ preventScroll: true });
    one.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const beside = (from, step) => {
    const column = at(from)[0] + step;
    const there = links.filter((one) => at(one)[0] === column);
    const near = tied(from);
    const wanted = there.filter((one) => near.has(one.dataset.ref));
    const height = middle(from);
    const far = (one) => Math.abs(middle(one) - height);
    return (wanted.length ? wanted : there).sort((a, b) => far(a) - far(b))[0];
  };
  const within = (from, step) => {
    const [column, row] = at(from);
    return links.find((one) => { const [c, r] = at(one); return c === column && r === row + step; });
  };
  const keys = {
    ArrowLeft: (from) => beside(from, -1), ArrowRight: (from) => beside(from, 1),
    ArrowUp: (from) => within(from, -1), ArrowDown: (from) => within(from, 1),
    Home: () => current,
  };
  box.addEventListener("keydown", (event) => {
    const from = event.target.closest("a[data-ref]");
    const key = keys[event.key];
    if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!from && event.target !== box) return;
    if (!from && event.key !== "Home") return; // the region itself scrolls
    event.preventDefault();
    go(key(from));
  });

  const show = (one) => {
    for (const line of lines) {
      const mine = one && (line.dataset.up === one.dataset.ref || line.dataset.down === one.dataset.ref);
      line.classList.toggle("mine", Boolean(mine));
    }
  };
  for (const kind of ["focusin", "mouseover"]) {
    box.addEventListener(kind, (event) => show(event.target.closest("a[data-ref]")));
  }
  box.addEventListener("mouseleave", () => show(box.querySelector("a[data-ref]:focus")));
  box.addEventListener("focusout", () => show(null));

  // What was asked about stands in the middle of what is seen.
  const seen = current?.getBoundingClientRect();
  if (seen) {
    const frame = box.getBoundingClientRect();
    box.scrollLeft += seen.left + seen.width / 2 - frame.left - frame.width / 2;
    box.scrollTop += seen.top + seen.height / 2 - frame.top - frame.height / 2;
  }
})();
