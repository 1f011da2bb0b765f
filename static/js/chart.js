// Draws the candles of an instrument's page with lightweight-charts, where that is installed, in the same box as the drawing that the
// server made, so that nothing moves. If anything fails the server's drawing stays.
"use strict";

(() => {
  const box = document.getElementById("candles");
  const source = document.getElementById("candles-data");
  const library = window.LightweightCharts;
  if (!box || !source || !library) return;

  const data = JSON.parse(source.textContent);
  const holder = document.createElement("div");
  holder.className = "chart-drawn";
  holder.setAttribute("role", "img");
  holder.setAttribute("aria-label", box.querySelector("svg").getAttribute("aria-label"));

  // The library writes times in UTC; the page says the reader's zone (page.js), or UTC where this browser does not know that.
  const words = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", day: "numeric", month: "short", year: "numeric" };
  let zoned = null;
  try {
    zoned = new Intl.DateTimeFormat("en-US", { ...words, timeZone: document.documentElement.dataset.timeZone || "UTC" });
  } catch {
    zoned = new Intl.DateTimeFormat("en-US", { ...words, timeZone: "UTC" });
  }

  function local(seconds) {
    const part = Object.fromEntries(zoned.formatToParts(seconds * 1000).map(({ type, value }) => [type, value]));
    const clock = `${part.hour}:${part.minute}`;
    return { clock, date: `${part.day} ${part.month}`, year: part.year, exact: `${clock}:${part.second}` };
  }

  const DAY = 86400;
  const [TIME, SECONDS] = [3, 4]; // of the library's kinds of ticks; those before are dates

  // A date stands where a day begins for the reader; what is a new day in UTC alone is a time like others.
  function tick(seconds, kind) {
    const { clock, date, exact } = local(seconds);
    if (data.seconds >= DAY || (kind < TIME && clock === "00:00")) return date;
    return kind === SECONDS ? exact : clock;
  }

  function moment(seconds) {
    const { clock, date, year, exact } = local(seconds);
    return `${date} ${year}, ${data.seconds < 60 ? exact : clock}`;
  }

  // A token is light-dark(…): only a resolved property of an element says what it is now.
  const probe = document.createElement("span");
  probe.hidden = true;
  box.append(probe);
  function colour(token) {
    probe.className = `probe ${token}`;
    return getComputedStyle(probe).color;
  }

  let chart = null;
  let series = null;
  let bar = null;
  let lastLine = null;

  function options() {
    const text = colour("text-3");
    const grid = { color: colour("grid") };
    const border = { borderColor: colour("line") };
    return {
      autoSize: true,
      layout: {
        background: { type: "solid", color: "transparent" }, textColor: text, attributionLogo: false, fontSize: 12,
        fontFamily: getComputedStyle(document.body).fontFamily,
      },
      grid: { vertLines: { visible: false }, horzLines: grid },
      rightPriceScale: border,
      timeScale: { ...border, timeVisible: true, secondsVisible: data.seconds < 60, tickMarkFormatter: tick },
      localization: {
        timeFormatter: moment,
        priceFormatter: (price) => price.toLocaleString("en-US", { minimumFractionDigits: data.places, maximumFractionDigits: data.places }),
      },
      crosshair: { mode: 0 },
      handleScroll: { vertTouchDrag: false },
    };
  }

  function candles() {
    const rise = colour("gain");
    const fall = colour("loss");
    return {
      upColor: colour("surface"), downColor: fall, borderUpColor: rise, borderDownColor: fall, wickUpColor: rise, wickDownColor: fall,
      priceFormat: { type: "price", precision: data.places, minMove: data.tick },
      lastValueVisible: false, priceLineVisible: false, // their label would be as hollow as a rising candle
    };
  }

  function marks() {
    const shapes = {
      up: { shape: "arrowUp", position: "belowBar", color: colour("accent") },
      down: { shape: "arrowDown", position: "aboveBar", color: colour("accent") },
      square: { shape: "square", position: "inBar", color: colour("text") },
    };
    return data.marks.map(([time, shape, number]) => ({ time, text: `${number}`, ...shapes[shape] })).sort((a, b) => a.time - b.time);
  }

  function draw() {
    chart?.remove();
    chart = library.createChart(holder, options());
    series = chart.addSeries(library.CandlestickSeries, candles());
    series.setData(data.candles.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
    for (const [title, style, values] of data.lines) {
      const line = chart.addSeries(library.LineSeries, {
        color: colour(`series-${["", "two", "three"].indexOf(style) + 1}`), lineWidth: 1, lineStyle: ["", "two", "three"].indexOf(style),
        priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false, title: "",
        priceFormat: { type: "price", precision: data.places, minMove: data.tick },
      });
      line.setData(values.map((value, n) => (value === null ? { time: data.candles[n][0] } : { time: data.candles[n][0], value })));
    }
    const colours = { stop: colour("loss"), target: colour("gain"), entry: colour("text-2") };
    for (const [price, title, kind] of data.levels) {
      series.createPriceLine({ price, title, color: colours[kind], lineWidth: 1, lineStyle: kind === "entry" ? 1 : 2 });
    }
    const [newest] = data.candles.slice(-1);
    lastLine = data.follows && series.createPriceLine({ price: bar?.close ?? newest[4], color: colour("text-3"), lineWidth: 1, lineStyle: 1, title: "" });
    library.createSeriesMarkers(series, marks());
    chart.timeScale().fitContent();
    if (bar) series.update(bar);
  }

  // The newest price is pushed into the page's head; the candle that has begun follows it.
  function follow(last) {
    const price = Number(last.dataset.price);
    const time = Math.ceil(Number(last.dataset.at) / data.seconds) * data.seconds - data.seconds;
    const [newest] = data.candles.slice(-1);
    if (!Number.isFinite(price) || !Number.isFinite(time) || time <= newest[0] || (bar && time < bar.time)) return;
    if (bar?.time === time) bar = { ...bar, high: Math.max(bar.high, price), low: Math.min(bar.low, price), close: price };
    else {
      if (bar) data.candles.push([bar.time, bar.open, bar.high, bar.low, bar.close]);
      bar = { time, open: bar ? bar.close : newest[4], high: price, low: price, close: price };
    }
    series.update(bar);
    lastLine.applyOptions({ price });
  }

  try {
    box.append(holder);
    draw();
  } catch (error) {
    holder.remove();
    console.warn("The chart stays as the server drew it.", error);
    return;
  }
  box.classList.add("is-drawn");
  document.getElementById("chart-credit")?.removeAttribute("hidden");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const last = document.querySelector(".quote .last");
  if (last && data.follows) new MutationObserver(() => follow(last)).observe(last, { attributes: true, attributeFilter: ["data-price", "data-at"] });
})();
