"use strict";
// The page is whole without this. With it, it is live: a server-sent event says that something changed, the page is
// fetched again, and only what differs is put in place, so that focus and typing stay.
(() => {
  const byId = (id) => document.getElementById(id);
  const baseTitle = "Your logins · authproxy";
  let known = new Set();
  let refreshing = false, again = false;

  // ---- the countdown

  const begin = (card) => {
    card.dataset.until = String(performance.now() + Number(card.dataset.left) * 1000);
  };
  const tick = () => {
    for (const card of document.querySelectorAll(".request")) {
      const left = Math.max(0, Math.ceil((Number(card.dataset.until) - performance.now()) / 1000));
      card.querySelector("progress").value = left;
      card.querySelector(".left b").textContent = String(left);
      card.querySelector(".clock").classList.toggle("soon", left <= 15);
      if (left === 0) refresh(); // until the server says so, too: its clock counts
    }
  };

  // ---- what is new

  const say = (text, kind) => {
    const said = byId("said");
    said.className = "said" + (kind ? " " + kind : "");
    said.textContent = text;
  };
  const announce = (card) => {
    const app = card.querySelector(".app dd").textContent;
    say(`New request: log in at ${app}?`, "");
    if (navigator.vibrate) navigator.vibrate([120, 60, 120]);
    if (document.hidden && "Notification" in window && Notification.permission === "granted") {
      const options = { body: card.querySelector("dl").innerText, tag: card.dataset.txid, icon: "/static/icon-192.png" };
      navigator.serviceWorker?.ready.then((worker) => worker.showNotification(`Log in at ${app}?`, options));
    }
  };
  const place = (fresh) => {
    const now = byId("waiting"), wanted = fresh.getElementById("waiting");
    const have = new Map([...now.children].map((card) => [card.dataset.state, card]));
    const want = new Set([...wanted.children].map((card) => card.dataset.state));
    for (const [state, card] of have) if (!want.has(state)) card.remove();
    for (const card of [...wanted.children]) {
      if (have.has(card.dataset.state)) continue;
      const adopted = document.importNode(card, true);
      now.append(adopted);
      begin(adopted);
      if (!known.has(adopted.dataset.txid)) announce(adopted);
    }
    known = new Set([...now.children].map((card) => card.dataset.txid));
    for (const id of ["recent", "texts"]) byId(id).replaceWith(document.importNode(fresh.getElementById(id), true));
    byId("idle").hidden = known.size > 0;
    document.title = (known.size ? `(${known.size}) ` : "") + baseTitle;
    tick();
  };
  const read = async (response) => {
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!fresh.getElementById("waiting")) { location.assign("/"); return; }
    place(fresh);
    const said = fresh.getElementById("said");
    if (said.textContent) say(said.textContent, said.className.replace("said", "").trim());
  };
  const refresh = async () => {
    if (refreshing) { again = true; return; }
    refreshing = true;
    try {
      do {
        again = false;
        const response = await fetch("/", { cache: "no-store" });
        if (!response.ok) throw new Error(String(response.status));
        await read(response);
      } while (again);
    } catch {
      online(false);
    } finally {
      refreshing = false;
    }
  };

  // ---- the answer

  document.addEventListener("submit", async (event) => {
    const form = event.target, button = event.submitter;
    if (!form.matches(".request") || !button) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form));
    body.set(button.name, button.value);
    for (const one of form.querySelectorAll("button")) one.disabled = true;
    try {
      const response = await fetch(form.action, { method: "POST", body });
      if (!response.ok) throw new Error(String(response.status));
      await read(response);
      byId("said").scrollIntoView({ block: "nearest" });
    } catch {
      say("That did not get through. Nothing was answered; try again.", "bad");
      for (const one of form.querySelectorAll("button")) one.disabled = false;
    }
  });

  // ---- the connection

  const online = (yes) => {
    const live = byId("live");
    live.hidden = false;
    live.classList.toggle("off", !yes);
    live.lastElementChild.textContent = yes ? "Live" : "Reconnecting…";
  };
  const listen = () => {
    const events = new EventSource("/events");
    events.addEventListener("changed", () => { online(true); refresh(); });
    events.onopen = () => online(true);
    events.onerror = () => {
      online(false);
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
    };
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

  // ---- notifications

  const notify = byId("notify");
  if ("Notification" in window && "serviceWorker" in navigator && window.isSecureContext) {
    navigator.serviceWorker.register("/sw.js").catch(() => {});
    notify.hidden = Notification.permission !== "default";
    notify.addEventListener("click", async () => {
      notify.hidden = (await Notification.requestPermission()) !== "default";
    });
  }

  for (const card of document.querySelectorAll(".request")) {
    begin(card);
    known.add(card.dataset.txid);
  }
  setInterval(tick, 1000);
  listen();
})();
