// What htmx does not do: the panel under a row, ticks, focus, and the charts.
"use strict";

(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Lists and rows ask through one listener each: htmx would take up a hundred elements anew on every page.
  const plain = (event) => event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.go");
    if (!link || !plain(event)) return;
    event.preventDefault();
    const swap = link.hasAttribute("data-show") ? "outerHTML show:#list:top" : "outerHTML";
    htmx.ajax("GET", link.getAttribute("href").replace("/desk?", "/desk/list?"),
      { source: link, target: "#list", swap });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.act");
    if (!form) return;
    event.preventDefault();
    htmx.ajax("POST", form.getAttribute("action"),
      { source: form, target: form.closest("tbody"), swap: "outerHTML", values: { query: document.getElementById("query").value } });
  });
  // Panels: a second press closes what the first has opened.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-more]");
    if (!button) return;
    const slot = button.closest("tbody").querySelector(".slot");
    if (!slot.hidden) {
      slot.hidden = true;
      button.setAttribute("aria-expanded", "false");
    } else htmx.ajax("GET", button.dataset.more, { source: button, target: slot.firstElementChild, swap: "innerHTML" });
  });
  // What takes long says so at once.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const busy = event.target.closest("[data-busy]");
    if (busy) { say(busy.dataset.busy); busy.querySelector("button.main").textContent = busy.dataset.busy; }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const button = event.detail.requestConfig.elt;
    if (button && button.matches && button.matches("[data-more]") && event.detail.xhr.status < 300) {
      button.setAttribute("aria-expanded", "true");
      event.detail.target.parentElement.hidden = false;
    }
    const wanted = document.querySelector("[data-focus]");
    if (wanted) {
      wanted.removeAttribute("data-focus");
      wanted.focus();
      wanted.scrollIntoView({ block: "start" });
    }
    const own = event.detail.target.querySelector("[data-own]");
    if (own) markOwn(JSON.parse(own.dataset.own));
    count();
    draw();
  });
  // The address follows the list; going back asks for that list anew, as prices may have been decided since.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const address = event.detail.xhr.getResponseHeader("Desk-Address");
    if (address && address !== location.pathname + location.search) history.pushState(null, "", address);
  });
  window.addEventListener("popstate", () => location.reload());
  // After a review the keyboard stays where it was: on the row that was decided.
  let decided = "", kept = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target, here = document.activeElement;
    decided = target.matches("tbody.item") && target.contains(here) ? target.id : "";
    // Focus is taken up again once all is in place: the browser would lay the page out twice else.
    kept = target.id === "list" && target.contains(here) && here.dataset.keep || "";
    if (decided || kept) here.blur();
  });
  document.addEventListener("htmx:afterSettle", () => {
    const row = decided && document.getElementById(decided);
    const again = row ? row.querySelector(".do button") || row.querySelector("a")
      : kept && document.querySelector(`[data-keep="${kept}"]`);
    decided = kept = "";
    if (again) requestAnimationFrame(() => setTimeout(() => {
      // Whoever has gone on typing elsewhere meanwhile is not called back.
      if (document.activeElement === document.body) again.focus({ preventScroll: true });
    }));
  });
  document.addEventListener("htmx:sendError", () => say(document.body.dataset.offline));
  const say = (text) => { document.getElementById("said").textContent = text; };

  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    if (close) { event.preventDefault(); document.querySelector(close.dataset.close).replaceChildren(); }
    const back = event.target.closest("[data-back]");
    if (back && document.referrer.startsWith(`${location.origin}/desk`) && history.length > 1) {
      event.preventDefault();
      history.back();
    }
  });

  // Ticks.
  const ticks = () => [...document.querySelectorAll('input[name="id"][form="bulk"]')];
  const count = () => {
    const shown = document.getElementById("ticked");
    if (!shown) return;
    const all = ticks(), ticked = all.filter((box) => box.checked).length;
    shown.textContent = ticked;
    const every = document.getElementById("every");
    if (!every) return;
    every.checked = ticked > 0 && ticked === all.length;
    every.indeterminate = ticked > 0 && ticked < all.length;
  };
  document.addEventListener("change", (event) => {
    if (event.target.id === "every") ticks().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.id === "every" || event.target.name === "id") {
      count();
      const any = ticks().some((box) => box.checked);
      document.querySelector(`#bulk input[value="${any ? "ticked" : "all"}"]`).checked = true;
    }
  });

  // Charts. Every number and word comes from the server, in the reader's notation.
  const plots = [];
  const writer = (notation) => (value, places) => {
    if (value === null || value === undefined) return "–";
    const [whole, rest] = Math.abs(value).toFixed(places).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, notation.group);
    return (value < 0 ? "-" : "") + grouped + (rest ? notation.decimal + rest : "");
  };
  const ticksOf = (write) => (_u, values) => {
    const step = values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
    const places = Math.max(0, Math.min(4, -Math.floor(Math.log10(step) + 1e-9)));
    return values.map((value) => write(value, places));
  };
  const axis = (label, write, more) => ({
    label, stroke: css("--soft"), labelSize: 20, size: 58, labelFont: "12px system-ui, sans-serif", font: "12px system-ui, sans-serif",
    grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, values: ticksOf(write), ...more,
  });
  const across = (axis_) => ({ ...axis_, size: 34, grid: { show: false } });
  const size = (place) => ({ width: place.clientWidth, height: place.clientHeight - 26 });
  // What lies under the pointer, as one line below the picture.
  const reading = (place, hint, line) => {
    const read = document.createElement("p");
    read.className = "read";
    read.textContent = hint;
    place.append(read);
    return (u) => { read.textContent = u.cursor.idx === null || u.cursor.idx === undefined ? hint : line(u.cursor.idx); };
  };

  const curve = (place, data) => {
    const write = writer(data.notation), line = css("--accent");
    const at = (price) => {
      const x = data.x;
      if (price < x[0] || price > x[x.length - 1]) return null;
      const i = Math.max(1, x.findIndex((one) => one >= price));
      const share = x[i] === x[i - 1] ? 0 : (price - x[i - 1]) / (x[i] - x[i - 1]);
      return data.y[i - 1] + share * (data.y[i] - data.y[i - 1]);
    };
    const reach = [...data.x, ...data.marks.map((mark) => mark.at)];
    const low = Math.min(...reach), high = Math.max(...reach), room = (high - low) * 0.04 || 1;
    const ends = [low - room, high + room];
    const points = data.points.filter((point) => point[0] >= ends[0] && point[0] <= ends[1]);
    const heights = [...data.lower, ...data.upper, ...points.map((point) => point[1])].filter((one) => one !== null);
    const floor = Math.min(0, ...heights), roof = Math.max(...heights) * 1.06 || 1;
    const dot = (u, x, y, fill, stroke, radius) => {
      u.ctx.beginPath();
      u.ctx.arc(u.valToPos(x, "x", true), u.valToPos(y, "y", true), radius * devicePixelRatio, 0, 2 * Math.PI);
      if (fill) { u.ctx.fillStyle = fill; u.ctx.fill(); }
      if (stroke) { u.ctx.strokeStyle = stroke; u.ctx.lineWidth = 1.6 * devicePixelRatio; u.ctx.stroke(); }
    };
    const under = (u) => {
      if (!data.support) return;
      const from = Math.max(u.valToPos(data.support[0], "x", true), u.bbox.left);
      const to = Math.min(u.valToPos(data.support[1], "x", true), u.bbox.left + u.bbox.width);
      u.ctx.save();
      u.ctx.globalAlpha = 0.5;
      u.ctx.fillStyle = css("--line");
      if (to > from) u.ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height);
      u.ctx.restore();
    };
    const over = (u, own) => {
      u.ctx.save();
      for (const [x, y, reduced, age] of points) {
        u.ctx.globalAlpha = 0.25 + 0.55 * age;
        dot(u, x, y, reduced ? null : css("--point"), reduced ? css("--point") : null, 3);
      }
      u.ctx.globalAlpha = 1;
      [...data.marks, ...(own ? [own] : [])].forEach((mark) => {
        const y = mark.y === undefined ? at(mark.at) : mark.y, x = u.valToPos(mark.at, "x", true);
        if (x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) return;
        const colour = { now: css("--ink"), new: line, own: css("--warm") }[mark.kind];
        u.ctx.strokeStyle = colour;
        u.ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
        u.ctx.lineWidth = devicePixelRatio;
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top + u.bbox.height);
        u.ctx.lineTo(x, y === null ? u.bbox.top : u.valToPos(y, "y", true));
        u.ctx.stroke();
        u.ctx.setLineDash([]);
        if (y !== null) dot(u, mark.at, y, mark.kind === "now" ? css("--card") : colour, colour, 5);
      });
      u.ctx.restore();
    };
    const own = () => plots.own && { kind: "own", at: plots.own.at, y: plots.own[data.kind], label: data.own };
    // A price of one's own widens the picture, unless it lies so far off that nothing else would be seen.
    const widened = (from, to, value) => {
      const room_ = (to - from) * 0.6;
      return value === undefined || value < from - room_ || value > to + room_
        ? [from, to] : [Math.min(from, value - room_ * 0.08), Math.max(to, value + room_ * 0.08)];
    };
    const line_ = (i) => `${data.labels.x} ${write(data.x[i], data.notation.places)}: ${data.labels.y} ${write(data.y[i], 1)} (${data.labels.band} ${write(data.lower[i], 1)} … ${write(data.upper[i], 1)})`;
    const told = reading(place, data.notation.read, line_);
    const plot = new uPlot({
      ...size(place), scales: {
        x: { time: false, range: () => widened(...ends, own() ? own().at : undefined) },
        y: { range: () => widened(floor, roof, own() && at(own().at) === null ? own().y : undefined) },
      },
      axes: [across(axis(data.labels.x, write)), axis(data.labels.y, write)],
      series: [
        {},
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
        { stroke: line, width: 2.6, points: { show: false } },
      ],
      bands: [{ series: [1, 2], fill: css("--band") }], legend: { show: false },
      hooks: { drawClear: [under], draw: [(u) => over(u, own())], setCursor: [told] }, cursor: { y: false, drag: { x: false, y: false } },
    }, [data.x, data.upper, data.lower, data.y], place);
    plot.takes = true;
    return plot;
  };

  const past = (place, data) => {
    const write = writer(data.notation);
    const day = (seconds, year) => {
      const at = new Date(seconds * 1000);
      return `${at.getUTCDate()} ${data.notation.months[at.getUTCMonth()]}${year ? ` ${at.getUTCFullYear()}` : ""}`;
    };
    const price = (v) => write(v, data.notation.places);
    const line = (i) => `${day(data.x[i], true)}: ${data.labels.regular} ${price(data.regular[i])}, ${data.labels.offered} ${price(data.offered[i])}, ${data.labels.units} ${write(data.units[i], 0)}`;
    const told = reading(place, data.notation.read, line);
    return new uPlot({
      ...size(place), tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1e3), "Etc/UTC"),
      scales: { x: { time: true }, units: { range: (_u, _low, high) => [0, (high || 1) * 1.05] } },
      axes: [
        across(axis("", write, { values: (_u, all) => all.map((one, i) => day(one, i === 0)) })),
        axis(data.labels.regular, write, { scale: "price" }),
        axis(data.labels.units, write, { scale: "units", side: 1, grid: { show: false } }),
      ],
      series: [
        {},
        { scale: "units", fill: css("--band"), stroke: css("--band"), paths: uPlot.paths.bars({ size: [0.8, 30] }), points: { show: false } },
        { scale: "price", stroke: css("--ink"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
        { scale: "price", stroke: css("--warm"), width: 1.4, dash: [4, 3], paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
      ],
      cursor: { y: false, drag: { x: false, y: false } }, legend: { show: false }, hooks: { setCursor: [told] },
    }, [data.x, data.units, data.regular, data.offered], place);
  };

  const draw = () => {
    const gone = plots.findIndex(([place]) => !place.isConnected);
    if (gone >= 0) { plots.forEach(([, plot]) => plot.destroy()); plots.length = 0; plots.own = undefined; }
    document.querySelectorAll("[data-chart]").forEach((place) => {
      if (place.dataset.drawn) return;
      place.dataset.drawn = "yes";
      const data = JSON.parse(place.dataset.chart);
      plots.push([place, (data.kind === "history" ? past : curve)(place, data)]);
    });
  };
  const markOwn = (own) => {
    plots.own = own;
    plots.forEach(([, plot]) => { if (plot.takes) plot.setData(plot.data, true); });
  };
  new ResizeObserver(() => plots.forEach(([place, plot]) => {
    if (place.isConnected && place.clientWidth !== plot.width) plot.setSize(size(place));
  })).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
  draw();
})();
