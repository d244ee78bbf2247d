// What needs a script: the slider and its friends, fresh counts, print. Nothing is ever written as HTML.
"use strict";

for (const box of document.querySelectorAll("[data-compare]")) {
  const stage = box.querySelector(".stage");
  const tools = box.querySelector(".tools");
  const slide = box.querySelector("[data-slide]");
  const modes = [...box.querySelectorAll("[data-mode]")];
  let blinking = 0;
  const set = (mode) => {
    clearInterval(blinking);
    stage.classList.remove("slide", "side", "blink", "off");
    stage.classList.add(mode);
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    slide.closest("label").hidden = mode !== "slide";
    if (mode === "blink") blinking = setInterval(() => stage.classList.toggle("off"), 700);
  };
  for (const button of modes) button.addEventListener("click", () => set(button.dataset.mode));
  const move = () => stage.style.setProperty("--share", slide.value + "%");
  slide.addEventListener("input", move);
  for (const range of box.querySelectorAll("[data-opacity]")) {
    const over = stage.querySelector("." + range.dataset.opacity);
    const fade = () => over.style.setProperty("opacity", String(range.value / 100));
    range.addEventListener("input", fade);
    fade();
  }
  move();
  set("slide");
  tools.hidden = false;
}

for (const place of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(place.dataset.live);
  const loaded = Date.now();
  const before = [...place.querySelectorAll("[data-count]")].map((number) => number.textContent).join();
  let told = 0;
  source.addEventListener("error", () => {
    for (const text of document.querySelectorAll("[data-text]")) text.textContent = "The dashboard does not answer: these numbers are old.";
  });
  source.addEventListener("progress", (event) => {
    const counts = JSON.parse(event.data);
    for (const number of place.querySelectorAll("[data-count]")) number.textContent = String(counts[number.dataset.count]);
    // The rest of the page follows by itself, unless somebody is at it.
    const now = [...place.querySelectorAll("[data-count]")].map((number) => number.textContent).join();
    const busy = document.activeElement && document.activeElement.matches("input, select, textarea, button, summary");
    if (now !== before && !busy && Date.now() - loaded > 15000) location.reload();
    // Read aloud, so not more often than every five seconds.
    if (Date.now() - told < 5000) return;
    told = Date.now();
    for (const text of document.querySelectorAll("[data-text]")) {
      if (text.textContent !== counts[text.dataset.text]) text.textContent = counts[text.dataset.text];
    }
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
