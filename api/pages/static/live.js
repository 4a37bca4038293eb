// Shows each change of a comparison as it happens. The server renders; this puts what it rendered into the parts that
// change, so that what people work with (a button, an open list) stays as it is.
"use strict";
const state = document.getElementById("state");
if (state && state.dataset.ended === "0") {
  const PHASE_MS = 2000; // how far it is comes twice a second, and need not be shown as often
  const id = encodeURIComponent(state.dataset.id);
  let busy = false, again = false, later = null;
  async function refresh() {
    clearTimeout(later);
    later = null;
    again = busy;
    if (busy) return;
    busy = true;
    try {
      const found = await fetch(`/comparisons/${id}/state`, { headers: { accept: "text/html" } });
      if (found.ok && !found.redirected) show(await found.text());
      else if (found.redirected || found.status === 404) location.reload(); // the visit, or the comparison, has ended
    } catch {
      // the connection is broken: the event stream resumes by itself, and its next event brings us here again
    }
    busy = false;
    if (again) refresh();
  }
  function show(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const part of state.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(part.id);
      if (now && part.innerHTML !== now.innerHTML) part.innerHTML = now.innerHTML;
    }
  }
  const source = new EventSource(`/v1/comparisons/${id}/events?after=${state.dataset.events}`);
  const ends = ["succeeded", "failed", "cancelled"];
  for (const kind of ["said", "planned", "strategy"]) source.addEventListener(kind, refresh);
  source.addEventListener("phase", () => (later ??= setTimeout(refresh, PHASE_MS)));
  source.addEventListener("state", (event) => {
    if (ends.includes(JSON.parse(event.data).state)) {
      source.close();
      location.reload(); // once more, with what is there at the end
    } else refresh();
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000); // refused: the page says why
  });
}
