/* Shows what is found, under the field in which it is asked. `book.js` loads this on use. */
(function () {
  "use strict";

  const root = document.documentElement.dataset.content_root;
  const {Finder, hitsIn} = window.bookFinder;
  const finder = new Finder(window.bookSearchIndex, window.MiniSearch);

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  /* A text with these terms marked. */
  function marked(text, terms) {
    const parts = [];
    let end = 0;
    for (const hit of hitsIn(text, new Set(terms))) {
      if (hit.end <= end) continue;
      const from = Math.max(hit.at, end);
      parts.push(text.slice(end, from), element("mark", "", text.slice(from, hit.end)));
      end = hit.end;
    }
    return [...parts, text.slice(end)];
  }

  function link(address, marks, ...children) {
    const [page, anchor] = address.split("#");
    const made = element("a", "", ...children);
    const asked = marks.length ? "?mark=" + encodeURIComponent(marks.join(" ")) : "";
    made.href = root + page + asked + (anchor ? "#" + anchor : "");
    return made;
  }

  function item({title, chapter, address, sentence, marks}) {
    const heading = link(address, marks, ...marked(title, marks));
    const where = chapter === title ? "the whole page" : "in: " + chapter;
    return element("li", "", heading, element("p", "where", where),
      element("p", "", ...marked(sentence, marks)));
  }

  function questions() {
    const list = element("ul", "questions");
    for (const [words, address] of finder.questions)
      list.append(element("li", "", link(address, [], words)));
    return [element("p", "", "Is it one of these questions?"), list];
  }

  function show(query, place) {
    const status = place.querySelector("[role=status]") || element("p", "summary");
    status.setAttribute("role", "status");
    place.replaceChildren(status);
    if (!query.trim()) {
      status.textContent = "";
      return;
    }
    const {near, results} = finder.find(query);
    const list = element("ul", "search", ...results.map(item));
    if (!near) {
      status.textContent = results.length === 1 ? "One section" : `${results.length} sections, the likeliest first`;
      place.append(list);
    } else {
      status.textContent = "No section has these words.";
      if (results.length) place.append(element("p", "", "The nearest:"), list);
      place.append(...questions());
    }
  }

  /* Down from the field into the results and back, by the arrow keys. */
  function walk(event, field, place) {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    const stops = [field, ...place.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    if (!step || at < 0 || (at === 0 && step < 0) || (at === 0 && field.value.includes("\n"))) return;
    event.preventDefault();
    (stops[at + step] || field).focus();
  }

  window.bookSearch = {
    /* Answer in `place` what is written in `field`, now and from now on. */
    attach(field, place) {
      let waiting;
      field.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => show(field.value, place), 120);
      });
      for (const part of [field, place])
        part.addEventListener("keydown", (event) => walk(event, field, place));
      show(field.value, place);
    },
  };
})();
