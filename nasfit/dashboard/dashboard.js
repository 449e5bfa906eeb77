// Asks for what has changed while the page is looked at, and puts it in place.
"use strict";

const main = document.getElementById("parts"), asked = document.getElementById("asked");
const shown = new Map();
let version = main.dataset.version, timer = 0;

const focusable = (element) => [...element.querySelectorAll("a, summary, [tabindex]")];

// What the reader has opened, scrolled to or stands on is kept.
function replace(element, html) {
  const open = [...element.querySelectorAll("details")].map((one) => one.open);
  const left = [...element.querySelectorAll(".wide, .scroll")].map((one) => one.scrollLeft);
  const at = element.contains(document.activeElement) ? document.activeElement : null;
  const link = at && at.getAttribute("href"), place = at ? focusable(element).indexOf(at) : -1;
  element.innerHTML = html;
  element.querySelectorAll("details").forEach((one, index) => { one.open = Boolean(open[index]); });
  element.querySelectorAll(".wide, .scroll").forEach((one, index) => { one.scrollLeft = left[index] || 0; });
  if (at) {
    const now = focusable(element);
    const next = now.find((one) => link && one.getAttribute("href") === link) || now[place];
    if (next) next.focus({ preventScroll: true });
  }
}

function put(parts) {
  let all = true;
  const chosen = getSelection();
  for (const [name, html] of Object.entries(parts)) {
    const element = document.getElementById(name);
    if (shown.get(name) === html) continue;
    if (!chosen.isCollapsed && element.contains(chosen.anchorNode)) { all = false; continue; }
    replace(element, html);
    shown.set(name, html);
  }
  return all;
}

async function look() {
  clearTimeout(timer);
  let next = Number(main.dataset.nextS);
  if (!document.hidden) {
    try {
      const reply = await fetch(`/live?have=${version}`);
      if (reply.status === 200) {
        const told = await reply.json();
        // What is selected is left alone, and asked for again.
        version = put(told.parts) ? told.version : "";
        next = told.next_s;
      } else if (reply.status !== 204) {
        throw new Error(reply.status);
      }
      asked.textContent = `As of ${new Date().toLocaleTimeString()}`;
    } catch {
      asked.textContent = "The dashboard does not answer: what is shown is old. Start it again and this page goes on.";
    }
  }
  timer = setTimeout(look, 1000 * next);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
timer = setTimeout(look, 1000 * Number(main.dataset.nextS));
asked.textContent = `As of ${new Date().toLocaleTimeString()}`;
