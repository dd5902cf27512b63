/* "Move the threshold": counting first, then showing. The data are logits counted between
   neighbouring cuts, so that at every cut the counts are exact. */
(function () {
  "use strict";

  const ratio = (part, whole) => (whole ? part / whole : NaN);

  /* The errors and the measures at every cut, in one pass from the lowest. */
  function measure(held) {
    const total = (counts) => counts.reduce((sum, count) => sum + count, 0);
    const ill = total(held.ill), healthy = total(held.healthy);
    let fn = 0, tn = 0;
    return [...held.ill, 0].map((_, i) => {
      const cut = (held.first + i) / 10;
      const tp = ill - fn, fp = healthy - tn;
      const found = {
        cut, tp, fp, fn, tn, ill, healthy,
        called: tp + fp,
        spared: fn + tn,
        all: ill + healthy,
        prob: 1 / (1 + Math.exp(-cut)),
        precision: ratio(tp, tp + fp),
        recall: ratio(tp, ill),
        f1: ratio(2 * tp, 2 * tp + fp + fn),
        alarms: ratio(fp, healthy),
      };
      fn += held.ill[i];
      tn += held.healthy[i];
      return found;
    });
  }

  const cost = (at, miss) => (at.fp + miss * at.fn) / at.all;

  function cheapest(all, miss) {
    return all.reduce((best, at) => (cost(at, miss) < cost(best, miss) ? at : best));
  }

  window.thresholdExplorer = { measure, cost, cheapest };

  const COUNTS = ["tp", "fp", "fn", "tn", "called", "spared", "ill", "healthy", "all"];
  const { dot, draw, fill, frame, number, signed, start } = window.explorer;
  const byId = (id) => document.getElementById(id);
  const held = JSON.parse(byId("threshold-data").textContent);
  const all = measure(held);

  function show(form) {
    const slider = byId("threshold-cut");
    const miss = Number(byId("threshold-miss").value);
    const now = all[Math.round(10 * Number(slider.value)) - held.first];
    const best = cheapest(all, miss);
    fill(form, { ...now, cost: cost(now, miss), least: cost(best, miss) }, COUNTS);
    const text = `${signed(now.cut)} (probability ${number(now.prob)})`;
    byId("threshold-shown").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    byId("threshold-price").textContent = miss === 1 ? "1 false alarm" : `${miss} false alarms`;
    form.querySelector('[data-jump="rule"]').textContent = `1/${miss + 1}`;

    /* The scale of the cost ends at a round number above the dearest threshold. */
    const svg = byId("scores-chart");
    const dearest = Math.max(...all.map((at) => cost(at, miss)));
    const top = [1, 2, 4, 6, 8, 10, 20].find((end) => end > dearest);
    const numbers = svg.dataset.frame.split(" ");
    svg.dataset.frame = [...numbers.slice(0, 7), top].join(" ");
    for (const tick of svg.querySelectorAll("[data-tick]")) {
      tick.textContent = String(tick.dataset.tick * top);
    }
    const side = frame(svg).x(now.cut).toFixed(1);
    svg.querySelector("#called rect").setAttribute("x", side);
    const marker = svg.querySelector("[data-marker]");
    marker.setAttribute("d", marker.getAttribute("d").replace(/M[\d.-]+/, `M${side}`));
    const drawn = all.filter((_, i) => i % 2 === 0);
    draw(svg, "cost", drawn.map((at) => [at.cut, cost(at, miss)]));
    dot(svg, "cost", now.cut, cost(now, miss));
    dot(svg, "least", best.cut, cost(best, miss));
    dot(byId("trade-chart"), "trade", now.recall, now.precision);
  }

  const JUMPS = {
    half: () => 0,
    rule: (miss) => -Math.log(miss),
    least: (miss) => cheapest(all, miss).cut,
  };

  start("threshold", show, () => "threshold-cut");
  byId("threshold").addEventListener("click", (event) => {
    const jump = JUMPS[event.target.dataset.jump];
    if (!jump) return;
    byId("threshold-cut").value = jump(Number(byId("threshold-miss").value)).toFixed(1);
    show(event.currentTarget);
  });
})();
