// SPDX-License-Identifier: Apache-2.0
//
// Draws the charts of the page, and sorts and filters its table of runs. What is
// shown is calculated before: nothing here makes a number.
(function () {
  "use strict";

  const kMarkers = ["circle", "triangle", "rect", "rectRot", "star", "crossRot",
                    "cross"];
  const kColours = 8;
  const kMostLines = 12;  // more at once are hard to tell apart
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  // Of each figure: {figure, canvas, chart, facet, hidden: names}.
  const views = [];

  const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colourOf = (style) => token("--s" + style % kColours);
  // Where colours come round again, markers are others.
  const markerOf = (style) =>
    kMarkers[(style + Math.floor(style / kColours)) % kMarkers.length];
  const numberText = (value) =>
    value.toLocaleString("en", {maximumSignificantDigits: 4});

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function drawMarker(context, style, x, y, radius) {
    context.save();
    context.fillStyle = context.strokeStyle = colourOf(style);
    context.lineWidth = 2;
    Chart.helpers.drawPoint(
        context, {pointStyle: markerOf(style), radius, borderWidth: 2,
                  rotation: 0}, x, y);
    context.restore();
  }

  // Whiskers, the markers of bars, and a word where a mark has a note.
  const extras = {
    id: "extras",
    afterDatasetsDraw(chart) {
      const {ctx: context, scales, chartArea: area} = chart;
      chart.data.datasets.forEach((dataset, index) => {
        const meta = chart.getDatasetMeta(index);
        if (!chart.isDatasetVisible(index) || dataset.guide) return;
        meta.data.forEach((mark, i) => {
          const point = dataset.points[i];
          if (!point) return;
          context.save();
          context.strokeStyle = context.fillStyle = token("--ink");
          if (point.low !== undefined) {
            const low = scales.y.getPixelForValue(point.low);
            const high = scales.y.getPixelForValue(point.high);
            context.lineWidth = 1.3;
            context.beginPath();
            context.moveTo(mark.x, low);
            context.lineTo(mark.x, high);
            for (const end of [low, high]) {
              context.moveTo(mark.x - 4, end);
              context.lineTo(mark.x + 4, end);
            }
            context.stroke();
          }
          // A bar of nearly nothing has no end to mark.
          if (dataset.type === "bar" && point.y !== null &&
              mark.base - mark.y > 3) {
            drawMarker(context, dataset.style, mark.x, mark.y, 5);
          }
          if (point.note && dataset.notes) {
            context.font = "11px sans-serif";
            context.translate(mark.x + 4, area.bottom - 5);
            context.rotate(-Math.PI / 2);
            context.lineWidth = 4;
            context.strokeStyle = token("--paper");
            context.fillStyle = token("--bad");
            const text = (point.y === null ? "\u2715 " : "") + point.note;
            context.strokeText(text, 0, 0);
            context.fillText(text, 0, 0);
          }
          context.restore();
        });
      });
    },
  };

  // The data set of Chart.js for a series; `place` of `count` beside each other.
  function datasetOf(figure, series, place, count) {
    const colour = colourOf(series.style);
    const base = {
      label: series.name, style: series.style, guide: series.guide,
      points: series.points, borderColor: colour, backgroundColor: colour,
    };
    if (figure.kind === "bars") {
      const points = figure.x.categories.map(
          (_, i) => series.points.find((point) => point.x === i));
      return {...base, type: "bar", points, notes: true,
              data: points.map((point) => point ? point.y : null),
              backgroundColor: colour + "cc", borderWidth: 1,
              maxBarThickness: 44};
    }
    const dots = figure.kind === "dots";
    // Beside each other, so that whiskers do not hide each other.
    const shift = dots ? (place - (count - 1) / 2) * Math.min(0.13, 0.7 / count)
                       : 0;
    const last = series.points.length - 1;
    return {
      ...base, type: "line", notes: dots,
      data: series.points.map((point) => ({x: point.x + shift, y: point.y})),
      showLine: dots || series.joined,
      borderWidth: series.guide ? 1 : dots ? 1 : 1.6,
      borderDash: series.guide ? [5, 5] : [],
      pointStyle: markerOf(series.style),
      // Of a curve its end is the result.
      pointRadius: (context) => series.guide ? 0 :
          dots || last < 12 || context.dataIndex === last ? 6 : 2,
      pointHitRadius: 8, pointBorderWidth: 2, spanGaps: true,
    };
  }

  // Whiskers are part of what the axis has to hold.
  function rangeOf(figure) {
    const ends = figure.series.flatMap((series) => series.points)
        .flatMap((point) => [point.low, point.high])
        .filter((end) => end !== undefined);
    return ends.length === 0 ? {} : {suggestedMin: Math.min(...ends),
                                     suggestedMax: Math.max(...ends)};
  }

  function scaleOf(axis, figure) {
    const scale = {
      ...(axis === figure.y ? rangeOf(figure) : {}),
      title: {display: true, text: axis.label, color: token("--faint")},
      grid: {color: token("--line"), borderColor: token("--line")},
      ticks: {color: token("--faint")},
      beginAtZero: axis.from_zero,
    };
    if (!axis.categories) return {type: "linear", ...scale};
    scale.grid = {...scale.grid, display: false};
    if (figure.kind === "bars") return {type: "category", ...scale};
    const last = axis.categories.length - 1;
    return {
      type: "linear", ...scale, min: -0.5, max: last + 0.5,
      afterBuildTicks: (made) => {
        made.ticks = axis.categories.map((_, i) => ({value: i}));
      },
      ticks: {...scale.ticks, callback: (value) => axis.categories[value]},
    };
  }

  // What is said of one mark: by the tooltip, and to a screen reader.
  function describe(figure, dataset, index) {
    const point = dataset.points[index];
    const x = figure.x.categories
        ? figure.x.label + " " + figure.x.categories[point.x]
        : figure.x.label + " " + numberText(point.x);
    const lines = [x];
    if (point.y !== null) {
      lines.push(figure.y.label + " " + numberText(point.y));
    }
    if (point.low !== undefined) {
      lines.push("from " + numberText(point.low) + " to " +
                 numberText(point.high));
    }
    if (point.note) lines.push(point.note);
    return lines;
  }

  function draw(view) {
    const {figure, canvas} = view;
    if (view.chart) view.chart.destroy();
    const shown = figure.series.filter(
        (series) => !view.facet || !series.facet ||
            series.facet === view.facet);
    const datasets = shown.map(
        (series, i) => datasetOf(figure, series, i, shown.length));
    for (const dataset of datasets) {
      dataset.hidden = view.hidden.has(dataset.label);
    }
    view.chart = new Chart(canvas, {
      type: figure.kind === "bars" ? "bar" : "line",
      data: {labels: figure.x.categories || [], datasets},
      plugins: [extras],
      options: {
        responsive: true, maintainAspectRatio: false, animation: false,
        layout: {padding: {top: 14}},
        interaction: {mode: "nearest", intersect: true},
        scales: {x: scaleOf(figure.x, figure), y: scaleOf(figure.y, figure)},
        plugins: {
          legend: {display: false},
          tooltip: {
            displayColors: false,
            filter: (item) => !item.dataset.guide,
            callbacks: {
              title: (items) => items.length ? items[0].dataset.label : "",
              label: (item) => describe(figure, item.dataset, item.dataIndex),
            },
          },
        },
      },
    });
    canvas.dataset.drawn = "";
    for (const picture of view.pictures) picture();
  }

  // Buttons that hide and show what has one name.
  function addLegend(view, plot) {
    const names = new Map();
    for (const series of view.figure.series) {
      names.set(series.name, series.style);
    }
    const list = element("ul", {class: "legend", "aria-label": "Shown"});
    for (const [name, style] of names) {
      const picture = element("canvas", {width: 32, height: 32,
                                         "aria-hidden": "true"});
      view.pictures.push(() => {
        const context = picture.getContext("2d");
        context.clearRect(0, 0, 32, 32);
        drawMarker(context, style, 16, 16, 10);
      });
      const button = element("button",
                             {type: "button", "aria-pressed": "true"},
                             picture, name);
      button.addEventListener("click", () => {
        if (!view.hidden.delete(name)) view.hidden.add(name);
        button.setAttribute("aria-pressed", String(!view.hidden.has(name)));
        draw(view);
      });
      list.append(element("li", {}, button));
    }
    plot.before(list);
  }

  // Where there are runs of several batch sizes: which of them are drawn.
  function addFacets(view, plot) {
    const facets = [...new Set(view.figure.series.map((one) => one.facet))]
        .filter(Boolean)
        .sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
    if (facets.length < 2) return;
    const lines = view.figure.series.filter((series) => series.joined);
    view.facet = lines.length > kMostLines ? facets[0] : "";
    const field = element("fieldset", {class: "facets"},
                          element("legend", {}, "Draw"));
    for (const facet of ["", ...facets]) {
      const button = element(
          "button",
          {type: "button", "aria-pressed": String(facet === view.facet)},
          facet || "all");
      button.addEventListener("click", () => {
        view.facet = facet;
        for (const other of field.querySelectorAll("button")) {
          other.setAttribute("aria-pressed", String(other === button));
        }
        draw(view);
      });
      field.append(button);
    }
    plot.before(field);
  }

  // Arrow keys go from mark to mark, and each is said.
  function addKeys(view) {
    let at = -1;
    view.canvas.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}
          [event.key];
      if (!step) return;
      event.preventDefault();
      const {chart, figure} = view;
      const marks = [];
      chart.data.datasets.forEach((dataset, datasetIndex) => {
        if (dataset.guide || dataset.hidden) return;
        dataset.points.forEach((point, index) => {
          if (point) marks.push({datasetIndex, index});
        });
      });
      if (!marks.length) return;
      at = at < 0 ? (step > 0 ? 0 : marks.length - 1)
                  : (at + step + marks.length) % marks.length;
      const mark = marks[at];
      const dataset = chart.data.datasets[mark.datasetIndex];
      const drawn = chart.getDatasetMeta(mark.datasetIndex).data[mark.index];
      const visible = dataset.points[mark.index].y === null ? [] : [mark];
      chart.setActiveElements(visible);
      chart.tooltip.setActiveElements(visible, {x: drawn.x, y: drawn.y});
      chart.update();
      document.getElementById("said").textContent =
          [dataset.label, ...describe(figure, dataset, mark.index)].join(", ");
    });
  }

  function addFigures() {
    for (const figure of figures) {
      const plot = document.querySelector("#" + CSS.escape(figure.id) +
                                          " .plot");
      const view = {figure, canvas: plot.querySelector("canvas"), facet: "",
                    hidden: new Set(), pictures: []};
      views.push(view);
      addLegend(view, plot);
      addFacets(view, plot);
      draw(view);
      addKeys(view);
    }
  }

  // The table of runs.

  const keyOf = (row, key) =>
    row.querySelector('[data-key="' + key + '"]').dataset.value;

  function addSorting(table) {
    const body = table.tBodies[0];
    for (const head of table.tHead.querySelectorAll("th")) {
      const key = head.dataset.key;
      if (key === "command") continue;
      const cells = [...body.querySelectorAll('[data-key="' + key + '"]')];
      const numeric = cells.every((cell) => cell.dataset.value === "" ||
                                  cell.classList.contains("number"));
      if (numeric) head.dataset.number = "";
      const button = element("button", {type: "button"}, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.querySelectorAll("th")) {
          other.removeAttribute("aria-sort");
        }
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [keyOf(a, key), keyOf(b, key)];
          if (x === "" || y === "") return (x === "") - (y === "");  // last
          const order = numeric ? Number(x) - Number(y)
                                : x.localeCompare(y, "en", {numeric: true});
          return down ? -order : order;
        });
        body.append(...rows);
      });
    }
  }

  function addFilters(table) {
    const rows = [...table.tBodies[0].rows];
    const bar = document.getElementById("runs-filter");
    const count = element("p", {id: "runs-count", role: "status"});
    const search = element("input", {type: "search", id: "runs-search",
                                     placeholder: "adag failed"});
    const selects = [];
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = [...row.querySelectorAll("[data-key]")]
            .map((cell) => cell.textContent.toLowerCase()).join("\n");
        const fits = words.every((word) => text.includes(word)) &&
            selects.every(([key, select]) => select.value === "" ||
                          keyOf(row, key) === select.value);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = shown + " of " + rows.length + " runs";
    };
    bar.append(element("label", {}, "Search", search));
    for (const key of ["model", "data", "trainer", "batch_size", "workers",
                       "status"]) {
      const values = [...new Set(rows.map((row) => keyOf(row, key)))]
          .sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
      if (values.length < 2) continue;
      const select = element("select", {id: "runs-" + key},
                             element("option", {value: ""}, "all"));
      for (const value of values) {
        select.append(element("option", {value}, value || "-"));
      }
      select.addEventListener("change", apply);
      selects.push([key, select]);
      bar.append(element("label", {}, table.querySelector(
          'th[data-key="' + key + '"]').textContent, select));
    }
    bar.append(count);
    search.addEventListener("input", apply);
    apply();
  }

  // On paper: light colours, and the shorter tables open.
  function addPrinting() {
    let opened = [];
    window.addEventListener("beforeprint", () => {
      root.dataset.print = "";
      views.forEach(draw);
      opened = [...document.querySelectorAll("figure details:not([open])")]
          .filter((one) => one.querySelectorAll("tbody tr").length <= 20);
      for (const one of opened) one.open = true;
    });
    window.addEventListener("afterprint", () => {
      delete root.dataset.print;
      views.forEach(draw);
      for (const one of opened) one.open = false;
    });
  }

  addFigures();
  const table = document.getElementById("runs-table");
  addFilters(table);
  addSorting(table);
  addPrinting();
  window.matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => views.forEach(draw));
})();
