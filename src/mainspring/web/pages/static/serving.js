// Asks before it acts: a slider shows from where to where, a dialog says it and wants a reason.
"use strict";
(() => {
  const slider = () => document.getElementById("share");
  const told = (one) => `Version ${one.dataset.version} answers ${one.value} % of the rows instead of ${one.dataset.now} %; version ${one.dataset.of} the other ${100 - Number(one.value)} %.`;
  document.addEventListener("input", (event) => {
    const one = event.target;
    if (one.id !== "share") return;
    document.getElementById("share-to").value = one.value;
    document.getElementById("move").disabled = Number(one.value) === Number(one.dataset.now);
  });
  document.addEventListener("click", (event) => {
    const opens = event.target.closest("button[data-dialog]");
    if (opens) {
      const dialog = document.getElementById(opens.dataset.dialog);
      const one = slider();
      if (opens.id === "move" && one) {
        dialog.querySelector(".told").textContent = told(one);
        dialog.querySelector("input[name=share]").value = one.value;
      }
      dialog.showModal();
      dialog.querySelector("input[name=reason]").focus();
      return;
    }
    const closes = event.target.closest("button[data-close]");
    if (closes) closes.closest("dialog").close();
  });
})();
