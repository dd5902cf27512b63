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
