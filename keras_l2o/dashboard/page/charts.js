/* Panels: curves with bands, drawn by uPlot, each with its legend. */
"use strict";

window.L2O = window.L2O || {};

(function (L2O) {
  const COLOURS = 8;
  const DASHES = [[], [8, 4], [2, 3]];
  const HEIGHT = 230;
  const {make, short} = L2O;

  function theme() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(name).trim();
  }

  function colour(slot) {
    return theme()(`--line-${slot % COLOURS}`);
  }

  function translucent(hex, alpha) {
    const part = (i) => parseInt(hex.slice(i, i + 2), 16);
    return `rgba(${part(1)}, ${part(3)}, ${part(5)}, ${alpha})`;
  }

  /* Round values of a logarithmic axis, some four to six of them. */
  function ticksOfLog(low, high) {
    const found = [];
    if (high / low < 6) {
      const rough = (high - low) / 5;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = power * [1, 2, 5, 10].find((s) => s * power >= rough);
      for (let i = Math.ceil(low / step); i * step <= high; i++) {
        found.push(+(i * step).toPrecision(6));
      }
      return found;
    }
    const steps = high / low < 50 ? [1, 2, 5] : high / low < 1e3 ? [1, 3] : [1];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++) {
      for (const step of steps) {
        const value = +`${step}e${p}`;
        if (value >= low && value <= high) found.push(value);
      }
    }
    const every = Math.ceil(found.length / 6);
    return found.filter((_, i) => i % every === 0);
  }

  function extent(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const list of values) {
      for (const v of list) {
        if (v === null || v === undefined) continue;
        if (v < low) low = v;
        if (v > high) high = v;
      }
    }
    return [low, high];
  }

  /* Several curves, each with steps of its own, on the steps of all. */
  function joined(curves) {
    const x = [...new Set(curves.flatMap((c) => c.x))].sort((a, b) => a - b);
    const at = new Map(x.map((value, index) => [value, index]));
    const spread = (own, values) => {
      const row = new Array(x.length).fill(undefined);
      own.forEach((value, i) => { row[at.get(value)] = values[i]; });
      return row;
    };
    const rows = curves.flatMap((c) =>
      c.band.map((values) => spread(c.x, values)));
    return [x, ...rows];
  }

  function axes(pick, options, log) {
    const common = {
      stroke: pick("--quiet"), font: "11px system-ui, sans-serif",
      grid: {stroke: pick("--grid"), width: 1}, ticks: {show: false},
    };
    const y = {...common, size: 48, values: (u, s) => s.map(short)};
    if (log) {
      y.splits = (u, i, low, high) => ticksOfLog(low, high);
      y.filter = (u, splits) => splits;
    }
    return [{
      ...common, size: 28, space: 60,
      values: (u, s) => s.map((v) => (v >= 1e4 ? `${v / 1e3}k` : String(v))),
    }, y];
  }

  /*
   * A panel. `curves` is a list of {name, x, band, slot, dash}; a band is the
   * middle, the least and the greatest, or the middle alone.
   */
  function panel(options, curves) {
    const figure = make("figure", {class: "panel"});
    const plot = make("div", {class: "plot", role: "img"});
    const values = curves.map(() => make("output", {}));
    const legend = make("ul", {class: "legend"}, ...curves.map((c, i) => {
      const swatch = make("span", {class: "swatch", "aria-hidden": "true"});
      swatch.style.setProperty("--own", colour(c.slot));
      swatch.dataset.dash = c.dash || 0;
      return make("li", {}, swatch, make("span", {}, c.name), values[i]);
    }));
    figure.append(make("figcaption", {},
      make("strong", {}, options.title),
      make("span", {}, options.subtitle)), plot, legend);
    plot.setAttribute("aria-label", `${options.title}, ${options.subtitle}. ` +
      curves.map((c) => `${c.name} ends at ${short(last(c) ?? NaN)}`)
        .join("; "));
    figure.draw = () => draw(plot, options, curves, values);
    return figure;
  }

  function last(curve) {
    return curve.band[0].filter((v) => v !== null).at(-1);
  }

  function draw(plot, options, curves, outputs) {
    const pick = theme();
    const data = joined(curves);
    const [low, high] = extent(data.slice(1));
    const log = options.log && low > 0 && high > low;
    const series = [{}];
    const bands = [];
    const middles = [];
    for (const c of curves) {
      const stroke = colour(c.slot);
      middles.push(series.length);
      series.push({
        stroke, width: c.thin ? 1.25 : 2, dash: DASHES[(c.dash || 0) % 3],
        points: {show: c.x.length === 1, size: 5}, spanGaps: true,
      });
      if (c.band.length > 1) {
        bands.push({
          series: [series.length + 1, series.length],
          fill: translucent(stroke, 0.15),
        });
        for (let i = 0; i < 2; i++) {
          series.push({width: 0, points: {show: false}, spanGaps: true});
        }
      }
    }
    const show = (index) => outputs.forEach((output, i) => {
      const value = index === null || index === undefined ?
        last(curves[i]) : data[middles[i]][index];
      output.textContent =
        value === null || value === undefined ? "" : short(value);
    });
    const pad = (low === high ? Math.abs(low) || 1 : high - low) * 0.05;
    const range = log ? [low / 1.06, high * 1.06] :
      options.range || [low - pad, high + pad];
    if (plot.chart) plot.chart.destroy();
    plot.chart = low > high ? null : new uPlot({
      width: plot.clientWidth || 320, height: HEIGHT, series, bands,
      scales: {x: {time: false}, y: {distr: log ? 3 : 1, range: () => range}},
      axes: axes(pick, options, log),
      legend: {show: false},
      cursor: {
        points: {size: 6}, y: false,
        drag: {x: true, y: false},
      },
      hooks: {setCursor: [(u) => show(u.cursor.idx)]},
    }, data, plot);
    if (!plot.chart) plot.textContent = "Nothing finite to draw.";
    show(null);
  }

  const widths = new ResizeObserver((entries) => {
    for (const {target} of entries) {
      const {chart} = target;
      const width = target.clientWidth;
      if (chart && width && chart.width !== width) {
        chart.setSize({width, height: HEIGHT});
      }
    }
  });

  /* Puts panels in place of those that are there. */
  function fill(container, panels) {
    for (const plot of container.querySelectorAll(".plot")) {
      widths.unobserve(plot);
      if (plot.chart) plot.chart.destroy();
    }
    container.replaceChildren(...panels);
    for (const figure of panels) {
      figure.draw();
      widths.observe(figure.querySelector(".plot"));
    }
  }

  /* A panel for each problem and horizon, with all that is picked on it. */
  function losses(evaluations, state, slots) {
    const byGroup = new Map();
    for (const e of evaluations) {
      byGroup.set(e.group, [...(byGroup.get(e.group) || []), e]);
    }
    return [...byGroup.values()].map((own) => () => {
      const group = own[0].in;
      const training = state.curve === "training" || !group.validated;
      const what = training ? "training loss" : "validation loss";
      const steps = group.steps.toLocaleString("en");
      return panel({
        title: group.problem, log: Boolean(state.log),
        subtitle: `${what}, ${steps} steps, ${group.set}`,
      }, own.map((e) => ({
        name: e.label,
        x: training ? group.training_x : group.validation_x,
        band: training ? e.training : e.validation,
        ...slots(e),
      })));
    });
  }

  function pools(evaluations) {
    return evaluations.filter((e) => e.pool).map((e) => panel({
      title: e.label, range: [0, 1],
      subtitle: `${e.in.problem}, weight of each member, ` +
        `${e.pool.layers} layers`,
    }, e.pool.names.map((name, i) => ({
      name, x: e.pool.x, band: e.pool.weights[i], slot: i,
    }))));
  }

  function runPanels(run) {
    const periods = Array.from({length: run.periods}, (_, i) => i + 1);
    const found = [];
    if (run.periods) {
      found.push(panel({
        title: run.name, subtitle: "log loss in validation, by period",
      }, [
        {name: run.student || "student", x: periods, band: run.validation,
          slot: 0},
        ...run.teachers.map((name, i) => ({
          name, x: periods, band: [run.teachers_validation[i]],
          slot: i + 1, dash: 1, thin: true,
        })),
      ]));
    }
    if (run.outer.x.length) {
      found.push(panel({
        title: run.name, subtitle: "meta loss, by outer step",
      }, [{name: "meta loss", x: run.outer.x, band: [run.outer.y], slot: 0}]));
    }
    return found;
  }

  Object.assign(L2O, {
    COLOURS, colour, fill, losses, pools, runPanels,
  });
})(window.L2O);
