// Shows each change of a comparison as it happens. The server renders; this only fetches what it rendered.
"use strict";
const state = document.getElementById("state");
if (state && state.dataset.ended === "0") {
  const id = encodeURIComponent(state.dataset.id);
  let busy = false;
  let again = false;
  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const found = await fetch(`/comparisons/${id}/state`, { headers: { accept: "text/html" } });
      if (found.redirected) location.reload(); // the visit has ended
      else if (found.ok) state.innerHTML = await found.text();
    } catch {
      // the connection is broken: the event stream resumes by itself, and its next event brings us here again
    }
    busy = false;
    if (again) {
      again = false;
      refresh();
    }
  }
  const source = new EventSource(`/v1/comparisons/${id}/events?after=${state.dataset.events}`);
  const ends = ["succeeded", "failed", "cancelled"];
  for (const kind of ["said", "planned", "phase", "strategy"]) source.addEventListener(kind, refresh);
  source.addEventListener("state", (event) => {
    if (ends.includes(JSON.parse(event.data).state)) {
      source.close();
      location.reload(); // once more, with what is there at the end
    } else refresh();
  });
}
