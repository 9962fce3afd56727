"use strict";
// Asks until the phone has done its part; each question is held by the server while nothing happens.
(async () => {
  const section = document.getElementById("enroll"), state = document.getElementById("state");
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  for (;;) {
    let word = "waiting";
    try {
      word = await (await fetch(`/enroll/${encodeURIComponent(section.dataset.code)}/state`, { cache: "no-store" })).text();
    } catch {
      await pause(3000);
    }
    if (word === "success") {
      state.textContent = "Done. Your phone is ready: go back and log in again.";
      state.classList.add("done");
      section.querySelector(".qr")?.remove();
      return;
    }
    if (word === "invalid") {
      state.textContent = "This code is over. Log in again to get a new one.";
      return;
    }
    await pause(300);
  }
})();
