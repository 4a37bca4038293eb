// Looks at the chosen files before anything starts, and takes files that are dropped on a field.
"use strict";
const form = document.getElementById("new");
const look = document.getElementById("look");
const found = document.getElementById("found");
const examples = document.getElementById("examples");
const LOOKED_AT = [
  "task", "examples", "documents", "test", "incumbent", "input_columns", "output_column", "group_by", "time_column",
  "redact", "time_budget", "strategies", "model", "embedder",
];

look.hidden = false;
let asking = null;
async function lookAtData() {
  if (!examples.files.length) {
    examples.focus();
    return;
  }
  const given = new FormData(form), body = new FormData();
  for (const name of LOOKED_AT)
    for (const value of given.getAll(name))
      if (value instanceof File ? value.name : value.trim() || name === "strategies")
        body.append(name, value); // no strategy ticked is not the same as nothing said of them
  body.set("estimate", "true");
  asking?.abort(); // of files chosen before
  const own = (asking = new AbortController());
  look.disabled = true;
  found.textContent = "Reading, and measuring how long a comparison would take …";
  try {
    const answer = await fetch("/new/look", { method: "POST", body, signal: own.signal });
    const text = await answer.text();
    if (answer.ok) found.innerHTML = text;
    else found.textContent = refusal(answer.status, text);
    const part = found.querySelector("[data-columns]");
    if (part) {
      const options = JSON.parse(part.dataset.columns).map((name) => {
        const option = document.createElement("option");
        option.value = name;
        return option;
      });
      document.getElementById("columns").replaceChildren(...options);
    }
  } catch {
    if (own === asking) found.textContent = "The service does not answer.";
  }
  if (own === asking) look.disabled = false;
}
function refusal(status, text) {
  if (status === 401) return "Your visit has ended: sign in again in another tab, then look once more.";
  try {
    return JSON.parse(text).detail;
  } catch {
    return `This was refused (status ${status}).`; // by a proxy, which has no sentence of ours
  }
}
look.addEventListener("click", lookAtData);
examples.addEventListener("change", lookAtData);

const start = form.querySelector("button.main");
form.addEventListener("submit", () => (start.disabled = true)); // once is enough
window.addEventListener("pageshow", () => (start.disabled = false)); // who comes back may ask for another
form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);

for (const field of document.querySelectorAll(".drop")) {
  const input = field.querySelector("input");
  for (const kind of ["dragover", "dragleave", "drop"])
    field.addEventListener(kind, (event) => {
      event.preventDefault();
      field.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change"));
      }
    });
}
