/* A box that scrolls must be reachable by keyboard; a formula that fits need not stop the Tab key. */
(function () {
  "use strict";

  const BOXES = "div.math, .cell_output .text_html, .pst-scrollable-table-container";

  function markScrolling() {
    for (const box of document.querySelectorAll(BOXES)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  window.addEventListener("load", function () {
    markScrolling();
    window.addEventListener("resize", markScrolling);
  });
})();

/* The search: its index and its engine are loaded when somebody asks, and not before. */
(function () {
  "use strict";

  const HERE = document.currentScript.src.replace(/[^/]*$/, "");
  const loads = {};

  function load(name) {
    loads[name] ||= new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = HERE + name;
      script.onload = resolve;
      document.head.append(script);
    });
    return loads[name];
  }

  async function attach(field, place) {
    await Promise.all(["minisearch.js", "search_index.js", "search_find.js"].map(load));
    await load("search.js");
    window.bookSearch.attach(field, place);
  }

  /* What belongs to the section that an address leads to, without the sections within it. */
  function texts(target) {
    const place = target.closest("dl") && target.tagName === "DT" ? [target, target.nextElementSibling] : [target];
    const found = [];
    for (const part of place) {
      const walker = document.createTreeWalker(part, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
        node.nodeType === Node.TEXT_NODE ? NodeFilter.FILTER_ACCEPT
          : node.matches("section, dl.py, .claim, math, svg, script, .headerlink, .copybtn")
            ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP);
      while (walker.nextNode()) found.push(walker.currentNode);
    }
    return found;
  }

  async function mark(terms, target) {
    target.scrollIntoView({behavior: "instant"}); // not past all that stands above it
    await load("search_find.js");
    for (const text of texts(target)) {
      const hits = window.bookFinder.hitsIn(text.data, terms);
      for (const {at, end} of hits.reverse()) {
        if (end > text.data.length) continue; // within a word that is marked already
        const word = text.splitText(at);
        word.splitText(end - at);
        const made = document.createElement("mark");
        word.replaceWith(made);
        made.append(word);
      }
    }
  }

  document.addEventListener("DOMContentLoaded", function () {
    const asked = new URLSearchParams(location.search);
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (asked.has("mark") && target) mark(new Set(asked.get("mark").split(" ")), target);

    const dialog = document.querySelector("#pst-search-dialog");
    const field = dialog.querySelector("input");
    const place = document.createElement("div");
    place.className = "search-results";
    dialog.append(place);
    field.addEventListener("focus", () => attach(field, place), {once: true});

    for (const own of document.querySelectorAll("[data-answers-in]")) {
      const answers = document.getElementById(own.dataset.answersIn);
      own.value = asked.get("q") || "";
      const start = () => attach(own, answers);
      if (own.value) start();
      else own.addEventListener("input", start, {once: true});
    }
  });
})();
