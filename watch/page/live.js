// SPDX-License-Identifier: Apache-2.0
//
// Shows what /api/events sends (docs/watching.md has the fields), as it comes.
// Whatever is put in is text: names come from other machines.
(function () {
  "use strict";

  const kNone = "\u2013";
  const kPhases = ["compute", "exchange", "data"];
  const kBounds = [0, 1, 2, 4, 8, 16, 32, 64];  // as in /metrics
  const kNumbers = 12;  // points of a curve that its table has
  const kOver = ["done", "diverged", "failed", "interrupted"];

  const by = (id) => document.getElementById(id);
  const token = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isNumber = (value) => typeof value === "number";

  const whole = (value) =>
    isNumber(value) ? Math.round(value).toLocaleString("en") : kNone;
  const digits = (value, count) => isNumber(value)
      ? value.toLocaleString("en", {minimumFractionDigits: count,
                                    maximumFractionDigits: count}) : kNone;
  function bytes(value) {
    if (!isNumber(value) || value === 0) return kNone;
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (value >= 1000 && unit + 1 < units.length) {
      value /= 1000;
      ++unit;
    }
    return digits(value, unit === 0 ? 0 : 1) + " " + units[unit];
  }
  function duration(seconds) {
    if (!isNumber(seconds)) return kNone;
    if (seconds < 60) return digits(seconds, 1) + " s";
    const total = Math.round(seconds);
    const parts = [Math.floor(total / 3600), Math.floor(total / 60) % 60,
                   total % 60];
    return parts[0] > 0 ? `${parts[0]} h ${parts[1]} min`
                        : `${parts[1]} min ${parts[2]} s`;
  }

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // ---- Head ---------------------------------------------------------------

  function setTile(id, name, text, isResult) {
    let tile = by("tile-" + id);
    if (text === null) {
      if (tile) tile.hidden = true;
      return;
    }
    if (!tile) {
      tile = document.createElement("div");
      tile.id = "tile-" + id;
      tile.append(document.createElement("dt"), document.createElement("dd"));
      if (isResult) tile.className = "result";
      by("tiles").append(tile);
    }
    tile.hidden = false;
    setText(tile.firstChild, name);
    setText(tile.lastChild, text);
  }

  function plural(count, word) {
    return count + " " + word + (count === 1 ? "" : "s");
  }

  function showHead(status) {
    const {job, progress, summary} = status;
    setText(by("title"), "Monsoon" + (job ? ": " + job.trainer : ""));
    setText(by("state"), status.state);
    by("state").dataset.state = status.state;
    if (!job) {
      setText(by("what"), status.program + " waits for a job to begin.");
      document.title = "waiting \u00b7 Monsoon";
      return;
    }
    const batch = job.settings.batch_size;
    setText(by("what"), [
      status.program, (job.model || "a model") + " on " + (job.data || "data"),
      plural(job.workers, "worker"), plural(job.servers, "server"),
      ...(batch ? ["batch " + batch] : []),
    ].join(" \u00b7 "));
    const part = progress.total > 0
        ? Math.min(1, progress.samples / progress.total) : 0;
    const percent = Math.floor(100 * part) + " %";
    document.title = percent + " \u00b7 " + job.trainer + " \u00b7 Monsoon";
    setText(by("done"), percent + ": " + whole(progress.samples) + " of " +
            whole(progress.total) + " samples");
    by("bar").value = part;
    setText(by("bar"), percent);
    setTile("epoch", "epoch", progress.epoch + " of " + progress.epochs);
    setTile("elapsed", "elapsed", duration(progress.elapsed_s));
    setTile("eta", "to go", status.state === "running"
        ? duration(progress.eta_s) : null);
    setTile("rate", "samples/s", whole(progress.samples_per_s));
    setTile("loss", "loss", digits(progress.loss, 4));
    const result = summary || {};
    setTile("accuracy", "test accuracy",
            summary ? digits(result.test_acc, 4) : null, true);
    setTile("test-loss", "test loss",
            summary ? digits(result.test_loss, 4) : null, true);
  }

  // ---- Charts -------------------------------------------------------------

  const charts = {};
  let last = null;  // what was shown last

  function scale(text, more) {
    return {
      title: {display: true, text, color: token("--faint")},
      grid: {color: token("--line"), borderColor: token("--line")},
      ticks: {color: token("--faint"), maxRotation: 0,
              autoSkipPadding: 12, maxTicksLimit: 7}, ...more,
    };
  }

  function makeChart(id, kind, x, y, style) {
    const canvas = document.querySelector("#" + id + " canvas");
    const colour = token(style);
    const line = kind === "line";
    charts[id] = new Chart(canvas, {
      type: kind,
      data: {labels: [], datasets: [{
        data: [], borderColor: colour,
        backgroundColor: line ? colour : colour + "cc", borderWidth: 2,
        pointRadius: (context) =>
          context.dataIndex === context.dataset.data.length - 1 ? 4 : 0,
        pointHitRadius: 8, maxBarThickness: 44,
      }]},
      options: {
        responsive: true, maintainAspectRatio: false, animation: false,
        interaction: {mode: "nearest", axis: "x", intersect: false},
        scales: {
          x: scale(x, line ? {type: "linear"} : {type: "category"}),
          y: scale(y, {beginAtZero: true}),
        },
        plugins: {legend: {display: false}, tooltip: {displayColors: false}},
      },
    });
  }

  function makeCharts() {
    for (const chart of Object.values(charts)) chart.destroy();
    makeChart("loss", "line", "samples", "loss", "--s0");
    makeChart("rate", "line", "seconds", "samples/s", "--s2");
    makeChart("staleness", "bar", "rounds behind", "pushes", "--s3");
  }

  // The sentence above a chart is what a screen reader has of it.
  function describe(id, sentence) {
    const figure = by(id);
    setText(figure.querySelector(".finding"), sentence);
    figure.querySelector("canvas").setAttribute(
        "aria-label", sentence + " The numbers are in the table below.");
  }

  function fillNumbers(id, rows) {
    const body = document.querySelector("#" + id + " tbody");
    rows.forEach((row, i) => {
      const line = body.rows[i] || body.insertRow();
      row.forEach((text, j) => setText(line.cells[j] || line.insertCell(),
                                       text));
    });
    while (body.rows.length > rows.length) body.deleteRow(-1);
  }

  function pick(points) {
    if (points.length <= kNumbers) return points;
    const step = (points.length - 1) / (kNumbers - 1);
    return Array.from({length: kNumbers},
                      (_, i) => points[Math.round(i * step)]);
  }

  function showCurve(id, points, text, sentence) {
    charts[id].data.datasets[0].data = points.map(([x, y]) => ({x, y}));
    charts[id].update("none");
    fillNumbers(id, pick(points).map(text));
    describe(id, sentence);
  }

  function showStaleness(servers) {
    const counts = new Array(kBounds.length + 1).fill(0);
    let pushes = 0;
    let sum = 0;
    for (const server of servers) {
      for (const [value, count] of Object.entries(server.staleness)) {
        const place = kBounds.findIndex((bound) => Number(value) <= bound);
        counts[place < 0 ? kBounds.length : place] += count;
        pushes += count;
        sum += Number(value) * count;
      }
    }
    const names = kBounds.map((bound, i) => i > 0 && bound - kBounds[i - 1] > 1
        ? kBounds[i - 1] + 1 + "\u2013" + bound : String(bound));
    names.push("over " + kBounds[kBounds.length - 1]);
    const shown = names.map((name, i) => [name, counts[i]])
        .slice(0, 1 + counts.findLastIndex((count) => count > 0));
    const chart = charts.staleness;
    chart.data.labels = shown.map(([name]) => name);
    chart.data.datasets[0].data = shown.map(([, count]) => count);
    chart.update("none");
    fillNumbers("staleness", shown.map(([name, count]) => [name, whole(count)]));
    describe("staleness", pushes === 0 ? "Nothing has been pushed." :
        whole(pushes) + " pushes of shards, on average " +
        digits(sum / pushes, 1) + " rounds behind.");
  }

  function showCharts(status) {
    const {losses, rates} = status;
    const lossText = losses.length === 0 ? "No loss is known yet." :
        "From " + digits(losses[0][1], 3) + " to " +
        digits(losses[losses.length - 1][1], 3) + " over " +
        whole(losses[losses.length - 1][0]) + " samples.";
    showCurve("loss", losses, ([x, y]) => [whole(x), digits(y, 4)], lossText);
    const rateText = rates.length === 0 ? "No rate is known yet." :
        whole(rates[rates.length - 1][1]) + " samples a second; at most " +
        whole(Math.max(...rates.map(([, rate]) => rate))) + ".";
    showCurve("rate", rates, ([x, y]) => [digits(x, 1), whole(y)], rateText);
    showStaleness(status.servers);
  }

  // ---- Tables -------------------------------------------------------------

  // A row for each `key`, updated in place, so that what is selected or read
  // aloud stays. A cell is a text, or {text, bad} or {phases}.
  function fillTable(id, rows) {
    const body = by(id).tBodies[0];
    rows.forEach(({key, cells}, i) => {
      let row = body.rows[i];
      if (!row) {
        row = body.insertRow();
        cells.forEach((_, j) => {
          const cell = document.createElement(j === 0 ? "th" : "td");
          if (j === 0) cell.scope = "row";
          row.append(cell);
        });
      }
      row.dataset.key = key;
      cells.forEach((cell, j) => fillCell(row.cells[j], cell));
    });
    while (body.rows.length > rows.length) body.deleteRow(-1);
  }

  function fillCell(place, cell) {
    if (cell.phases) return fillPhases(place, cell.phases);
    const {text, bad, number} = typeof cell === "string" ? {text: cell} : cell;
    setText(place, text);
    place.toggleAttribute("data-bad", Boolean(bad));
    place.classList.toggle("number", Boolean(number));
  }

  function fillPhases(place, seconds) {
    const all = seconds.reduce((sum, one) => sum + one, 0);
    if (!(all > 0)) return setText(place, kNone);
    if (!place.querySelector(".phases")) {
      const bar = document.createElement("div");
      bar.className = "phases";
      bar.setAttribute("aria-hidden", "true");
      bar.append(...kPhases.map(() => document.createElement("i")));
      const words = document.createElement("span");
      words.className = "words";
      place.replaceChildren(bar, words);
    }
    const parts = seconds.map((one) => 100 * one / all);
    parts.forEach((part, i) => {
      place.querySelector(".phases").children[i].style.width = part + "%";
    });
    setText(place.querySelector(".words"), kPhases.map(
        (name, i) => name + " " + Math.round(parts[i]) + " %").join(", "));
  }

  const number = (text) => ({text, number: true});

  function showTables(status) {
    fillTable("workers-table", status.workers.map((worker) => ({
      key: worker.rank,
      cells: [
        String(worker.rank),
        {text: (worker.silent ? "silent" : worker.state) +
               (worker.message ? ": " + worker.message : ""),
         bad: worker.silent || !["running", "done"].includes(worker.state)},
        number(whole(worker.samples)), number(whole(worker.samples_per_s)),
        number(digits(worker.loss, 4)),
        number(digits(worker.staleness_mean, 1)),
        {phases: [worker.compute_s, worker.exchange_s, worker.data_s]},
        number(bytes(worker.bytes_up)), number(bytes(worker.bytes_down)),
        worker.host || kNone, number(worker.pid ? String(worker.pid) : kNone),
        number(duration(worker.silent_s) + " ago"),
      ],
    })));
    fillTable("servers-table", status.servers.map((server) => ({
      key: server.index,
      cells: [
        String(server.index),
        {text: server.answers ? "answers" : "does not answer",
         bad: !server.answers && !kOver.includes(status.state)},
        number(whole(server.updates)), number(digits(server.updates_per_s, 1)),
        number(digits(server.cores, 2)), number(bytes(server.parameters_bytes)),
        number(bytes(server.peak_rss_bytes)), server.host || kNone,
        number(server.pid ? String(server.pid) : kNone),
      ],
    })));
  }

  // ---- The connection -----------------------------------------------------

  function show(status) {
    last = status;
    showHead(status);
    showCharts(status);
    showTables(status);
  }

  function complain(text) {
    const place = by("connection");
    place.hidden = text === "";
    setText(place, text);
  }

  function connect() {
    const events = new EventSource("/api/events");
    events.onopen = () => complain("");
    events.onmessage = (event) => {
      complain("");
      const status = JSON.parse(event.data);
      show(status);
      // That was the last: whoever sent it ends.
      if (status.summary) events.close();
    };
    events.onerror = () => {
      complain("The connection is lost; trying again. What you see is as it " +
               "was last.");
      if (events.readyState !== EventSource.CLOSED) return;
      events.close();  // refused: the browser does not try again by itself
      setTimeout(connect, 2000);
    };
  }

  makeCharts();
  connect();
  window.matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => {
        makeCharts();
        if (last) showCharts(last);
      });
})();
