/* The tables: sortable heads, boxes to tick, cells of figures. */
"use strict";

window.L2O = window.L2O || {};

(function (L2O) {
  const MOST = 150;

  /* An element with attributes and children; text is never read as HTML. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) {
        element.addEventListener(name.slice(2), value);
      } else if (value === true) {
        element.setAttribute(name, "");
      } else if (value !== false && value !== null && value !== undefined) {
        element.setAttribute(name, value);
      }
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  function short(value) {
    const size = Math.abs(value);
    if (value === 0) return "0";
    if (size >= 1e5 || size < 1e-3) {
      return value.toExponential(1).replace("e+", "e");
    }
    return size >= 100 ? value.toFixed(0) : String(+value.toPrecision(3));
  }

  const FORMATS = {
    text: (v) => v,
    count: (v) => v.toLocaleString("en"),
    number: (v) => String(+v.toFixed(1)),
    loss: short,
    ratio: (v) => (v === Infinity ? "∞" : v >= 100 ? short(v) : v.toFixed(2)),
    percent: (v) => `${(100 * v).toFixed(1)} %`,
    times: (v) => `${v.toFixed(v < 10 ? 2 : 1)}×`,
    ms: (v) => `${+v.toPrecision(2)} ms`,
    seconds: (v) => duration(v),
    ago: (v) => `${duration(Math.max(0, Date.now() / 1000 - v))} ago`,
  };

  function duration(seconds) {
    if (seconds < 60) return `${seconds.toFixed(0)} s`;
    if (seconds < 3600) return `${(seconds / 60).toFixed(0)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  }

  function format(kind, value) {
    const missing = value === null || value === undefined || value === "";
    return missing ? "" : FORMATS[kind](value);
  }

  function cell(column, row, extra) {
    const value = row[column.id];
    if (column.id === "name") {
      return make("th", {scope: "row", class: "name"}, extra || value);
    }
    if (column.kind === "text") {
      return make("td", {}, value || "");
    }
    if (column.kind === "coverage") {
      const part = row.problems < row.total;
      return make("td", {class: part ? "figure part" : "figure"},
        part ? `${row.problems} of ${row.total}` : `${row.total}`);
    }
    const text = format(column.kind, value);
    if (column.kind === "ratio" && text) {
      return make("td", {class: "figure ratio"}, text, lean(value));
    }
    const warns = column.id === "diverged" && value > 0;
    return make("td", {class: warns ? "figure warns" : "figure"}, text);
  }

  /* A bar that leans to the left of 1 if a ratio is better, else right.
     Half and twice fill it; small differences are drawn larger. */
  function lean(value) {
    const size = Math.min(1, Math.abs(Math.log2(value))) ** 0.6;
    const side = value < 1 ? "better" : "worse";
    const bar = make("i", {class: side});
    bar.style.width = `${50 * size}%`;
    return make("span", {class: "lean", "aria-hidden": "true"}, bar);
  }

  function head(columns, sort, down, onSort, title) {
    const cells = columns.map((column) => {
      const active = column.id === sort;
      const order = down ? "descending" : "ascending";
      const label = make("button", {
        type: "button", title: column.means,
        onclick: () => onSort(column.id),
      }, column.label, make("span", {class: "arrow", "aria-hidden": "true"},
        active ? (down ? "▼" : "▲") : ""));
      const figure = column.kind !== "text";
      return make("th", {
        scope: "col", "data-column": column.id,
        "aria-sort": active ? order : "none",
        class: (column.id === "name" ? "name " : "") + (figure ? "figure" : ""),
      }, label);
    });
    return make("tr", {}, make("th", {class: "pick", scope: "col"},
      make("span", {class: "hidden"}, title)), ...cells);
  }

  function tick(label, picked, some, colour, onPick) {
    const box = make("input", {
      type: "checkbox", "aria-label": label,
      onchange: (event) => onPick(event.target.checked),
    });
    box.checked = picked;
    box.indeterminate = some && !picked;
    if (colour) box.style.accentColor = colour;
    return make("td", {class: "pick"}, box);
  }

  /* The table of optimizers; `on` has functions that the page gives. */
  function drawTable(element, shown, state, picks, on, data) {
    const rows = on.whole() ? shown.rows : shown.rows.slice(0, MOST);
    const focus = remember(element);
    element.tHead.replaceChildren(
      head(shown.columns, shown.sort, Boolean(state.down), on.sort, "Pick"));
    element.tBodies[0].replaceChildren(...rows.map((row) => {
      const keys = row.evaluations.map((e) => e.key);
      const count = keys.filter((key) => picks.has(key)).length;
      const name = broken(row.name);
      if (row.name === data.recommended && row.kind === "learned") {
        name.push(make("span", {class: "badge"}, "if in doubt"));
      }
      const place = state.rows === "evaluation" && !state.problem ?
        ` on ${row.problem}, ${row.steps} steps` : "";
      const extra = make("span", {}, ...name);
      return make("tr", {
        "data-key": row.key, class: count ? "picked" : "",
      },
      tick(`Pick ${row.name}${place}`, count === keys.length, count > 0,
        count ? on.colour(row) : null, (yes) => on.pick(keys, yes)),
      ...shown.columns.map((column) => cell(column, row, extra)));
    }));
    restore(element, focus);
    return shown.rows.length - rows.length;
  }

  /* A name that may go on in the next line after its slashes and bars. */
  function broken(name) {
    return name.split(/(?<=[/_])/).flatMap((part, i) =>
      (i ? [make("wbr"), part] : [part]));
  }

  /* Keyboard users stay where they are when the table is drawn again. */
  function remember(element) {
    const active = document.activeElement;
    if (!active || !element.contains(active)) return null;
    const row = active.closest("tr[data-key]");
    const column = active.closest("th[data-column]");
    return row ? `tr[data-key="${CSS.escape(row.dataset.key)}"] input` :
      column ? `th[data-column="${column.dataset.column}"] button` : null;
  }

  function restore(element, selector) {
    const found = selector && element.querySelector(selector);
    if (found) found.focus({preventScroll: true});
  }

  const RUN_COLUMNS = [
    {id: "name", label: "Run", kind: "text"},
    {id: "student", label: "Student", kind: "text"},
    {id: "periods", label: "Periods", kind: "count"},
    {id: "best", label: "Best validation", kind: "loss",
      means: "Log of the student’s loss at the end of a rollout."},
    {id: "latest", label: "Last validation", kind: "loss"},
    {id: "seconds", label: "Trained for", kind: "seconds"},
    {id: "updated", label: "Last change", kind: "ago"},
  ];

  function drawRuns(element, runs, picks, sort, on) {
    const rows = runs.map((run) => ({
      ...run,
      latest: run.periods ? run.validation[0].at(-1) : null,
    }));
    const focus = remember(element);
    const sign = sort.down ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [a[sort.id], b[sort.id]].map((v) => v ?? Infinity);
      if (typeof x === "string") {
        return sign * String(x).localeCompare(String(y), "en",
          {numeric: true});
      }
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
    element.tHead.replaceChildren(
      head(RUN_COLUMNS, sort.id, sort.down, on.sort, "Pick"));
    element.tBodies[0].replaceChildren(...rows.map((run) =>
      make("tr", {
        "data-key": run.key, class: picks.has(run.key) ? "picked" : "",
      },
      tick(`Pick run ${run.name}`, picks.has(run.key), false, null,
        (yes) => on.pick([run.key], yes)),
      ...RUN_COLUMNS.map((column) => cell(column, run, null)))));
    restore(element, focus);
  }

  Object.assign(L2O, {make, short, format, drawTable, drawRuns});
})(window.L2O);
