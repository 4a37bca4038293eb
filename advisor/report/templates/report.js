"use strict";
// Moves the monthly volume. What is recommended and what it costs at each stop was worked out when the report was made.
(() => {
  const byId = (id) => document.getElementById(id);
  const stops = byId("volume-stops");
  const slider = byId("volume-slider");
  if (stops && slider) {
    const at = JSON.parse(stops.textContent);
    const rows = document.querySelectorAll(".lines tbody tr");
    const show = () => {
      const stop = at[Number(slider.value)];
      slider.setAttribute("aria-valuetext", stop.volume);
      byId("volume-queries").textContent = stop.volume;
      byId("volume-pick").textContent = stop.pick;
      rows.forEach((row, i) => {
        row.classList.toggle("pick", i === stop.line);
        row.cells[1].textContent = stop.costs[i];
      });
      document.querySelectorAll(".now").forEach((mark, i) => {
        mark.style.left = `${stop.x[i]}%`;
        mark.hidden = false;
      });
    };
    byId("volume-control").hidden = false;
    slider.addEventListener("input", show);
    show();
  }
  // A figure may lead to rows that are folded away.
  const open = () => {
    const target = location.hash && byId(location.hash.slice(1));
    const folded = target && (target.querySelector("details") || target.closest("details"));
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
