/* The interactive parts of "Which loss?". Formulas first, each a pure function of its arguments
   that the tests compare with torch and the companion; then the few lines that show them. */
(function () {
  "use strict";

  const f32 = Math.fround;
  const exp32 = (x) => f32(Math.exp(x));
  const log32 = (x) => f32(Math.log(x));
  const sigmoid = (z) => 1 / (1 + Math.exp(-z));
  const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  const LOG_ZERO = -4, ALPHA = 0.1; // the defaults of companion.losses; beta is 1

  function sigmoid32(z) {
    return f32(1 / f32(1 + exp32(-z)));
  }

  /* -y*log(p) - (1-y)*log(1-p) as one would write it, differentiated step by step as autograd does. */
  function byHand(z, y) {
    const p = sigmoid32(z);
    const q = f32(1 - p);
    const loss = f32(-f32(f32(y * log32(p)) + f32((1 - y) * log32(q))));
    const slope = f32(f32(-y / p) + f32((1 - y) / q));
    return { loss: loss, gradient: f32(f32(slope * q) * p) };
  }

  /* BCELoss cuts logarithms off at -100 and the denominator of its gradient at 1e-12. */
  function bceLoss(z, y) {
    const p = sigmoid32(z);
    const q = f32(1 - p);
    const log = y === 1 ? log32(p) : f32(Math.log1p(-p));
    const slope = f32(f32(p - y) / Math.max(f32(q * p), 1e-12));
    return { loss: -Math.max(log, -100), gradient: f32(f32(slope * q) * p) };
  }

  function bceWithLogits(z, y) {
    const loss = f32(Math.max(z, 0) + f32(Math.log1p(exp32(-Math.abs(z)))));
    return { loss: f32(loss - z * y), gradient: f32(sigmoid32(z) - y) };
  }

  function crossEntropyOfPair(z, y) {
    const top = Math.max(z, 0);
    const logSum = log32(f32(exp32(-top) + exp32(z - top)));
    const logProb = f32(f32((y === 1 ? z : 0) - top) - logSum);
    const probOfOne = exp32(f32(f32(z - top) - logSum));
    return { loss: f32(-logProb), gradient: f32(probOfOne - y) };
  }

  /* -A(1 - p_y), where 1 - p_y is the sigmoid of z or of -z. */
  function reverse(z, y) {
    const missing = sigmoid(y === 1 ? -z : z);
    const steep = -LOG_ZERO * sigmoid(z) * sigmoid(-z);
    return { loss: -LOG_ZERO * missing, gradient: y === 1 ? -steep : steep };
  }

  function sum(factor, one, other) {
    return {
      loss: factor * one.loss + other.loss,
      gradient: factor * one.gradient + other.gradient,
    };
  }

  function twice(z, y) {
    const s = sigmoid(z);
    return { loss: softplus(s) - s * y, gradient: (sigmoid(s) - y) * s * sigmoid(-z) };
  }

  function binary(z, y) {
    const prob = sigmoid32(z);
    const rce = reverse(z, y);
    return {
      prob: prob,
      other: 1 - prob,
      byHand: byHand(z, y),
      bceLoss: bceLoss(z, y),
      bceWithLogits: bceWithLogits(z, y),
      crossEntropy: crossEntropyOfPair(z, y),
      rce: rce,
      sce: sum(ALPHA, bceWithLogits(z, y), rce),
      twice: twice(z, y),
      floor: y === 1 ? softplus(-1) : Math.LN2,
    };
  }

  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  const mean = (values) => total(values) / values.length;

  function softmax(logits) {
    const top = Math.max(...logits);
    const powers = logits.map((z) => Math.exp(z - top));
    return powers.map((power) => power / total(powers));
  }

  function crossEntropy(logits, label) {
    const top = Math.max(...logits);
    const probs = softmax(logits);
    return {
      loss: Math.log(total(logits.map((z) => Math.exp(z - top)))) + top - logits[label],
      probs: probs,
      gradient: probs.map((p, k) => p - (k === label ? 1 : 0)),
    };
  }

  /* BCE on one-hot labels, the mean over the classes. */
  function overClasses(logits, label) {
    const hot = (k) => (k === label ? 1 : 0);
    return {
      loss: mean(logits.map((z, k) => softplus(z) - z * hot(k))),
      gradient: logits.map((z, k) => (sigmoid(z) - hot(k)) / logits.length),
    };
  }

  function classes(logits, label) {
    const ce = crossEntropy(logits, label);
    const p = ce.probs, py = p[label];
    const others = total(p.filter((_, k) => k !== label)); // 1 - py, to the last digit
    const rce = {
      loss: -LOG_ZERO * others,
      gradient: ce.gradient.map((g, k) => -LOG_ZERO * py * (k === label ? -others : g)),
    };
    const second = crossEntropy(p, label);
    const share = total(second.gradient.map((g, k) => g * p[k]));
    const s = logits.map(sigmoid);
    const again = overClasses(s, label);
    const K = logits.length;
    return {
      softmax: { ...p, sum: total(p) },
      sigmoid: { ...s, sum: total(s) },
      ce: { loss: ce.loss, gradient: ce.gradient },
      bce: overClasses(logits, label),
      rce: rce,
      sce: {
        loss: ALPHA * ce.loss + rce.loss,
        gradient: rce.gradient.map((g, k) => ALPHA * ce.gradient[k] + g),
      },
      softmaxTwice: {
        loss: second.loss,
        gradient: second.gradient.map((g, k) => p[k] * (g - share)),
      },
      sigmoidTwice: {
        loss: again.loss,
        gradient: again.gradient.map((g, k) => g * s[k] * sigmoid(-logits[k])),
      },
      floor: {
        softmaxTwice: Math.log(1 + (K - 1) / Math.E),
        sigmoidTwice: (softplus(-1) + (K - 1) * Math.LN2) / K,
      },
    };
  }

  window.lossExplorer = { binary, classes, crossEntropy };

  /* From here on: showing. */
  const { chosen, dot, draw, fill, frame, signed, start } = window.explorer;
  const byId = (id) => document.getElementById(id);
  const steps = (low, high, count) =>
    Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count);

  function showChooser(form) {
    const answers = JSON.parse(byId("chooser-data").textContent);
    const task = chosen(form, "task");
    byId("chooser-outputs").hidden = task !== "binary";
    byId("chooser-places").hidden = task !== "classes";
    const head = { binary: chosen(form, "outputs"), classes: chosen(form, "place") }[task] || task;
    const answer = answers[`${head} ${chosen(form, "labels")}`];
    const facts = { ...answer, Model: answer.Model[chosen(form, "activation")] };
    for (const place of form.querySelectorAll("[data-fact]")) {
      place.textContent = facts[place.dataset.fact];
    }
  }

  function mark(svg, z) {
    const axes = frame(svg);
    const line = `M${axes.x(z).toFixed(1)} ${axes.top}V${axes.bottom}`;
    svg.querySelector("[data-marker]").setAttribute("d", line);
  }

  function showBinary(form) {
    const z = Number(byId("binary-logit").value);
    const y = Number(chosen(form, "label"));
    const now = binary(z, y);
    fill(form, now);
    byId("binary-shown").textContent = signed(z);
    const svg = byId("binary-chart");
    const curve = steps(-40, 40, 160).map((value) => [value, binary(value, y)]);
    for (const { dataset } of svg.querySelectorAll("[data-curve]")) {
      draw(svg, dataset.curve, curve.map(([x, values]) => [x, values[dataset.curve].loss]));
    }
    mark(svg, z);
    dot(svg, "bceWithLogits", z, now.bceWithLogits.loss);
  }

  function showThreeWays(form) {
    const z = Number(byId("three-ways-logit").value);
    const now = binary(z, 0);
    fill(form, now);
    byId("three-ways-shown").textContent = signed(z).replace(".0", "");
    for (const place of form.querySelectorAll("[data-verdict]")) {
      const { gradient } = now[place.dataset.verdict];
      const works = gradient ? "✓ learns" : "✗ stuck";
      place.textContent = Number.isNaN(gradient) ? "✗ ruined" : works;
    }
  }

  function showClasses(form) {
    const logits = [0, 1, 2].map((k) => Number(byId(`logit-${k}`).value));
    const label = Number(chosen(form, "label") || 0);
    const now = classes(logits, label);
    fill(form, now);
    logits.forEach((z, k) => {
      form.querySelector(`output[for="logit-${k}"]`).textContent = signed(z);
      form.querySelector(`[data-bar="${k}"]`).style.width = `${100 * now.softmax[k]}%`;
    });
    const svg = byId("classes-chart");
    if (!svg) return;
    const moved = (x) => logits.map((z, k) => (k === label ? x : z));
    const curve = steps(-5, 5, 50).map((x) => [x, classes(moved(x), label)]);
    for (const { dataset } of svg.querySelectorAll("[data-curve]")) {
      const name = dataset.curve;
      draw(svg, name, curve.map(([x, values]) => [x, values[name].loss]));
      dot(svg, name, logits[label], now[name].loss);
    }
    mark(svg, logits[label]);
  }

  start("chooser", showChooser);
  start("three-ways", showThreeWays);
  start("binary", showBinary, () => "binary-logit");
  start("classes", showClasses, (form) => `logit-${chosen(form, "label")}`);
  start("probabilities", showClasses);
})();
