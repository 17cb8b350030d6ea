/* What the page shows, worked out from the data and the filters alone. */
"use strict";

window.L2O = window.L2O || {};

(function (L2O) {
  const ALL = "";
  const KINDS = {
    "": "Learned and rules",
    learned: "Learned only",
    rule: "Rules only",
    search: "Rates that searches tried",
    all: "Everything",
  };
  const BEST_RULE = "";

  /* Settings of the page before anything is chosen. */
  const START = {
    search: "", set: ALL, steps: ALL, problem: ALL, family: ALL,
    student: ALL, kind: "", rows: "optimizer", against: BEST_RULE,
    sort: "best_ratio", down: "", curve: "validation", log: "1",
  };

  /* Columns; `rows` says in which tables a column is, `best` which end is. */
  const COLUMNS = [
    {id: "name", label: "Optimizer", kind: "text",
      means: "Family and replicate, or a rule and how its rate was found: " +
        "tuned for each problem, the single one that is best elsewhere, or " +
        "Keras’s default."},
    {id: "problem", label: "Problem", kind: "text", rows: "evaluation",
      means: "What was trained."},
    {id: "steps", label: "Horizon", kind: "count", rows: "evaluation",
      means: "Steps of a training."},
    {id: "best_ratio", label: "Best, relative", kind: "ratio",
      means: "Best validation loss of a run over that of what is compared " +
        "with; below 1 is better. Over several problems the geometric mean. " +
        "∞ if a run diverged."},
    {id: "last_ratio", label: "Last, relative", kind: "ratio",
      means: "The same for the validation loss at the end."},
    {id: "train_ratio", label: "Training, relative", kind: "ratio",
      means: "The same for the training loss at the end."},
    {id: "problems", label: "Problems", kind: "coverage", rows: "optimizer",
      means: "On how many of the problems and horizons that the filters leave " +
        "it was run. Means over some of them are not to be compared with " +
        "means over all, and come after these."},
    {id: "best", label: "Best loss", kind: "loss", rows: "single",
      means: "Best validation loss itself, mean over the runs."},
    {id: "last", label: "Last loss", kind: "loss", rows: "single",
      means: "Last validation loss itself."},
    {id: "train", label: "Training loss", kind: "loss", rows: "single",
      means: "Training loss at the end itself."},
    {id: "accuracy", label: "Accuracy", kind: "percent", rows: "single",
      means: "Best validation accuracy."},
    {id: "student", label: "Student", kind: "text",
      means: "The class of a learned optimizer’s policy."},
    {id: "state", label: "State", kind: "number",
      means: "Numbers kept for each parameter. Adam keeps 2."},
    {id: "cost", label: "Cost", kind: "times",
      means: "Arithmetic of a training step over that with Adam, for a dense " +
        "layer of 256 by 256 and batches of 128."},
    {id: "ms", label: "Time a step", kind: "ms",
      means: "Measured in the evaluation, the model’s part included. " +
        "Machines differ: compare within one problem."},
    {id: "runs", label: "Runs", kind: "count",
      means: "Seeds, over all problems of the row."},
    {id: "diverged", label: "Diverged", kind: "count",
      means: "Runs whose loss became NaN or infinite."},
  ];

  function prepare(data) {
    for (const e of data.evaluations) {
      e.of = data.optimizers[e.optimizer];
      e.in = data.groups[e.group];
      e.label = e.of.name + (e.place ? ` (${e.place})` : "");
      e.key = [e.in.set, e.in.problem, e.in.steps, e.of.kind, e.label]
        .join("|");
    }
    for (const run of data.runs) run.key = `${run.set}|${run.name}`;
    return data;
  }

  function unique(values) {
    const numeric = values.every((v) => typeof v === "number");
    return [...new Set(values)].sort(
      numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b));
  }

  /* What each select offers: lists of pairs of a value and a label. */
  function options(data) {
    const of = (read) =>
      unique(data.evaluations.map(read).filter((v) => v !== ""));
    const pairs = (values, all, label = String) =>
      [[ALL, all], ...values.map((v) => [String(v), label(v)])];
    return {
      set: pairs(of((e) => e.in.set), "Any folder"),
      steps: pairs(of((e) => e.in.steps), "Any", (v) =>
        `${v.toLocaleString("en")} steps`),
      problem: pairs(of((e) => e.in.problem), "All problems"),
      family: pairs(of((e) => e.of.family), "All families"),
      student: pairs(of((e) => e.of.student), "All students"),
      kind: Object.entries(KINDS),
      rows: [["optimizer", "Optimizer"], ["evaluation", "Evaluation"]],
      against: [[BEST_RULE, "Each problem’s best rule"],
        ...unique(data.evaluations
          .filter((e) => e.of.kind !== "search").map((e) => e.of.name))
          .map((v) => [v, v])],
      curve: [["validation", "Validation"], ["training", "Training"]],
    };
  }

  function ofKind(kind, wanted) {
    if (wanted === "all") return true;
    return wanted === "" ? kind !== "search" : kind === wanted;
  }

  function filtered(data, state) {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    return data.evaluations.filter((e) => {
      const text = `${e.label} ${e.of.student} ${e.in.problem} ${e.in.set}`
        .toLowerCase();
      return ofKind(e.of.kind, state.kind) &&
        (!state.set || e.in.set === state.set) &&
        (!state.steps || String(e.in.steps) === state.steps) &&
        (!state.problem || e.in.problem === state.problem) &&
        (!state.family || e.of.family === state.family) &&
        (!state.student || e.of.student === state.student) &&
        words.every((word) => text.includes(word));
    });
  }

  /* By group, the evaluation that the others are compared with. */
  function references(data, against) {
    const found = new Map();
    for (const e of data.evaluations) {
      if (e.of.kind === "search" || e.best === null) continue;
      if (against ? e.of.name !== against : e.of.kind !== "rule") continue;
      const old = found.get(e.group);
      if (!old || e.best < old.best) found.set(e.group, e);
    }
    return found;
  }

  function ratio(own, other, diverged) {
    if (other === null || other === undefined || !(other > 0)) return null;
    if (own === null) return diverged ? Infinity : null;
    return own > 0 ? own / other : null;
  }

  function geometric(values) {
    const known = values.filter((v) => v !== null && v !== undefined);
    if (!known.length) return null;
    if (known.includes(Infinity)) return Infinity;
    return Math.exp(
      known.reduce((sum, v) => sum + Math.log(v), 0) / known.length);
  }

  function sum(values) {
    return values.reduce((a, b) => a + b, 0);
  }

  function row(evaluations, reference, total) {
    const [first] = evaluations;
    const single = evaluations.length === 1;
    const ratios = (figure) => geometric(evaluations.map((e) => {
      const other = reference.get(e.group);
      return ratio(e[figure], other && other[figure], e.diverged > 0);
    }));
    return {
      key: single ? first.key : `${first.of.kind}|${first.of.name}`,
      evaluations,
      name: single ? first.label : first.of.name,
      kind: first.of.kind,
      student: first.of.student,
      problem: first.in.problem,
      steps: first.in.steps,
      set: first.in.set,
      problems: new Set(evaluations.map((e) => e.group)).size,
      total,
      best_ratio: ratios("best"),
      last_ratio: ratios("last"),
      train_ratio: ratios("train"),
      best: single ? first.best : null,
      last: single ? first.last : null,
      train: single ? first.train : null,
      accuracy: single ? first.accuracy : null,
      state: first.of.state,
      cost: first.of.cost,
      ms: geometric(evaluations.map((e) => e.ms)),
      runs: sum(evaluations.map((e) => e.runs)),
      diverged: sum(evaluations.map((e) => e.diverged)),
    };
  }

  /* The rows of the table, sorted, and the columns that it has. */
  function table(data, state) {
    const found = filtered(data, state);
    const reference = references(data, state.against);
    const groups = new Set(found.map((e) => e.group));
    const byRow = new Map();
    for (const e of found) {
      const key = state.rows === "evaluation" ? e.key : e.optimizer;
      byRow.set(key, [...(byRow.get(key) || []), e]);
    }
    const rows = [...byRow.values()].map(
      (own) => row(own, reference, groups.size));
    const single = state.rows === "evaluation" || groups.size === 1;
    const columns = COLUMNS.filter((c) =>
      (!c.rows || c.rows === state.rows || (c.rows === "single" && single)) &&
      (c.id !== "student" || rows.some((r) => r.student)) &&
      !(c.id in state && state[c.id]));  // a filter says it of all rows
    const shown = columns.find((c) => c.id === state.sort) || columns[0];
    return {
      columns, rows: sorted(rows, shown, Boolean(state.down), state.rows),
      sort: shown.id, evaluations: found, groups: groups.size, reference,
    };
  }

  /*
   * What is not known comes last, whichever way the rest is sorted, and before
   * it means over some problems only, which would else win by their choice.
   */
  function sorted(rows, column, down, kind) {
    const {id} = column;
    const missing = (v) => v === null || v === undefined || v === "";
    const part = (r) => column.kind === "ratio" && kind === "optimizer" &&
      r.problems < r.total;
    const sign = down ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [a[id], b[id]];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      if (part(a) !== part(b)) return part(a) - part(b);
      if (typeof x === "string") {
        return sign * x.localeCompare(y, "en", {numeric: true});
      }
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
  }

  /* Of several folders the first, at the horizon that most of it has. */
  function firstFilters(data) {
    if (data.sets.length < 2) return {};
    const [set] = data.sets;
    const counts = new Map();
    for (const e of data.evaluations) {
      if (e.in.set !== set) continue;
      counts.set(e.in.steps, (counts.get(e.in.steps) || 0) + 1);
    }
    const [steps] = [...counts].sort((a, b) => b[1] - a[1]).map((c) => c[0]);
    return steps === undefined ? {} : {set, steps: String(steps)};
  }

  /* What is picked before anybody has picked: a learned one and a rule. */
  function firstPicks(data, shown) {
    const whole = shown.rows.filter((r) => r.problems === r.total);
    const rows = whole.length ? whole : shown.rows;
    const learned = rows.find((r) => r.name === data.recommended) ||
      rows.find((r) => r.kind === "learned");
    const rule = rows.find((r) => r.kind === "rule");
    const picked = [learned, rule].filter(Boolean);
    return (picked.length ? picked : rows.slice(0, 2))
      .flatMap((r) => r.evaluations.map((e) => e.key));
  }

  Object.assign(L2O, {
    START, COLUMNS, prepare, options, table, firstFilters, firstPicks,
  });
})(window.L2O);
