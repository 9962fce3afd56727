// Keeps the page current. Every fragment comes from authproxy, with everything in it escaped.
"use strict";

function inOwnTime(root) {
  for (const time of root.querySelectorAll("time:not(.date)")) {
    const moment = new Date(time.dateTime);
    const today = moment.toDateString() === new Date().toDateString();
    time.title = time.dateTime;
    time.textContent = today ? moment.toLocaleTimeString() : moment.toLocaleString();
  }
}

function replace(fragments) {
  for (const [id, html] of Object.entries(fragments)) {
    const block = document.getElementById(id);
    if (block) {
      block.innerHTML = html;
      inOwnTime(block);
    }
  }
  // The tab shows it, too.
  const plain = document.title.replace(/^DOOR OPEN - /, "");
  const open = document.querySelector("#banner section");
  document.title = open ? `DOOR OPEN - ${plain}` : plain;
}

const source = new EventSource("events");
source.addEventListener("message", (event) => {
  replace(JSON.parse(event.data));
  document.documentElement.dataset.live = "yes";
});
source.addEventListener("open", () => { document.documentElement.dataset.live = "yes"; });
source.addEventListener("error", () => { document.documentElement.dataset.live = "no"; });
inOwnTime(document);
