"use strict";
// Says what changed by showing it: the page is fetched again, and its live part put in place.
(() => {
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    do {
      again = false;
      try {
        const fresh = new DOMParser().parseFromString(await (await fetch("/admin", { cache: "no-store" })).text(), "text/html");
        const live = fresh.getElementById("live");
        if (!live) { location.reload(); return; }
        document.getElementById("live").replaceWith(document.importNode(live, true));
      } catch { /* the event stream tells when the service is back */ }
    } while (again);
    busy = false;
  };
  new EventSource("/admin/events").addEventListener("changed", refresh);
  setInterval(refresh, 5000);
})();
