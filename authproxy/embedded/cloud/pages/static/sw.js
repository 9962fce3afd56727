"use strict";
// For notifications only: nothing is kept, the page always comes from the server.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    return pages.length ? pages[0].focus() : self.clients.openWindow("/");
  })());
});
