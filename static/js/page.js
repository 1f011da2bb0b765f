// What every page does in the browser beside its links and forms: times in the reader's zone, toasts that go by themselves.
// Without this script times are in UTC and say so, and nothing else is missing.
"use strict";

(() => {
  const zone = document.documentElement.dataset.timeZone || "UTC";

  // --- Times: <time datetime="…Z" data-local="time|day|both|exact|short|dated|minute">, and <span data-zone> that names the zone of many

  const fields = {
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
    day: "numeric", month: "short", year: "numeric", timeZoneName: "short",
  };
  let format = null;
  try {
    if (zone !== "UTC") format = new Intl.DateTimeFormat("en-US", { ...fields, timeZone: zone });
  } catch {
    // A zone that this browser does not know: the times stay in UTC, as they were written.
  }

  function local(moment, form) {
    const part = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
    const clock = `${part.hour}:${part.minute}:${part.second}`;
    const day = `${part.day} ${part.month} ${part.year}`;
    switch (form) {
      case "day": return day;
      case "both": return `${day}, ${clock} ${part.timeZoneName}`;
      case "exact": return `${clock}.${part.fractionalSecond}`;
      case "dated": return `${part.day} ${part.month} ${part.hour}:${part.minute}`;
      case "short": return `${part.hour}:${part.minute}`;
      case "minute": return `${part.hour}:${part.minute} ${part.timeZoneName}`;
      default: return `${clock} ${part.timeZoneName}`;
    }
  }

  function localise(root) {
    if (!format || !root.querySelectorAll) return;
    const times = root.matches?.("time[data-local]") ? [root] : root.querySelectorAll("time[data-local]");
    for (const time of times) {
      const moment = new Date(time.dateTime);
      if (time.dataset.shown === time.dateTime || Number.isNaN(moment.valueOf())) continue;
      time.title ||= time.textContent;
      time.textContent = local(moment, time.dataset.local);
      time.dataset.shown = time.dateTime;
    }
    for (const name of root.querySelectorAll("[data-zone]")) name.textContent = zone.replaceAll("_", " ");
  }

  // --- Toasts: what is put into #toasts, or told by an event `toast` with {text, level} ---------------------

  const STAY = 5000;
  const toasts = document.getElementById("toasts");

  function armed(toast) {
    let timer = 0;
    const held = () => toast.matches(":hover, :focus-within");
    const leave = () => { if (held()) rest(); else toast.remove(); };
    const rest = () => { clearTimeout(timer); timer = setTimeout(leave, STAY); };
    for (const kind of ["pointerleave", "focusout"]) toast.addEventListener(kind, rest);
    rest();
  }

  function toast({ text, level }) {
    if (!toasts || !text) return;
    const notice = document.createElement("div");
    notice.className = ["bad", "warn"].includes(level) ? `notice ${level}` : "notice";
    notice.setAttribute("role", "status");
    const words = document.createElement("div");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn quiet";
    close.textContent = "Dismiss";
    close.addEventListener("click", () => notice.remove());
    notice.append(words, close);
    toasts.append(notice);
  }

  document.addEventListener("toast", ({ detail }) => toast(typeof detail === "string" ? { text: detail } : detail ?? {}));

  // --- Whatever comes into the page later is treated the same, before it is painted -------------------------

  new MutationObserver((changes) => {
    for (const { addedNodes, target, type } of changes) {
      if (type === "attributes") localise(target);
      for (const node of addedNodes) {
        localise(node);
        if (target === toasts && node.nodeType === Node.ELEMENT_NODE) armed(node);
      }
    }
  }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["datetime"] });

  localise(document);
  for (const notice of toasts?.children ?? []) armed(notice);
})();
