// Keeps the regions of a page as they are now. <body data-regions="a,b" data-tenant="…"> names what is shown and for whom;
// the server sends each region when it looks different (HTML, one element, found by its id) and words (JSON with `live`).
// Without this script the page shows what it showed when it was loaded, and says that it is not live.
"use strict";

(() => {
  const body = document.body;
  const regions = body.dataset.regions;
  if (!regions || !window.WebSocket) return;

  // --- Regions: changed in place, so that nothing flickers, jumps or loses the focus -------------------------

  const waiting = new Map(); // by id: the newest look at a region whose rows keep their order for now
  const canHover = matchMedia("(hover: hover)");
  let actedAt = 0;

  for (const kind of ["pointerdown", "keydown", "submit"]) {
    document.addEventListener(kind, () => { actedAt = Date.now(); }, { capture: true, passive: true });
  }
  document.addEventListener("animationend", ({ target }) => target.classList?.remove("changed"));

  const isHeld = (region) => {
    const table = region.closest("table, .feed") ?? region;
    return table.matches(":focus-within") || (canHover.matches && table.matches(":hover"));
  };

  function show(html) {
    const holder = document.createElement("template"); // keeps rows without their table, as nothing else does
    holder.innerHTML = html;
    for (const fresh of [...holder.content.children]) {
      const region = fresh.id && document.getElementById(fresh.id);
      if (!region) continue;
      fresh.removeAttribute("hx-swap-oob");
      const held = isHeld(region);
      if (held) waiting.set(fresh.id, html);
      else waiting.delete(fresh.id);
      morph(region, fresh, held);
      window.htmx?.process(region);
    }
  }

  setInterval(() => {
    for (const [id, html] of waiting) {
      const region = document.getElementById(id);
      if (!region) waiting.delete(id);
      else if (!isHeld(region)) show(html);
    }
  }, 500);

  function morph(old, fresh, held) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data === fresh.data) return;
      old.data = fresh.data;
      return mark(old.parentElement);
    }
    // A price on the short way may have overtaken this one on the long way; a market that begins anew is long before.
    const ahead = Number(old.dataset.at) - Number(fresh.dataset.at);
    if (old.id === fresh.id && ahead > 0 && ahead < 60) return;
    // A time that says the same moment may stand here in the reader's zone.
    if (old.localName === "time" && old.dateTime === fresh.dateTime && old.dataset.local === fresh.dataset.local) return;
    attributes(old, fresh);
    if ([...fresh.children].some((child) => child.id)) rows(old, fresh, held);
    else children(old, fresh, held);
  }

  function attributes(old, fresh) {
    if (old.classList.contains("changed")) fresh.classList.add("changed"); // a mark stays until it has faded
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function children(old, fresh, held) {
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, n) => (n < before.length ? morph(before[n], node, held) : old.append(node)));
    for (const node of before.slice(after.length)) node.remove();
  }

  function rows(old, fresh, held) {
    const key = (child, n) => child.id || `${n}`;
    const known = new Map([...old.children].map((child, n) => [key(child, n), child]));
    const wanted = [...fresh.children];
    const keys = new Set(wanted.map(key));
    for (const [name, child] of known) if (!keys.has(name)) child.remove();
    let place = old.firstElementChild;
    wanted.forEach((child, n) => {
      const row = known.get(key(child, n));
      if (row) morph(row, child, held);
      else mark(child, old);
      if (held) {
        if (!row) old.append(child);
      } else if (row && row === place) {
        place = place.nextElementSibling;
      } else {
        old.insertBefore(row?.isConnected ? row : child, place);
      }
    });
  }

  // Underlines what changed where a template asks for it (data-mark), unless the reader is likely to have caused it.
  function mark(element, asks = element) {
    if (element && asks?.closest("[data-mark]") && Date.now() - actedAt > 3000) element.classList.add("changed");
  }

  // --- The link: one socket, and the truth about it -----------------------------------------------------------

  const SESSION_OVER = 4001;
  const LONGEST_PAUSE = 30;
  const link = {
    state: "connecting", socket: null, cursor: "", heardAt: Date.now(), lostAt: null, nextAt: null,
    tries: 0, beat: 3, silent: 8, timer: 0, opened: false, reason: "", prices: "",
  };

  // A name of this tab, the same from page to page, by which people tell its connections from others.
  function client() {
    try {
      const name = sessionStorage.getItem("live-client") || crypto.randomUUID?.() || "";
      sessionStorage.setItem("live-client", name);
      return name;
    } catch {
      return "";
    }
  }

  function connect() {
    clearTimeout(link.timer);
    drop();
    const address = new URL("/live/", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = new URLSearchParams({ regions, prices: (link.prices = prices()), after: link.cursor, client: client(), ...tenant() });
    link.heardAt = Date.now();
    link.nextAt = null;
    link.opened = false;
    const socket = link.socket = new WebSocket(address);
    socket.onopen = () => { link.opened = true; if (document.hidden) say("hide"); };
    socket.onmessage = ({ data }) => heard(data);
    socket.onclose = ({ code }) => closed(code);
    paint();
  }

  // The instruments whose newest prices the page shows: they come one by one, as they move.
  const prices = () => [...document.querySelectorAll(".last[id^=last-]")].slice(0, 200).map(({ id }) => id.slice(5)).join(",");

  function shows() {
    link.prices = prices();
    say("show", { regions: regions.split(","), prices: link.prices.split(",") });
  }

  document.addEventListener("htmx:afterSettle", () => { if (link.state === "live" && prices() !== link.prices) shows(); });

  const tenant = () => (body.dataset.tenant ? { tenant: body.dataset.tenant } : {});

  function drop() {
    if (!link.socket) return;
    link.socket.onopen = link.socket.onmessage = link.socket.onclose = null;
    link.socket.close();
    link.socket = null;
  }

  function say(word, more = {}) {
    if (link.socket?.readyState === WebSocket.OPEN) link.socket.send(JSON.stringify({ live: word, ...more }));
  }

  function heard(data) {
    link.heardAt = Date.now();
    if (!data.startsWith("{")) return show(data);
    const said = JSON.parse(data);
    if (said.live === "hello") {
      Object.assign(link, { tries: 0, beat: said.beat, silent: said.silent });
      live();
    } else if (said.live === "beat") {
      link.cursor = said.cursor ?? link.cursor;
      say("beat");
      if (said.stale) lost("The server cannot read what is new.");
      else live();
    } else if (said.live === "reload") {
      reload();
    }
  }

  function closed(code) {
    if (code === SESSION_OVER) return reload();
    link.socket = null;
    lost("");
    if (!link.opened && link.tries % 8 === 1) stillWelcome();
    const most = Math.min(LONGEST_PAUSE, 2 ** link.tries);
    link.tries += 1;
    again(1000 * most * (0.25 + 0.75 * Math.random()));
  }

  function again(pause) {
    clearTimeout(link.timer);
    link.nextAt = Date.now() + pause;
    link.timer = setTimeout(connect, pause);
    paint();
  }

  // A socket that is refused looks like a server that is away; a page that sends elsewhere says that the log-in has ended.
  async function stillWelcome() {
    try {
      const answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect" || answer.status === 403 || answer.status === 404) reload();
    } catch {
      // The server is away, then; the next attempt is set.
    }
  }

  // Never in a circle: a page that was just loaded stays as it is, and says that it is not live.
  function reload() {
    const before = Number(sessionStorage.getItem("live-reloaded") ?? 0);
    if (Date.now() - before < 20000) return lost("");
    sessionStorage.setItem("live-reloaded", `${Date.now()}`);
    location.reload();
  }

  function live() {
    const after = link.lostAt;
    Object.assign(link, { state: "live", lostAt: null, reason: "" });
    paint();
    if (after !== null && Date.now() - after > 1500) announce("Live again.");
  }

  function lost(reason) {
    link.lostAt ??= link.heardAt;
    Object.assign(link, { state: "lost", reason });
    paint();
  }

  // At once when the machine wakes, the network is back or somebody looks again.
  function hurry() {
    if (link.state !== "live" || Date.now() - link.heardAt > 2000 * link.beat) connect();
    else shows();
  }

  addEventListener("online", connect);
  addEventListener("offline", () => { drop(); lost("This device is offline."); again(1000 * LONGEST_PAUSE); });
  addEventListener("pageshow", ({ persisted }) => { if (persisted) connect(); });
  addEventListener("pagehide", drop);
  document.addEventListener("visibilitychange", () => (document.hidden ? say("hide") : hurry()));
  setInterval(() => {
    if (link.socket && Date.now() - link.heardAt > 1000 * link.silent) {
      drop();
      closed(0);
    } else if (link.state === "lost") {
      paint();
    }
  }, 1000);

  // --- What the reader is told ---------------------------------------------------------------------------------

  const WORDS = { connecting: ["idle", "Connecting"], live: ["ok", "Live"], lost: ["bad", "Not live"] };
  const PATIENCE = 1500; // a blink of the link greys the figures, but needs no banner
  const banner = document.getElementById("live-banner");
  let announcedAt = 0;

  function paint() {
    body.dataset.live = link.state;
    const [kind, words] = WORDS[link.state];
    put("#link-state .state", words, `state ${kind}`);
    if (!banner) return;
    const shown = link.state === "lost" && Date.now() - link.lostAt > PATIENCE;
    if (!shown && banner.contains(document.activeElement)) document.getElementById("main")?.focus({ preventScroll: true });
    if (shown && banner.hidden) banner.replaceChildren(...bannerParts());
    banner.hidden = !shown;
    banner.className = shown ? "notice bad" : "";
    if (!shown) return;
    const seconds = (until) => Math.max(Math.round(until / 1000), 0);
    const next = link.nextAt === null ? "Trying now." : `Next attempt in ${seconds(link.nextAt - Date.now())} s.`;
    put("#live-age", `${seconds(Date.now() - link.lostAt)} s`);
    put("#live-next", [link.reason, next].filter(Boolean).join(" "));
  }

  // Only the first sentence is an alert; what counts the seconds is not read out.
  function bannerParts() {
    const words = document.createElement("div");
    const alert = Object.assign(document.createElement("strong"), {
      textContent: `Live updates lost at ${new Date(link.lostAt).toISOString().slice(11, 19)} UTC.`,
    });
    alert.setAttribute("role", "alert");
    const rest = document.createElement("span");
    rest.setAttribute("aria-live", "off");
    const age = Object.assign(document.createElement("span"), { id: "live-age" });
    const next = Object.assign(document.createElement("span"), { id: "live-next" });
    rest.append(" Figures in grey are ", age, " old. Strategies, orders and stops go on without this page. ", next);
    words.append(alert, rest);
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn", textContent: "Reconnect now" });
    button.addEventListener("click", () => { link.tries = 0; connect(); });
    return [words, button];
  }

  function put(where, text, className) {
    const element = document.querySelector(where);
    if (!element) return;
    if (element.textContent !== text) element.textContent = text;
    if (className && element.className !== className) element.className = className;
  }

  function announce(text) {
    const announcer = document.getElementById("announcer");
    if (!announcer || Date.now() - announcedAt < 10000) return;
    announcedAt = Date.now();
    announcer.textContent = ""; // the same words again would not be spoken
    setTimeout(() => { announcer.textContent = text; }, 100);
  }

  connect();
})();
