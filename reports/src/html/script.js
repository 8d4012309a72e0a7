"use strict";
// Filtering and the console player. The page is whole without this.
(() => {
  const all = (css) => [...document.querySelectorAll(css)];
  const id = (name) => document.getElementById(name);

  const form = document.querySelector(".filter");
  if (form) {
    form.hidden = false;
    const rows = all("tr.case");
    const apply = () => {
      const text = id("filter-text").value.trim().toLowerCase();
      const odd = id("filter-odd").checked;
      let shown = 0;
      for (const row of rows) {
        const fits = (!odd || row.dataset.word !== "pass") && (!text || row.textContent.toLowerCase().includes(text));
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      for (const body of all(".cases tbody")) body.hidden = !body.querySelector("tr.case:not([hidden])");
      id("filter-count").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} shown`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    id("open-all").addEventListener("click", (event) => {
      const boxes = all(".cases details");
      const open = boxes.some((box) => !box.open);
      for (const box of boxes) box.open = open;
      event.target.textContent = open ? "Close all" : "Open all";
    });
  }

  // A link from a failure to its case opens its evidence.
  const reveal = () => {
    const row = location.hash.startsWith("#case-") && id(decodeURIComponent(location.hash.slice(1)));
    const box = row && row.querySelector("details");
    if (box) box.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  const player = document.querySelector(".player");
  const lines = all(".viewer p[data-t]");
  if (!player || lines.length < 2) return;
  player.hidden = false;
  const times = lines.map((line) => Number(line.dataset.t));
  const [first, last] = [times[0], Math.max(...times)];
  const screen = document.querySelector(".viewer");
  const seek = id("seek");
  let playing = false;
  let now = last;
  let before = 0;
  const show = () => {
    let current = null;
    lines.forEach((line, index) => {
      const ahead = times[index] > now;
      line.classList.toggle("ahead", ahead);
      if (!ahead) current = line;
    });
    id("at").textContent = `${now.toFixed(1)} s of ${last.toFixed(1)} s`;
    if (current) screen.scrollTop = current.offsetTop - screen.offsetTop - screen.clientHeight + 40;
  };
  const tick = (stamp) => {
    if (!playing) return;
    now = Math.min(last, now + ((stamp - before) / 1000) * Number(id("speed").value));
    before = stamp;
    seek.value = String(Math.round(((now - first) / (last - first || 1)) * 1000));
    show();
    if (now >= last) {
      playing = false;
      id("play").textContent = "Play";
    } else {
      requestAnimationFrame(tick);
    }
  };
  id("play").addEventListener("click", () => {
    playing = !playing;
    id("play").textContent = playing ? "Pause" : "Play";
    if (!playing) return;
    if (now >= last) now = first;
    requestAnimationFrame((stamp) => {
      before = stamp;
      tick(stamp);
    });
  });
  seek.addEventListener("input", () => {
    now = first + ((last - first) * Number(seek.value)) / 1000;
    show();
  });
  id("at").textContent = `${last.toFixed(1)} s`;
})();
