/* The three interactive parts of "Which loss?". Formulas first, each a pure function of its
   arguments that the tests compare with torch; then the few lines that show them. */
(function () {
  "use strict";

  const f32 = Math.fround;
  const exp32 = (x) => f32(Math.exp(x));
  const log32 = (x) => f32(Math.log(x));

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
    const softplus = f32(Math.max(z, 0) + f32(Math.log1p(exp32(-Math.abs(z)))));
    return { loss: f32(softplus - z * y), gradient: f32(sigmoid32(z) - y) };
  }

  function crossEntropyOfPair(z, y) {
    const top = Math.max(z, 0);
    const logSum = log32(f32(exp32(-top) + exp32(z - top)));
    const logProb = f32(f32((y === 1 ? z : 0) - top) - logSum);
    const probOfOne = exp32(f32(f32(z - top) - logSum));
    return { loss: f32(-logProb), gradient: f32(probOfOne - y) };
  }

  function binary(z, y) {
    return {
      prob: sigmoid32(z),
      byHand: byHand(z, y),
      bceLoss: bceLoss(z, y),
      bceWithLogits: bceWithLogits(z, y),
      crossEntropy: crossEntropyOfPair(z, y),
    };
  }

  function crossEntropy(logits, label) {
    const top = Math.max(...logits);
    const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0);
    const probs = logits.map((z) => Math.exp(z - top) / total);
    return {
      loss: Math.log(total) + top - logits[label],
      probs: probs,
      gradient: probs.map((p, k) => p - (k === label ? 1 : 0)),
    };
  }

  /* What to keep, what to mend, and three lines of torch that fit. */
  function recommend(task, outputs, activation, labels) {
    const one = task === "binary" && outputs === 1;
    const exclusive = !one && task !== "labels";
    const width = one ? "1" : task === "binary" ? "2" : task === "classes" ? "K" : "L";
    const names = exclusive
      ? { loss: "CrossEntropyLoss", robust: "SymmetricCrossEntropyLoss" }
      : { loss: "BCEWithLogitsLoss", robust: "BinarySymmetricCrossEntropyWithLogitsLoss" };
    const criterion = labels === "noisy" ? `losses.${names.robust}()` : `nn.${names.loss}()`;
    const shape = one || (exclusive && labels !== "soft") ? "(N,)" : `(N, ${width})`;
    let target;
    if (!exclusive) target = `float, ${shape}, ` + (labels === "soft" ? "in [0, 1]" : "0.0 or 1.0");
    else if (labels === "soft") target = `float, ${shape}, rows add up to 1`;
    else target = `int64, ${shape}, in [0, ${width})`;
    const rule = exclusive ? "logits.argmax(dim=1)" : "logits > 0";
    const code = [
      `criterion = ${criterion}`,
      `logits = model(inputs)${one ? ".squeeze(1)" : ""}  # ${one ? "(N,)" : `(N, ${width})`}`,
      "loss = criterion(logits, target)",
      `predicted = ${rule}`,
    ];
    return { mend: mend(one, exclusive, activation), criterion, target, rule, width, code: code.join("\n") };
  }

  function mend(one, exclusive, activation) {
    if (activation === "none") return "Keep it as it is.";
    if (activation === "log_softmax" && exclusive) {
      return "LogSoftmax is harmless here, and superfluous: remove it, or keep it and use nn.NLLLoss.";
    }
    if (one && activation === "softmax") return "Remove the softmax: over one output it is always 1.";
    if (one && activation === "log_softmax") return "Remove the LogSoftmax: over one output it is always 0.";
    if (exclusive && activation === "sigmoid") {
      return "Remove the sigmoid: it squeezes the logits into (0, 1), and the loss applies a softmax to them.";
    }
    if (exclusive) return "Remove the softmax: the loss has its own, and with two of them it cannot reach 0.";
    if (activation === "sigmoid") {
      return "Remove the sigmoid: the loss has its own. With the sigmoid in the model the loss is nn.BCELoss, which is less stable.";
    }
    return "Remove it: it makes the labels compete, and more than one can be right.";
  }

  window.lossExplorer = { binary, crossEntropy, recommend };

  /* From here on: showing. */
  const byId = (id) => document.getElementById(id);

  function chosen(form, name) {
    return form.querySelector(`input[name="${name}"]:checked`).value;
  }

  function number(x) {
    if (Number.isNaN(x)) return "NaN";
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    return (Object.is(x, -0) ? 0 : x).toFixed(4).replace("-", "−");
  }

  function fillRows(body, rows) {
    body.replaceChildren(
      ...rows.map((cells) => {
        const row = document.createElement("tr");
        cells.forEach((cell, i) => {
          const box = document.createElement(i === 0 ? "th" : "td");
          if (i === 0) box.scope = "row";
          if (cell instanceof Node) box.append(cell);
          else box.textContent = cell;
          row.append(box);
        });
        return row;
      })
    );
  }

  function showChooser() {
    const form = byId("chooser");
    const task = chosen(form, "task");
    byId("chooser-outputs").hidden = task !== "binary";
    const answer = recommend(
      task,
      Number(chosen(form, "outputs")),
      chosen(form, "activation"),
      chosen(form, "labels")
    );
    const list = document.createElement("dl");
    const facts = {
      Model: answer.mend,
      Head: `nn.Linear(H, ${answer.width})`,
      Loss: answer.criterion,
      Target: answer.target,
      Decision: answer.rule,
    };
    for (const [name, value] of Object.entries(facts)) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      list.append(term, text);
    }
    const code = document.createElement("pre");
    code.tabIndex = 0;
    code.textContent = answer.code;
    byId("chooser-answer").replaceChildren(list, code);
  }

  /* The key, the name in the table, and the name in the chart. */
  const WAYS = [
    ["byHand", "−y·log(p) − (1−y)·log(1−p)", "by hand"],
    ["bceLoss", "BCELoss(sigmoid(z))", "BCELoss"],
    ["bceWithLogits", "BCEWithLogitsLoss(z)", "BCEWithLogitsLoss"],
    ["crossEntropy", "CrossEntropyLoss on (0, z)", "CrossEntropyLoss"],
  ];

  function showBinary() {
    const form = byId("binary");
    const z = Number(byId("binary-logit").value);
    const y = Number(chosen(form, "label"));
    const result = binary(z, y);
    byId("binary-shown").textContent = z.toFixed(1).replace("-", "−");
    byId("binary-prob").textContent = `Probability of "yes": σ(z) = ${number(result.prob)}`;
    fillRows(
      byId("binary-rows"),
      WAYS.map(([key, name]) => [name, number(result[key].loss), number(result[key].gradient)])
    );
    drawChart(z, y);
  }

  /* Loss against the logit; values above the frame, infinite or missing end the line. */
  function drawChart(z, y) {
    const svg = byId("binary-chart");
    const width = Math.max(svg.clientWidth, 260);
    const left = 36, right = width - 8, top = 12, bottom = 255, highest = 22;
    const key = left + (y === 1 ? 0.4 : 0.1) * (right - left); // where no curve runs
    const x = (value) => left + ((value + 20) / 40) * (right - left);
    const height = (value) => bottom - (value / highest) * (bottom - top);
    const parts = [`<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`];
    for (const tick of [-20, -10, 0, 10, 20]) {
      parts.push(`<text x="${x(tick)}" y="275" text-anchor="middle">${String(tick).replace("-", "−")}</text>`);
    }
    for (const tick of [0, 10, 20]) {
      parts.push(`<text x="${left - 8}" y="${height(tick) + 5}" text-anchor="end">${tick}</text>`);
    }
    parts.push(`<text x="${(left + right) / 2}" y="296" text-anchor="middle">logit z</text>`);
    parts.push(`<text x="${left + 8}" y="${top + 12}">loss</text>`);
    WAYS.slice(0, 3).reverse().forEach(([way, , name], i) => {
      let path = "";
      for (let value = -20; value <= 20; value += 0.25) {
        const loss = binary(value, y)[way].loss;
        const drawn = Number.isFinite(loss) && loss <= highest;
        if (drawn) path += `${path.endsWith("|") || !path ? "M" : "L"}${x(value)} ${height(loss)}`;
        else if (path && !path.endsWith("|")) path += "|";
      }
      parts.push(`<path class="${way}" d="${path.replaceAll("|", "")} M${key} ${30 + 24 * i}h28"/>`);
      parts.push(`<text x="${key + 36}" y="${35 + 24 * i}">${name}</text>`);
    });
    parts.push(`<path class="marker" d="M${x(z)} ${top}V${bottom}"/>`);
    svg.setAttribute("viewBox", `0 0 ${width} 300`);
    svg.innerHTML = parts.join("");
  }

  function showClasses() {
    const form = byId("classes");
    const logits = [0, 1, 2].map((k) => Number(byId(`logit-${k}`).value));
    const label = Number(chosen(form, "label"));
    const result = crossEntropy(logits, label);
    logits.forEach((z, k) => {
      form.querySelector(`output[for="logit-${k}"]`).textContent = z.toFixed(1).replace("-", "−");
    });
    byId("classes-loss").textContent =
      `Loss: −log(${number(result.probs[label])}) = ${number(result.loss)}`;
    fillRows(
      byId("classes-rows"),
      result.probs.map((p, k) => {
        const bar = document.createElement("span");
        bar.className = "bar";
        bar.style.width = `${100 * p}%`;
        return [k === label ? `${k} (label)` : String(k), number(p), bar, number(result.gradient[k])];
      })
    );
  }

  for (const [id, show] of [["chooser", showChooser], ["binary", showBinary], ["classes", showClasses]]) {
    byId(id).addEventListener("input", show);
    byId(id).addEventListener("submit", (event) => event.preventDefault());
    show();
  }
  window.addEventListener("resize", showBinary);
})();
