/* The page: what is chosen, kept in the address, and drawn when it changes. */
"use strict";

(function (L2O) {
  const PANELS = 6;
  const EVERY = 3000;
  const VERSION = 1;
  const {make} = L2O;
  const at = (id) => document.getElementById(id);

  let data = null;
  let shown = null;
  let state = {...L2O.START};
  let picks = new Set();
  let runPicks = new Set();
  let touched = false;
  let whole = false;
  let allPanels = false;
  const runSort = {id: "updated", down: true};
  const slots = new Map();

  function slotOf(name) {
    if (!slots.has(name)) {
      const taken = new Set(slots.values());
      let slot = 0;
      while (taken.has(slot)) slot += 1;
      slots.set(name, slot);
    }
    return slots.get(name);
  }

  const style = (evaluation) => {
    const slot = slotOf(nameOf(evaluation));
    return {slot, dash: Math.floor(slot / L2O.COLOURS)};
  };

  function nameOf(evaluation) {
    return `${evaluation.of.kind}|${evaluation.label}`;
  }

  function picked() {
    return data.evaluations.filter((e) => picks.has(e.key));
  }

  /* The address keeps filters and picks, for a reload and for a link. */
  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (![...given].length) Object.assign(state, L2O.firstFilters(data));
    for (const name of Object.keys(L2O.START)) {
      if (given.has(name)) state[name] = given.get(name);
    }
    if (given.has("pick")) {
      const names = new Set(given.getAll("pick"));
      picks = new Set(data.evaluations
        .filter((e) => names.has(e.key) ||
          (e.of.kind !== "search" && names.has(e.label)))
        .map((e) => e.key));
      touched = true;
    }
  }

  function writeAddress() {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      if (value !== L2O.START[name]) given.set(name, value);
    }
    if (touched) {
      const byName = new Map();
      for (const e of data.evaluations) {
        byName.set(nameOf(e), [...(byName.get(nameOf(e)) || []), e]);
      }
      for (const own of byName.values()) {
        const some = own.filter((e) => picks.has(e.key));
        const whole = some.length === own.length;
        const [{label, of}] = own;
        if (whole && of.kind !== "search") given.append("pick", label);
        else for (const e of some) given.append("pick", e.key);
      }
    }
    try {
      history.replaceState(null, "", `#${given}`);
    } catch {
      // A browser may keep pages from a disk from doing so.
    }
  }

  function fillSelects() {
    const offered = L2O.options(data);
    for (const form of [at("filters"), at("switches")]) {
      for (const element of form.elements) {
        if (!element.name) continue;
        if (element.tagName === "SELECT") {
          const pairs = offered[element.name];
          if (!pairs.some(([value]) => value === state[element.name])) {
            state[element.name] = L2O.START[element.name];
          }
          element.replaceChildren(...pairs.map(([value, label]) =>
            make("option", {value}, label)));
          const few = pairs.length < 3 && pairs[0][0] === "";
          element.closest("label").hidden = few;
        }
        if (element.type === "checkbox") {
          element.checked = Boolean(state[element.name]);
        } else {
          element.value = state[element.name];
        }
      }
    }
  }

  function drawTable() {
    shown = L2O.table(data, state);
    if (!touched) picks = new Set(L2O.firstPicks(data, shown));
    slots.forEach((_, name) => {
      if (!picked().some((e) => nameOf(e) === name)) slots.delete(name);
    });
    picked().forEach(style);
    const left = L2O.drawTable(at("table"), shown, state, picks, {
      whole: () => whole,
      sort: (id) => {
        const same = id === shown.sort;
        state.down = same && !state.down ? "1" : "";
        state.sort = id;
        redraw();
      },
      pick: (keys, yes) => {
        touched = true;
        keys.forEach((key) => (yes ? picks.add(key) : picks.delete(key)));
        redraw();
      },
      colour: (row) => L2O.colour(slotOf(nameOf(
        row.evaluations.find((e) => picks.has(e.key))))),
    }, data);
    const count = (n, word) =>
      `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
    at("count").textContent =
      `${count(shown.rows.length, "row")}: ` +
      `${count(shown.evaluations.length, "evaluation")} on ` +
      count(shown.groups, "problem");
    if (!shown.rows.length) at("count").textContent = "Nothing fits.";
    at("more").hidden = !left;
    at("more").textContent = `Show ${left} more rows`;
    at("meanings").replaceChildren(...shown.columns.flatMap((c) =>
      [make("dt", {}, c.label), make("dd", {}, c.means)]));
  }

  function drawPicks() {
    const names = new Map();
    for (const e of picked()) {
      names.set(nameOf(e), [...(names.get(nameOf(e)) || []), e]);
    }
    const chips = [...names].map(([name, own]) => {
      const swatch = make("span", {class: "swatch", "aria-hidden": "true"});
      swatch.style.setProperty("--own", L2O.colour(slotOf(name)));
      swatch.dataset.dash = Math.floor(slotOf(name) / L2O.COLOURS);
      return make("li", {}, swatch, own[0].label, make("button", {
        type: "button", "aria-label": `Remove ${own[0].label}`,
        onclick: () => unpick(own.map((e) => e.key)),
      }, "×"));
    });
    if (chips.length > 1) {
      chips.push(make("li", {class: "clear"}, make("button", {
        type: "button", onclick: () => unpick([...picks]),
      }, "Remove all")));
    }
    at("picks").replaceChildren(...chips);
  }

  function unpick(keys) {
    touched = true;
    keys.forEach((key) => picks.delete(key));
    redraw();
  }

  function drawCurves() {
    const left = new Set(shown.evaluations.map((e) => e.group));
    const mine = picked().filter((e) => left.has(e.group));
    const panels = L2O.losses(mine, state, style);
    const some = allPanels ? panels : panels.slice(0, PANELS);
    L2O.fill(at("panels"), some.map((make) => make()));
    const hidden = panels.length - some.length;
    at("more-panels").hidden = !hidden;
    at("more-panels").textContent =
      `Show the other ${hidden} problem${hidden === 1 ? "" : "s"}`;
    at("empty").hidden = panels.length > 0;
    at("note").hidden = !panels.length;
    const pools = L2O.pools(mine);
    at("pools").hidden = !pools.length;
    L2O.fill(at("pool-panels"), pools);
  }

  function drawRuns() {
    at("runs").hidden = !data.runs.length;
    if (!runPicks.size && data.runs.length) {
      const latest = [...data.runs].sort((a, b) => b.updated - a.updated);
      runPicks.add(latest[0].key);
    }
    L2O.drawRuns(at("runs-table"), data.runs, runPicks, runSort, {
      sort: (id) => {
        runSort.down = runSort.id === id && !runSort.down;
        runSort.id = id;
        drawRuns();
      },
      pick: ([key], yes) => {
        if (yes) runPicks.add(key);
        else runPicks.delete(key);
        drawRuns();
      },
    });
    L2O.fill(at("runs-panels"), data.runs
      .filter((run) => runPicks.has(run.key)).flatMap(L2O.runPanels));
  }

  function redraw() {
    const some = data.evaluations.length > 0;
    at("evaluations").hidden = at("curves").hidden = !some;
    if (some) {
      drawTable();
      drawPicks();
      drawCurves();
      writeAddress();
    } else {
      at("pools").hidden = true;
    }
  }

  function receive(fresh) {
    if (fresh.version !== VERSION) {
      say("The data are of another version of this page: load it again.");
      return;
    }
    const first = data === null;
    data = L2O.prepare(fresh);
    if (first) readAddress();
    fillSelects();
    const title = data.live ? "Runs and evaluations" : document.title;
    document.title = document.querySelector("h1").textContent = title;
    const of = `${data.evaluations.length.toLocaleString("en")} evaluations`;
    at("lead").textContent = data.evaluations.length ?
      `${of} of ${data.optimizers.length} optimizers and settings on ` +
      `${data.groups.length} problems. Filter and sort them, ` +
      "tick some, and their loss curves are drawn beside each other." :
      "No evaluation is stored yet.";
    at("faults").hidden = !data.faults.length;
    at("faults").replaceChildren(
      make("p", {}, "Could not be read, or not yet:"),
      make("ul", {}, ...data.faults.map((line) => make("li", {}, line))));
    drawRuns();
    redraw();
  }

  function say(text, bad) {
    at("status").hidden = false;
    at("status").classList.toggle("bad", Boolean(bad));
    at("status").textContent = text;
  }

  /* Asks for newer data; what is chosen stays chosen. */
  function follow() {
    let tag = null;
    const ask = async () => {
      try {
        const headers = tag ? {"If-None-Match": tag} : {};
        const answer = await fetch("data.json", {headers, cache: "no-store"});
        if (answer.status === 200) {
          tag = answer.headers.get("ETag");
          receive(await answer.json());
        } else if (answer.status !== 304) {
          throw new Error(answer.statusText);
        }
        say(`Live, ${new Date().toLocaleTimeString()}`);
      } catch {
        say("Not live: the command has ended. This is what it sent last.",
          true);
      }
      setTimeout(ask, EVERY);
    };
    say("Live");
    setTimeout(ask, EVERY);
  }

  for (const id of ["filters", "switches"]) {
    at(id).addEventListener("submit", (event) => event.preventDefault());
    for (const kind of ["input", "change"]) {
      at(id).addEventListener(kind, (event) => {
        const {name, type, checked, value} = event.target;
        const now = type === "checkbox" ? (checked ? "1" : "") : value;
        if (!name || state[name] === now) return;
        state[name] = now;
        whole = allPanels = false;
        redraw();
      });
    }
  }
  at("filters").addEventListener("reset", (event) => {
    event.preventDefault();
    const {curve, log} = state;
    state = {...L2O.START, curve, log};
    fillSelects();
    redraw();
  });
  at("more").addEventListener("click", () => { whole = true; redraw(); });
  at("more-panels").addEventListener("click", () => {
    allPanels = true;
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (data) receive(data);
  });

  if (window.KERAS_L2O_DATA) {
    receive(window.KERAS_L2O_DATA);
    if (data && data.live) follow();
  } else {
    say("The file data.js is missing beside this page.", true);
  }
})(window.L2O);
