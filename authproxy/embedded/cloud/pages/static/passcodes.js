"use strict";
// Counts down, and loads the next passcode when this one is over.
(() => {
  const section = document.getElementById("passcodes");
  const until = performance.now() + Number(section.dataset.left) * 1000;
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    section.querySelector("progress").value = left;
    section.querySelector(".left b").textContent = String(left);
    if (left === 0) {
      clearInterval(timer);
      location.reload();
    }
  }, 500);
})();
