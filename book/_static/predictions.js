/* Predict, then see: what book/_ext/predictions.py has marked stays covered until the reader asks.
   Without this script, and on paper, everything is open. */
(function () {
  "use strict";

  const store = {
    get: (key) => {
      try { return localStorage.getItem(key); } catch { return null; } // the browser may forbid it
    },
    set: (key, value) => {
      try { localStorage.setItem(key, value); } catch { /* then it lasts until the page is left */ }
    },
  };
  const ALL = "answers shown";
  const HERE = "answer shown " + DOCUMENTATION_OPTIONS.pagename + " ";

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function button(text, act) {
    const made = make("button", { type: "button", className: "plain", textContent: text });
    made.addEventListener("click", act);
    return made;
  }

  /* "2/3", "67 %" and "−1.5" are numbers; what is none is compared as words. */
  function number(text) {
    const found = text.replace("−", "-").match(/^(-?[\d.]+)(?:\s*\/\s*([\d.]+)|\s*(%))?$/);
    return found ? found[1] / (found[2] || (found[3] ? 100 : 1)) : NaN;
  }

  const parts = (text) => text.split(/[,;]/).map((part) => part.trim()).filter(Boolean);

  /* How near a guess is to one way of writing the answer: 2 it, 1 near, 0 not. */
  function nearness(guess, answer) {
    const [mine, right] = [parts(guess), parts(answer)];
    if (mine.length !== right.length) return 0;
    return Math.min(...right.map((part, i) => {
      const [g, r] = [number(mine[i]), number(part)];
      if (Number.isNaN(r)) return mine[i].toLowerCase() === part.toLowerCase() ? 2 : 0;
      const digits = (mine[i].match(/\.(\d+)$/) || ["", ""])[1].length;
      if (Math.abs(g - r) < 1e-9 || (digits > 1 && r.toFixed(digits) === g.toFixed(digits))) return 2;
      return Math.abs(g - r) <= 0.1 * Math.abs(r) ? 1 : 0;
    }));
  }

  function judge(guess, ways) {
    const best = Math.max(...ways.map((way) => nearness(guess, way)));
    const answer = ways[0].replaceAll("-", "−");
    if (best === 2) return `Yes: ${answer}.`;
    if (best === 1) return `Very near. You said ${guess}; it is ${answer}.`;
    return `You said ${guess}; it is ${answer}. What made the difference?`;
  }

  function expected(way) {
    const count = parts(way).length;
    if (Number.isNaN(number(parts(way)[0]))) return count > 1 ? `${count} names` : "a word or two";
    return count > 1 ? `${count} numbers with commas` : "a number";
  }

  /* One prediction: the line that stands where its output will be. */
  function prediction(note, index) {
    const covered = [...document.querySelectorAll(`.covered-${index + 1}`)];
    if (covered.length === 0) return null;
    const ways = note.querySelector("data").value.split("|").map((way) => way.trim());
    const said = make("span", { className: "said" });
    said.setAttribute("role", "status");
    const asking = make("span", { className: "asking" });
    const line = make("form", { className: "prediction" }, asking, said);

    function show(shown) {
      asking.hidden = shown;
      for (const part of covered) {
        if (shown) part.removeAttribute("hidden");
        else part.setAttribute("hidden", "until-found");
      }
    }
    function open() {
      const asked = line.contains(document.activeElement);
      store.set(HERE + index, "1");
      show(true);
      if (!asked) return;
      covered[0].tabIndex = -1; // the button that had the focus has gone
      covered[0].focus({ preventScroll: true });
    }

    if (ways[0]) {
      const input = make("input", { type: "text", size: 20, autocomplete: "off", required: true });
      input.placeholder = expected(ways[0]);
      input.setAttribute("autocapitalize", "off");
      asking.append(
        make("label", {}, "Your prediction ", input),
        make("button", { className: "plain", textContent: "Compare" })
      );
      line.addEventListener("submit", () => {
        said.textContent = judge(input.value.trim(), ways);
        open();
      });
    }
    line.addEventListener("submit", (event) => event.preventDefault());
    asking.append(button("Show the answer", open));
    covered[0].before(line);
    for (const part of covered) part.addEventListener("beforematch", open);
    return { covered, open, show, opened: () => store.get(HERE + index) === "1" };
  }

  const notes = [...document.querySelectorAll(".admonition.predict")];
  const all = notes.map(prediction).filter(Boolean);
  if (all.length === 0) return;

  const state = make("span");
  const change = button("", () => {
    store.set(ALL, store.get(ALL) === "1" ? "" : "1");
    follow();
  });
  function follow() {
    const everywhere = store.get(ALL) === "1";
    state.textContent = everywhere
      ? "The answers to all predictions are shown. "
      : "Answers stay covered until you want them. ";
    change.textContent = everywhere ? "Cover them" : "Show all answers, in every chapter";
    for (const one of all) one.show(everywhere || one.opened());
  }
  notes[0].before(make("p", { className: "predictions" }, state, change));
  follow();

  /* Links and the search lead into outputs, too. */
  function reach() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const one = target && all.find(({ covered }) => covered.some((part) => part.contains(target)));
    if (!one) return;
    one.open();
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", reach);
  reach();
})();
