/* What the interactive parts share. Their pages are complete without it: see book/_ext/explorers.py. */
window.explorer = (function () {
  "use strict";

  function number(x) {
    if (Number.isNaN(x)) return "NaN";
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    const text = x.toFixed(4);
    return text.replace("-", Number(text) === 0 ? "" : "−");
  }

  /* {a: {b: 1}} becomes {"a.b": 1}, the names that the page's elements carry. */
  function flatten(values, prefix) {
    return Object.entries(values).flatMap(([name, value]) =>
      typeof value === "object" ? flatten(value, `${prefix}${name}.`) : [[prefix + name, value]]
    );
  }

  function fill(form, values, counts = []) {
    for (const [name, value] of flatten(values, "")) {
      const text = counts.includes(name) ? String(value) : number(value);
      for (const place of form.querySelectorAll(`[data-value="${name}"]`)) place.textContent = text;
    }
  }

  /* The axes of a chart, as the page has drawn them. */
  function frame(svg) {
    const [left, right, top, bottom, x0, x1, y0, y1] = svg.dataset.frame.split(" ").map(Number);
    return {
      top, bottom, x0, x1, y0, y1,
      x: (value) => left + ((value - x0) / (x1 - x0)) * (right - left),
      y: (value) => bottom - ((value - y0) / (y1 - y0)) * (bottom - top),
    };
  }

  /* A line through points; infinite or missing values end it. */
  function path(axes, points) {
    let text = "", pen = "M";
    for (const [x, y] of points) {
      if (Number.isFinite(y)) text += `${pen}${axes.x(x).toFixed(1)} ${axes.y(y).toFixed(1)}`;
      pen = Number.isFinite(y) ? "L" : "M";
    }
    return text;
  }

  function draw(svg, name, points) {
    svg.querySelector(`[data-curve="${name}"]`).setAttribute("d", path(frame(svg), points));
  }

  function dot(svg, name, x, y) {
    const axes = frame(svg);
    const circle = svg.querySelector(`[data-dot="${name}"]`);
    circle.setAttribute("cx", axes.x(x).toFixed(1));
    circle.setAttribute("cy", (Number.isFinite(y) ? axes.y(y) : -99).toFixed(1));
  }

  function signed(x) {
    return x.toFixed(1).replace("-", "−");
  }

  function chosen(form, name) {
    return form.querySelector(`input[name="${name}"]:checked`)?.value;
  }

  /* The line of a chart follows the pointer, and so its slider. */
  function drag(svg, slider) {
    function move(event) {
      const here = new DOMPoint(event.clientX, event.clientY)
        .matrixTransform(svg.getScreenCTM().inverse());
      const { x, x0, x1 } = frame(svg);
      const input = slider();
      input.value = x0 + ((here.x - x(x0)) / (x(x1) - x(x0))) * (x1 - x0);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    svg.onpointerdown = (event) => {
      svg.setPointerCapture(event.pointerId);
      move(event);
    };
    svg.onpointermove = (event) => svg.hasPointerCapture(event.pointerId) && move(event);
    svg.classList.add("draggable");
  }

  /* Show the controls, hide what stands in for them, and follow every change. */
  function start(id, show, slider) {
    const form = document.getElementById(id);
    if (!form) return;
    const svg = form.querySelector(".chart");
    if (svg && slider) drag(svg, () => document.getElementById(slider(form)));
    for (const part of form.querySelectorAll(".with-script")) part.hidden = false;
    for (const part of form.querySelectorAll(".without-script")) part.hidden = true;
    form.addEventListener("input", () => show(form));
    form.addEventListener("submit", (event) => event.preventDefault());
    show(form);
  }

  return { chosen, dot, draw, fill, frame, number, signed, start };
})();
